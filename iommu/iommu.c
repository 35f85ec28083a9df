/* SPDX-License-Identifier: BSD-2-Clause */
/* Domains and the devices in them; the only caller of the back ends. */
#include "iommu/iommu.h"
#include "iommu/ops.h"
#include "kernel/console/log.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/spinlock.h"
#include "kernel/mm/heap.h"
#include "kernel/pci/pci.h"

#define DOMAINS_MAX   1024
#define FAULTS_A_POLL 64
#define VECTOR_MIN    16 /* the local APIC takes no lower ones */

extern const struct iommu_ops amdvi_ops;

static const struct iommu_ops *const back_ends[] = {&amdvi_ops};
static const struct iommu_ops *ops;
static struct spinlock lock;
static struct iommu_domain *domains[DOMAINS_MAX]; /* by id; 0 is quarantine's and stays empty */

int iommu_init(void)
{
    int rc = -ENODEV;

    for (unsigned i = 0; i < ARRAY_SIZE(back_ends) && rc == -ENODEV; i++) {
        ops = back_ends[i];
        rc = ops->init();
    }
    return rc;
}

struct iommu_domain *iommu_domain_create(const char *name)
{
    unsigned id = IOMMU_DOMAIN_QUARANTINE + 1;
    struct iommu_domain *d;

    spin_guard(&lock);
    while (id < DOMAINS_MAX && domains[id])
        id++;
    d = id < DOMAINS_MAX ? heap_alloc(sizeof(*d)) : NULL;
    if (!d)
        return NULL;
    if (ops->pt_init(&d->pt)) {
        heap_free(d, sizeof(*d));
        return NULL;
    }
    d->name = name;
    d->id = (uint16_t)id;
    list_init(&d->devs);
    domains[id] = d;
    return d;
}

/* The id is given out again only when no cache holds anything under it. */
int iommu_domain_destroy(struct iommu_domain *d)
{
    int rc;

    spin_guard(&lock);
    rc = list_empty(&d->devs) ? ops->flush(d) : -EBUSY;
    if (rc)
        return rc;
    domains[d->id] = NULL;
    radix_destroy(&d->pt);
    heap_free(d, sizeof(*d));
    return 0;
}

static int map(struct iommu_domain *d, iova_t start, hpa_t target, uint64_t size, unsigned flags)
{
    int rc = radix_map(&d->pt, start.a, target, size,
                       (flags & IOMMU_R ? RADIX_R : 0) | (flags & IOMMU_W ? RADIX_W : 0));

    /* Half a mapping is of no use to anybody. What cannot be taken out again stays in the caller's own
     * memory. */
    if (rc == -ENOMEM && radix_unmap(&d->pt, start.a, size))
        log_warn("IOMMU: %s: a mapping is left half done", d->name);
    if (rc == -EINVAL)
        return rc;
    return ops->flush(d) ? -ETIMEDOUT : rc;
}

int iommu_map(struct iommu_domain *d, iova_t start, hpa_t target, uint64_t size, unsigned flags)
{
    if (!flags || (flags & ~(IOMMU_R | IOMMU_W)))
        return -EINVAL;
    spin_guard(&lock);
    return map(d, start, target, size, flags);
}

static int unmap(struct iommu_domain *d, iova_t start, uint64_t size)
{
    int rc = radix_unmap(&d->pt, start.a, size);

    return rc ? rc : ops->flush(d);
}

int iommu_unmap(struct iommu_domain *d, iova_t start, uint64_t size)
{
    spin_guard(&lock);
    return unmap(d, start, size);
}

/* A device that uses this id on the bus, or NULL if the id is in quarantine. */
static struct iommu_dev *dev_of(rid_t id)
{
    for (unsigned i = 0; i < DOMAINS_MAX; i++) {
        if (!domains[i])
            continue;
        list_for_each(pos, &domains[i]->devs)
        {
            struct iommu_dev *dev = container_of(pos, struct iommu_dev, link);

            if (dev->rid.id == id.id || dev->alias.id == id.id)
                return dev;
        }
    }
    return NULL;
}

/* A unity range must not take the place of the domain's own memory. */
static bool is_free_or_unity(const struct iommu_domain *d, const struct iommu_unity *u)
{
    hpa_t target;

    for (uint64_t off = 0; off < u->size; off += PAGE_SIZE)
        if (radix_lookup(&d->pt, u->start.a + off, &target, NULL) && target.a != u->start.a + off)
            return false;
    return true;
}

