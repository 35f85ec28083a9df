/* SPDX-License-Identifier: BSD-2-Clause */
/* Domains and the devices in them; the only caller of the back ends. */
#include "iommu/iommu.h"
#include "iommu/ops.h"
#include "kernel/console/log.h"
#include "kernel/cpu/time.h"
#include "kernel/lib/spinlock.h"
#include "kernel/lib/string.h"
#include "kernel/pci/pci.h"

#define FAULTS_A_POLL 64
#define VECTOR_MIN    16 /* the local APIC takes no lower ones */

extern const struct iommu_ops amdvi_ops, vtd_ops;

static const struct iommu_ops *const back_ends[] = {
    [BOOT_IOMMU_AMDVI] = &amdvi_ops, [BOOT_IOMMU_VTD] = &vtd_ops};
static const struct boot_iommu *machine;
static const struct iommu_ops *ops;
static struct spinlock lock;
static struct iommu_domain domains[IOMMU_DOMAINS]; /* by id; without a name: free */
static struct iommu_dev devs[IOMMU_DEVS];          /* without a domain: free */

int iommu_init(const struct boot_iommu *m)
{
    int rc = -ENODEV;

    if (m->kind != BOOT_IOMMU_NONE) {
        machine = m;
        ops = back_ends[m->kind];
        rc = ops->init(m->unit, m->nunits);
    }
    if (rc == 0)
        log_info("%s: %u unit%s, every device closed", ops->name, m->nunits, m->nunits == 1 ? "" : "s");
    if (rc != -ENODEV)
        return rc;
    ops = NULL;
    log_warn("IOMMU: there is none that can be used: no device can be given to a guest, and devices' DMA is "
             "not held back");
    return 0;
}

/* What any unit has cached. */
static int flush(const struct iommu_domain *d, iova_t start, uint64_t size)
{
    int rc = 0;

    for (unsigned i = 0; i < machine->nunits && !rc; i++)
        rc = ops->flush(i, d, start, size);
    return rc;
}

struct iommu_domain *iommu_domain_create(const char *name)
{
    struct iommu_domain *d = &domains[IOMMU_DOMAIN_QUARANTINE + 1];

    if (!ops) {
        log_error("%s: no device can be given to it: there is no IOMMU that can be used", name);
        return NULL;
    }
    spin_guard(&lock);
    while (d < domains + IOMMU_DOMAINS && d->name)
        d++;
    if (d == domains + IOMMU_DOMAINS || ops->pt_init(&d->pt))
        return NULL;
    d->name = name;
    d->id = (uint16_t)(d - domains);
    return d;
}

/* The id is given out again only when no cache holds anything under it. */
int iommu_domain_destroy(struct iommu_domain *d)
{
    int rc;

    spin_guard(&lock);
    for (struct iommu_dev *dev = devs; dev < devs + IOMMU_DEVS; dev++)
        if (dev->domain == d)
            return -EBUSY;
    rc = flush(d, iova(0), 0);
    if (rc)
        return rc;
    radix_destroy(&d->pt);
    d->name = NULL;
    return 0;
}

_Static_assert(IOMMU_R == RADIX_R && IOMMU_W == RADIX_W, "iommu.h says what radix.h says");

static int map(struct iommu_domain *d, iova_t start, hpa_t target, uint64_t size, unsigned flags)
{
    int rc = radix_map(&d->pt, start.a, target, size, flags);

    /* Half a mapping is of no use to anybody. What cannot be taken out again stays in the caller's own
     * memory. */
    if (rc == -ENOMEM && radix_unmap(&d->pt, start.a, size))
        log_warn("IOMMU: %s: a mapping is left half done", d->name);
    if (rc == -EINVAL)
        return rc;
    return flush(d, start, size) ? -ETIMEDOUT : rc;
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

    if (rc == -EINVAL)
        return rc;
    return flush(d, start, size) ? -ETIMEDOUT : rc;
}

int iommu_unmap(struct iommu_domain *d, iova_t start, uint64_t size)
{
    spin_guard(&lock);
    return unmap(d, start, size);
}

/* A device that uses this id on the bus, or NULL if the id is in quarantine. */
static struct iommu_dev *user_of(rid_t id)
{
    for (struct iommu_dev *dev = devs; dev < devs + IOMMU_DEVS; dev++)
        if (dev->domain && (dev->rid.id == id.id || dev->alias.id == id.id))
            return dev;
    return NULL;
}

/* The next unity range of this very id from *u on; false behind the last. */
static bool next_unity(const struct boot_unity **u, rid_t dev)
{
    const struct boot_unity *end = machine->unity + machine->nunities;

    while (*u < end && (dev.id < (*u)->first || dev.id > (*u)->last))
        (*u)++;
    return *u < end;
}

