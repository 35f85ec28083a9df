/* SPDX-License-Identifier: BSD-2-Clause */
/* The back end as iommu/ops.h sees it. Section numbers in this folder are of the AMD I/O virtualization
 * specification. */
#include "iommu/amdvi/amdvi.h"

static struct amdvi_unit units[BOOT_UNITS_MAX];
hpa_t amdvi_empty_pt, amdvi_empty_irt;

static int amdvi_init(const struct boot_unit *unit, unsigned count)
{
    int rc = 0;

    amdvi_empty_pt = frame_alloc(FRAME_ORDER_4K);
    amdvi_empty_irt = frame_alloc(FRAME_ORDER_4K);
    if (!amdvi_empty_pt.a || !amdvi_empty_irt.a)
        return -ENOMEM;
    for (unsigned i = 0; i < count && !rc; i++) {
        units[i] = (struct amdvi_unit){.is = &unit[i]};
        rc = amdvi_unit_setup(&units[i]);
        for (uint32_t id = 0; id < AMDVI_IDS && !rc; id++)
            devtab_close(&units[i], (rid_t){id});
        if (!rc)
            rc = amdvi_unit_on(&units[i]);
    }
    return rc;
}

/* What the unit has cached of a device's ids, and the completion. */
static int invalidate_dev(const struct iommu_dev *dev)
{
    const rid_t ids[] = {dev->rid, dev->alias};

    for (unsigned i = 0; i < ARRAY_SIZE(ids); i++) {
        cmdq_command(&units[dev->unit], CMD_INVALIDATE_DEVTAB, FIELD_PREP(CMD_DEVICE_ID, ids[i].id), 0);
        cmdq_command(&units[dev->unit], CMD_INVALIDATE_INTTAB, FIELD_PREP(CMD_DEVICE_ID, ids[i].id), 0);
    }
    return cmdq_sync(&units[dev->unit]);
}

/* All of a domain: mappings change when guests come and go, never on the data path, and large flushes are
 * simple ones (2.4.3). */
static int amdvi_flush(unsigned unit, const struct iommu_domain *d, UNUSED iova_t start, UNUSED uint64_t size)
{
    cmdq_command(&units[unit], CMD_INVALIDATE_PAGES, FIELD_PREP(CMD_DOMAIN_ID, d->id),
                 CMD_PAGES_ALL | CMD_PAGES_S | CMD_PAGES_PDE);
    return cmdq_sync(&units[unit]);
}

static int amdvi_open(struct iommu_dev *dev)
{
    dev->irt = frame_alloc(FRAME_ORDER_4K);
    if (!dev->irt.a)
        return -ENOMEM;
    devtab_open(&units[dev->unit], dev->rid, dev);
    devtab_open(&units[dev->unit], dev->alias, dev);
    return invalidate_dev(dev);
}

/* The table of interrupts is freed only when no unit can be reading it. DMA is drained by the flush of the
 * domain's pages. */
static int amdvi_close(struct iommu_dev *dev)
{
    struct amdvi_unit *u = &units[dev->unit];
    int rc;

    devtab_close(u, dev->rid);
    devtab_close(u, dev->alias);
    /* entries before pages: what is fetched in between is fetched by the new entry */
    rc = invalidate_dev(dev);
    if (!rc)
        rc = amdvi_flush(dev->unit, dev->domain, iova(0), 0);
    if (!rc && dev->irt.a)
        frame_free(dev->irt, FRAME_ORDER_4K);
    return rc;
}

static int amdvi_irq_set(struct iommu_dev *dev, unsigned index, uint32_t apic_id, uint8_t vector,
                         struct iommu_msi *msi)
{
    amdvi_irtab_set(dev, index, apic_id, vector, msi);
    return invalidate_dev(dev);
}

static int amdvi_irq_clear(struct iommu_dev *dev, unsigned index)
{
    amdvi_irtab_clear(dev, index);
    return invalidate_dev(dev);
}

static bool amdvi_next_fault(unsigned unit, struct iommu_fault *out)
{
    return amdvi_flog_next(&units[unit], out);
}

const struct iommu_ops amdvi_ops = {
    .name = "AMD-Vi",
    .init = amdvi_init,
    .pt_init = amdvi_pt_init,
    .open = amdvi_open,
    .close = amdvi_close,
    .flush = amdvi_flush,
    .irq_set = amdvi_irq_set,
    .irq_clear = amdvi_irq_clear,
    .next_fault = amdvi_next_fault,
};
