/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * iommu/iommu.h as lists: what is mapped where, which device is in which domain, where its interrupts go.
 * Include once, before the file under test.
 */
#include "iommu/iommu.h"
#include <stdlib.h>
#include <string.h>

struct fake_iommu_map {
    iova_t start;
    hpa_t target;
    uint64_t size;
    unsigned flags;
};

struct iommu_domain {
    const char *name;
    unsigned maps, devs;
    struct fake_iommu_map map[64]; /* unmap must name a whole one */
};

struct fake_iommu_irq {
    bool routed;
    uint32_t apic_id;
    uint8_t vector;
};

struct fake_iommu_dev {
    rid_t dev;
    struct iommu_domain *domain; /* NULL: quarantine */
    struct fake_iommu_irq irq[IOMMU_IRQS];
};

static struct fake_iommu_dev fake_iommu_devs[64] __attribute__((unused)); /* each id ever attached */
static unsigned fake_iommu_dev_count __attribute__((unused));
static long fake_iommu_domains_out __attribute__((unused)); /* domains not destroyed */
static int fake_iommu_rc __attribute__((unused));           /* not 0: every call fails with it */
static uint64_t fake_iommu_faults __attribute__((unused));

static inline struct fake_iommu_dev *fake_iommu_dev(rid_t dev)
{
    for (unsigned i = 0; i < fake_iommu_dev_count; i++)
        if (fake_iommu_devs[i].dev.id == dev.id)
            return &fake_iommu_devs[i];
    return NULL;
}

/* The mapping that covers an address, or NULL. */
static inline struct fake_iommu_map *fake_iommu_lookup(struct iommu_domain *d, iova_t a)
{
    for (unsigned i = 0; i < d->maps; i++)
        if (a.a - d->map[i].start.a < d->map[i].size)
            return &d->map[i];
    return NULL;
}

int iommu_init(const struct boot_iommu *machine)
{
    (void)machine;
    return fake_iommu_rc;
}

struct iommu_domain *iommu_domain_create(const char *name)
{
    struct iommu_domain *d = fake_iommu_rc ? NULL : calloc(1, sizeof(*d));

    if (d) {
        d->name = name;
        fake_iommu_domains_out++;
    }
    return d;
}

int iommu_domain_destroy(struct iommu_domain *d)
{
    if (d->devs)
        return -EBUSY;
    fake_iommu_domains_out--;
    free(d);
    return 0;
}

int iommu_map(struct iommu_domain *d, iova_t start, hpa_t target, uint64_t size, unsigned flags)
{
    if (((start.a | target.a | size) & PAGE_MASK) || size == 0)
        return -EINVAL;
    if (fake_iommu_rc)
        return fake_iommu_rc;
    if (d->maps == ARRAY_SIZE(d->map))
        return -ENOMEM;
    d->map[d->maps++] = (struct fake_iommu_map){start, target, size, flags};
    return 0;
}

int iommu_unmap(struct iommu_domain *d, iova_t start, uint64_t size)
{
    if (fake_iommu_rc)
        return fake_iommu_rc;
    for (unsigned i = 0; i < d->maps; i++) {
        if (d->map[i].start.a == start.a && d->map[i].size == size) {
            d->map[i] = d->map[--d->maps];
            return 0;
        }
    }
    return -EINVAL;
}

int iommu_attach(struct iommu_domain *d, rid_t dev)
{
    struct fake_iommu_dev *f = fake_iommu_dev(dev);

    if (fake_iommu_rc)
        return fake_iommu_rc;
    if (f && f->domain)
        return -EBUSY;
    if (!f) {
        if (fake_iommu_dev_count == ARRAY_SIZE(fake_iommu_devs))
            return -ENOMEM;
        f = &fake_iommu_devs[fake_iommu_dev_count++];
    }
    *f = (struct fake_iommu_dev){.dev = dev, .domain = d};
    d->devs++;
    return 0;
}

int iommu_detach(struct iommu_domain *d, rid_t dev)
{
    struct fake_iommu_dev *f = fake_iommu_dev(dev);

    if (fake_iommu_rc)
        return fake_iommu_rc;
    if (!f || f->domain != d)
        return -ENODEV;
    *f = (struct fake_iommu_dev){.dev = dev};
    d->devs--;
    return 0;
}

int iommu_irq_route(rid_t dev, unsigned index, uint32_t apic_id, uint8_t vector, struct iommu_msi *msi)
{
    struct fake_iommu_dev *f = fake_iommu_dev(dev);

    if (fake_iommu_rc)
        return fake_iommu_rc;
    if (index >= IOMMU_IRQS)
        return -EINVAL;
    if (!f || !f->domain)
        return -ENODEV;
    f->irq[index] = (struct fake_iommu_irq){true, apic_id, vector};
    *msi = (struct iommu_msi){0xfee00000, index};
    return 0;
}

int iommu_irq_block(rid_t dev, unsigned index)
{
    struct fake_iommu_dev *f = fake_iommu_dev(dev);

    if (fake_iommu_rc)
        return fake_iommu_rc;
    if (index >= IOMMU_IRQS)
        return -EINVAL;
    if (!f || !f->domain)
        return -ENODEV;
    f->irq[index].routed = false;
    return 0;
}

void iommu_poll_faults(void)
{
}
