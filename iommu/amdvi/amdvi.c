/* SPDX-License-Identifier: BSD-2-Clause */
/* The back end's table. */
#include "iommu/amdvi/amdvi.h"
#include "kernel/console/log.h"
#include "kernel/lib/errno.h"
#include "kernel/mm/frame.h"

#define MSI_ADDRESS                                                                                          \
    0xfee00000 /* destination and redirection hint are not looked at when interrupts are remapped */
#define XAPIC_ID_MAX 254

hpa_t amdvi_empty_pt, amdvi_empty_irt;

static struct amdvi_unit units[AMDVI_UNITS];
static unsigned unit_count;

static int amdvi_init(void)
{
    int rc = 0;

    unit_count = ivrs_units(units, AMDVI_UNITS);
    if (!unit_count)
        return -ENODEV;
    amdvi_empty_pt = frame_alloc(FRAME_ORDER_4K);
    amdvi_empty_irt = frame_alloc(FRAME_ORDER_4K);
    if (!amdvi_empty_pt.a || !amdvi_empty_irt.a)
        return -ENOMEM;
    for (unsigned i = 0; i < unit_count && !rc; i++) {
        rc = unit_setup(&units[i]);
        if (!rc)
            rc = unit_off(&units[i]);
        if (!rc)
            rc = unit_on(&units[i]);
    }
    if (!rc)
        log_info("AMD-Vi: %u unit%s, every device closed", unit_count, unit_count == 1 ? "" : "s");
    return rc;
}

static int amdvi_pt_init(struct radix *pt)
{
    return radix_init(pt, &amdvi_pt_format, AMDVI_LEVELS);
}

static int amdvi_find(struct iommu_dev *dev)
{
    for (unsigned i = 0; i < unit_count; i++) {
        uint16_t alias;

        if (units[i].segment != dev->rid.id >> 16 || !ivrs_covers(&units[i], (uint16_t)dev->rid.id, &alias))
            continue;
        dev->unit = i;
        dev->alias = (rid_t){(dev->rid.id & ~(uint32_t)UINT16_MAX) | alias};
        return 0;
    }
    return -ENODEV;
}

/* What the unit has cached of one id. */
static int invalidate_id(struct amdvi_unit *u, rid_t id)
{
    int rc = cmdq_add(u, cmd_invalidate_devtab(id));

    return rc ? rc : cmdq_add(u, cmd_invalidate_inttab(id));
}

/* Both of a device's ids, and the completion. */
static int invalidate_dev(struct amdvi_unit *u, const struct iommu_dev *dev)
{
    int rc = invalidate_id(u, dev->rid);

    if (!rc && dev->alias.id != dev->rid.id)
        rc = invalidate_id(u, dev->alias);
    return rc ? rc : cmdq_sync(u);
}

static int amdvi_open(struct iommu_dev *dev)
{
    struct amdvi_unit *u = &units[dev->unit];

    dev->irt = frame_alloc(FRAME_ORDER_4K);
    if (!dev->irt.a)
        return -ENOMEM;
    devtab_open(u, dev->rid, dev);
    devtab_open(u, dev->alias, dev);
    return invalidate_dev(u, dev);
}

/* The table of interrupts is freed only when no unit can be reading it. DMA is drained by the flush of the
 * domain's pages. */
static int amdvi_close(struct iommu_dev *dev)
{
    struct amdvi_unit *u = &units[dev->unit];
    int rc;

    devtab_close(u, dev->rid);
    devtab_close(u, dev->alias);
    rc = cmdq_add(u, cmd_invalidate_pages(dev->domain->id));
    if (!rc)
        rc = invalidate_dev(u, dev);
    if (rc)
        return rc;
    if (dev->irt.a)
        frame_free(dev->irt, FRAME_ORDER_4K);
    dev->irt = hpa(0);
    return 0;
}

static int amdvi_flush(const struct iommu_domain *d)
{
    int rc = 0;

    for (unsigned i = 0; i < unit_count && !rc; i++) {
        rc = cmdq_add(&units[i], cmd_invalidate_pages(d->id));
        if (!rc)
            rc = cmdq_sync(&units[i]);
    }
    return rc;
}

static int amdvi_irq_set(struct iommu_dev *dev, unsigned index, uint32_t apic_id, uint8_t vector,
                         struct iommu_msi *msi)
{
    struct amdvi_unit *u = &units[dev->unit];

    if (apic_id > XAPIC_ID_MAX && !(u->efr & EFR_XT_SUP))
        return -EINVAL;
    irte_set(dev->irt, index, apic_id, vector);
    *msi = (struct iommu_msi){MSI_ADDRESS, index}; /* 2.2.5.1: data bits 10:0 are the index */
    return invalidate_dev(u, dev);
}

static int amdvi_irq_clear(struct iommu_dev *dev, unsigned index)
{
    irte_clear(dev->irt, index);
    return invalidate_dev(&units[dev->unit], dev);
}

static bool amdvi_next_fault(struct iommu_fault *out)
{
    for (unsigned i = 0; i < unit_count; i++)
        if (flog_next(&units[i], out))
            return true;
    return false;
}

const struct iommu_ops amdvi_ops = {
    .name = "AMD-Vi",
    .init = amdvi_init,
    .pt_init = amdvi_pt_init,
    .find = amdvi_find,
    .open = amdvi_open,
    .close = amdvi_close,
    .flush = amdvi_flush,
    .irq_set = amdvi_irq_set,
    .irq_clear = amdvi_irq_clear,
    .unity = ivrs_unity,
    .next_fault = amdvi_next_fault,
};