/* A unity range must not take the place of the domain's own memory. */
static bool is_free_or_unity(const struct iommu_domain *d, const struct boot_unity *u)
{
    hpa_t target;

    for (uint64_t off = 0; off < u->size; off += PAGE_SIZE)
        if (radix_lookup(&d->pt, u->start + off, &target, NULL) && target.a != u->start + off)
            return false;
    return true;
}

static bool unity_is_clear(const struct iommu_domain *d, rid_t dev)
{
    for (const struct boot_unity *u = machine->unity; next_unity(&u, dev); u++)
        if (!is_free_or_unity(d, u))
            return false;
    return true;
}

/* Maps a device's unity ranges or takes them out, except where the domain has mapped something else since. */
static int set_unity(struct iommu_domain *d, rid_t dev, bool on)
{
    int rc = 0;

    for (const struct boot_unity *u = machine->unity; !rc && next_unity(&u, dev); u++)
        if (is_free_or_unity(d, u))
            rc = on ? map(d, iova(u->start), hpa(u->start), u->size, u->flags)
                    : unmap(d, iova(u->start), u->size);
    return rc;
}

/* Back to quarantine. A device whose way back the hardware does not confirm stays in its slot: nobody gets
 * it, its domain stays. */
static int close_dev(struct iommu_dev *dev)
{
    struct iommu_domain *d = dev->domain;
    int rc = ops->close(dev);

    dev->broken = rc != 0;
    if (rc)
        return rc;
    dev->domain = NULL;
    rc = set_unity(d, dev->rid, false);
    /* Another of the domain's devices may need the same ranges. */
    for (struct iommu_dev *other = devs; other < devs + IOMMU_DEVS; other++)
        if (!rc && other->domain == d)
            rc = set_unity(d, other->rid, true);
    return rc;
}

int iommu_attach(struct iommu_domain *d, rid_t id)
{
    const struct pci_dev *function = pci_find(id);
    struct iommu_dev *dev = devs;
    rid_t alias;
    int rc;

    if (!function || function->is->unit >= machine->nunits)
        return -ENODEV;
    alias = (rid_t){function->is->alias};
    spin_guard(&lock);
    if (user_of(id) || user_of(alias) || !unity_is_clear(d, id))
        return -EBUSY;
    while (dev < devs + IOMMU_DEVS && dev->domain)
        dev++;
    if (dev == devs + IOMMU_DEVS)
        return -ENOMEM;
    *dev = (struct iommu_dev){
        .rid = id, .alias = alias, .slot = (unsigned)(dev - devs), .unit = function->is->unit, .domain = d};
    rc = set_unity(d, id, true);
    if (!rc)
        rc = ops->open(dev);
    if (rc && close_dev(dev))
        log_error("IOMMU: a device of %s could not be taken back", d->name);
    return rc;
}

/* The device whose own id this is, not an alias, or NULL. */
static struct iommu_dev *dev_of(rid_t id)
{
    struct iommu_dev *dev = user_of(id);

    return dev && dev->rid.id == id.id ? dev : NULL;
}

int iommu_detach(struct iommu_domain *d, rid_t id)
{
    struct iommu_dev *dev;

    spin_guard(&lock);
    dev = dev_of(id);
    return dev && dev->domain == d ? close_dev(dev) : -ENODEV;
}

unsigned iommu_device_count(void)
{
    unsigned n = 0;

    for (const struct iommu_dev *dev = devs; dev < devs + IOMMU_DEVS; dev++)
        n += dev->domain != NULL;
    return n;
}

int iommu_irq_route(rid_t id, unsigned index, uint32_t apic_id, uint8_t vector, struct iommu_msi *msi)
{
    struct iommu_dev *dev;

    if (index >= IOMMU_IRQS || vector < VECTOR_MIN)
        return -EINVAL;
    spin_guard(&lock);
    dev = dev_of(id);
    return dev && !dev->broken ? ops->irq_set(dev, index, apic_id, vector, msi) : -ENODEV;
}

int iommu_irq_block(rid_t id, unsigned index)
{
    struct iommu_dev *dev;

    if (index >= IOMMU_IRQS)
        return -EINVAL;
    spin_guard(&lock);
    dev = dev_of(id);
    return dev && !dev->broken ? ops->irq_clear(dev, index) : -ENODEV;
}

static bool take_fault(struct fault_record *r)
{
    const struct iommu_dev *dev;
    bool found = false;

    spin_guard(&lock);
    *r = (struct fault_record){.ns = time_ns(), .label = "function"};
    for (unsigned i = 0; ops && i < machine->nunits && !found; i++)
        found = ops->next_fault(i, &r->f);
    if (!found)
        return false;
    dev = r->f.has_dev ? user_of(r->f.dev) : NULL;
    strlcpy(r->owner, dev ? dev->domain->name : "quarantine", sizeof(r->owner));
    return true;
}

void iommu_poll_faults(void)
{
    struct fault_record r;

    for (unsigned i = 0; i < FAULTS_A_POLL && take_fault(&r); i++)
        fault_report(&r);
}
