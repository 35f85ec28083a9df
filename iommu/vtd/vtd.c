/* SPDX-License-Identifier: BSD-2-Clause */
/* The back end as iommu/ops.h sees it. Section numbers in this folder are of the VT-d specification. */
#include "iommu/vtd/vtd.h"

static struct vtd_unit units[BOOT_UNITS_MAX];
uint64_t vtd_cap, vtd_ecap;

void vtd_written(const void *p, size_t size)
{
    if (!(vtd_ecap & ECAP_C))
        flush_to_ram(p, size);
}

void vtd_store(uint64_t *p, uint64_t v)
{
    __atomic_store_n(p, v, __ATOMIC_RELEASE);
    vtd_written(p, sizeof(*p));
}

static int vtd_init(const struct boot_unit *unit, unsigned count)
{
    int rc = 0;

    vtd_cap = vtd_ecap = ~(uint64_t)0;
    for (unsigned i = 0; i < count && !rc; i++) {
        units[i] = (struct vtd_unit){.is = &unit[i]};
        rc = vtd_unit_setup(&units[i]);
        vtd_cap &= units[i].cap;
        vtd_ecap &= units[i].ecap;
    }
    for (unsigned i = 0; i < count && !rc; i++)
        rc = vtd_unit_on(&units[i]);
    return rc;
}

/* 6.5.2.3: the smallest aligned power of two of pages that holds the range, or all of the domain if that is
 * too much or the range is empty. */
static void invalidate_pages(struct vtd_unit *u, uint16_t domain, iova_t start, uint64_t size)
{
    uint64_t q0 = INV_IOTLB | FIELD_PREP(INV_DID, domain) | (u->cap & CAP_DRD ? INV_DRAIN_R : 0) |
                  (u->cap & CAP_DWD ? INV_DRAIN_W : 0);
    unsigned am = 0, max = (unsigned)FIELD_GET(CAP_MAMV, u->cap);

    while (am <= max && (start.a >> (PAGE_SHIFT + am)) != ((start.a + size - 1) >> (PAGE_SHIFT + am)))
        am++;
    if (!size || !(u->cap & CAP_PSI) || am > max)
        invq_command(u, q0 | FIELD_PREP(INV_G, G_DOMAIN), 0);
    else
        invq_command(u, q0 | FIELD_PREP(INV_G, G_PAGES),
                     ALIGN_DOWN(start.a, PAGE_SIZE << am) | FIELD_PREP(INV1_AM, am));
}

static int vtd_flush(unsigned unit, const struct iommu_domain *d, iova_t start, uint64_t size)
{
    invalidate_pages(&units[unit], d->id, start, size);
    return invq_sync(&units[unit]);
}

/* Entries before pages: what is fetched in between is fetched by the new entry (6.5.2.1). */
static int invalidate_dev(const struct iommu_dev *dev)
{
    struct vtd_unit *u = &units[dev->unit];

    invq_command(u, INV_CONTEXT | FIELD_PREP(INV_G, G_GLOBAL), 0);
    invalidate_pages(u, dev->domain->id, iova(0), 0);
    return invq_sync(u);
}

/* `count` entries from `index` on, both a power of two. */
static int invalidate_irqs(const struct iommu_dev *dev, unsigned index, unsigned count)
{
    struct vtd_unit *u = &units[dev->unit];

    invq_command(u,
                 INV_IEC | INV_IEC_INDEX | FIELD_PREP(INV_IEC_IIDX, IRTAB_INDEX(dev, index)) |
                     FIELD_PREP(INV_IEC_IM, __builtin_ctz(count)),
                 0);
    return invq_sync(u);
}

static int vtd_open(struct iommu_dev *dev)
{
    ctxtab_open(&units[dev->unit], dev->rid, dev->domain);
    ctxtab_open(&units[dev->unit], dev->alias, dev->domain);
    return invalidate_dev(dev);
}

static int vtd_close(struct iommu_dev *dev)
{
    int rc;

    ctxtab_close(&units[dev->unit], dev->rid);
    ctxtab_close(&units[dev->unit], dev->alias);
    for (unsigned i = 0; i < IOMMU_IRQS; i++)
        vtd_irtab_clear(&units[dev->unit], dev, i);
    rc = invalidate_dev(dev);
    return rc ? rc : invalidate_irqs(dev, 0, IOMMU_IRQS);
}

static int vtd_irq_set(struct iommu_dev *dev, unsigned index, uint32_t apic_id, uint8_t vector,
                       struct iommu_msi *msi)
{
    vtd_irtab_set(&units[dev->unit], dev, index, apic_id, vector, msi);
    return invalidate_irqs(dev, index, 1);
}

static int vtd_irq_clear(struct iommu_dev *dev, unsigned index)
{
    vtd_irtab_clear(&units[dev->unit], dev, index);
    return invalidate_irqs(dev, index, 1);
}

static bool vtd_next_fault(unsigned unit, struct iommu_fault *out)
{
    return vtd_flog_next(&units[unit], out);
}

const struct iommu_ops vtd_ops = {
    .name = "VT-d",
    .init = vtd_init,
    .pt_init = vtd_pt_init,
    .open = vtd_open,
    .close = vtd_close,
    .flush = vtd_flush,
    .irq_set = vtd_irq_set,
    .irq_clear = vtd_irq_clear,
    .next_fault = vtd_next_fault,
};