static bool unity_is_clear(const struct iommu_domain *d, rid_t dev)
{
    struct iommu_unity u;
    bool clear = true;

    for (unsigned i = 0; clear && ops->unity(dev, i, &u); i++)
        clear = is_free_or_unity(d, &u);
    return clear;
}

/* Maps a device's unity ranges or takes them out, except where the domain has mapped something else since. */
static int set_unity(struct iommu_domain *d, rid_t dev, bool on)
{
    struct iommu_unity u;
    int rc = 0;

    for (unsigned i = 0; !rc && ops->unity(dev, i, &u); i++)
        if (is_free_or_unity(d, &u))
            rc = on ? map(d, u.start, hpa(u.start.a), u.size, u.flags) : unmap(d, u.start, u.size);
    return rc;
}

/* Back to quarantine. A device whose way back the hardware does not confirm stays listed: nobody gets it, its
 * domain stays. */
static int close_dev(struct iommu_dev *dev)
{
    struct iommu_domain *d = dev->domain;
    rid_t id = dev->rid;
    int rc = ops->close(dev);

    dev->broken = rc != 0;
    if (rc)
        return rc;
    list_del(&dev->link);
    heap_free(dev, sizeof(*dev));
    rc = set_unity(d, id, false);
    /* Another of the domain's devices may need the same ranges. */
    list_for_each(pos, &d->devs) if (!rc) rc =
        set_unity(d, container_of(pos, struct iommu_dev, link)->rid, true);
    return rc;
}

int iommu_attach(struct iommu_domain *d, rid_t id)
{
    struct iommu_dev found = {.rid = id, .alias = id, .domain = d}, *dev;
    int rc;

    spin_guard(&lock);
    rc = ops->find(&found);
    if (rc)
        return rc;
    if (dev_of(found.rid) || dev_of(found.alias) || !unity_is_clear(d, id))
        return -EBUSY;
    dev = heap_alloc(sizeof(*dev));
    if (!dev)
        return -ENOMEM;
    *dev = found;
    list_add_before(&dev->link, &d->devs);
    rc = set_unity(d, id, true);
    if (!rc)
        rc = ops->open(dev);
    if (rc && close_dev(dev))
        log_error("IOMMU: a device of %s could not be taken back", d->name);
    return rc;
}

int iommu_detach(struct iommu_domain *d, rid_t id)
{
    struct iommu_dev *dev;

    spin_guard(&lock);
    dev = dev_of(id);
    return dev && dev->rid.id == id.id && dev->domain == d ? close_dev(dev) : -ENODEV;
}

int iommu_irq_route(rid_t id, unsigned index, uint32_t apic_id, uint8_t vector, struct iommu_msi *msi)
{
    struct iommu_dev *dev;

    if (index >= IOMMU_IRQS || vector < VECTOR_MIN)
        return -EINVAL;
    spin_guard(&lock);
    dev = dev_of(id);
    return dev && dev->rid.id == id.id && !dev->broken ? ops->irq_set(dev, index, apic_id, vector, msi)
                                                       : -ENODEV;
}

int iommu_irq_block(rid_t id, unsigned index)
{
    struct iommu_dev *dev;

    if (index >= IOMMU_IRQS)
        return -EINVAL;
    spin_guard(&lock);
    dev = dev_of(id);
    return dev && dev->rid.id == id.id && !dev->broken ? ops->irq_clear(dev, index) : -ENODEV;
}

static void log_fault(const struct iommu_fault *f)
{
    const struct iommu_dev *dev = f->has_dev ? dev_of(f->dev) : NULL;
    const char *kind = f->interrupt ? "interrupt" : f->write ? "write" : "read";
    char name[PCI_NAME_LEN];

    if (f->has_dev)
        log_warn("IOMMU: %s: %s at %#lx by %s of %s", f->what, kind, f->addr.a, pci_name(f->dev, name),
                 dev ? dev->domain->name : "quarantine");
    else
        log_warn("IOMMU: %s at %#lx", f->what, f->addr.a);
}

/* Guests cause faults at will: all are taken, few are printed. */
void iommu_poll_faults(void)
{
    static struct ratelimit budget = RATELIMIT_INIT(20, 2);
    struct iommu_fault f;

    spin_guard(&lock);
    for (unsigned i = 0; i < FAULTS_A_POLL && ops->next_fault(&f); i++) {
        if (!ratelimit_ok(&budget))
            continue;
        log_fault(&f);
        if (budget.dropped)
            log_warn("IOMMU: %u faults not shown", budget.dropped);
        budget.dropped = 0;
    }
}
