/* SPDX-License-Identifier: BSD-2-Clause */
/* One unit: switching it on in the order of section 2.11 (initialization). boot/ has stopped it, taken the ranges away that the
 * firmware excluded, and made it a bus master. */
#include "iommu/amdvi/amdvi.h"
#include "kernel/mm/heap.h"

#define DEVTAB_SIZE (AMDVI_IDS * sizeof(struct amdvi_dte))

_Static_assert(DEVTAB_SIZE == SIZE_2M, "one large frame");
_Static_assert(AMDVI_RING * sizeof(struct amdvi_entry) == PAGE_SIZE, "one frame");

/* Memory of a unit lives for ever; what is taken when a later step fails stays taken, and the machine does
 * not start. */
int amdvi_unit_setup(struct amdvi_unit *u)
{
    u->devtab = heap_alloc(DEVTAB_SIZE);
    u->cmd = heap_alloc(PAGE_SIZE);
    u->log = heap_alloc(PAGE_SIZE);
    u->done = heap_alloc(sizeof(*u->done));
    u->mmio = mmio_map(hpa(u->is->base), AMDVI_MMIO_SIZE);
    if (!u->devtab || !u->cmd || !u->log || !u->done || !u->mmio)
        return -ENOMEM;
    return 0;
}

static uint64_t ring_base(const void *ring)
{
    return (ptr_to_hpa(ring).a & AMDVI_BASE) | FIELD_PREP(AMDVI_RING_LEN, AMDVI_RING_LN);
}

static uint64_t control_bits(const struct amdvi_unit *u)
{
    return CONTROL_COHERENT | CONTROL_EVT_LOG_EN | CONTROL_CMD_BUF_EN | CONTROL_GA_EN | CONTROL_XT_EN |
           (u->is->flags & IVHD_HT_TUN_EN ? CONTROL_HT_TUN_EN : 0) |
           (u->is->flags & IVHD_PASS_PW ? CONTROL_PASS_PW : 0) |
           (u->is->flags & IVHD_RES_PASS_PW ? CONTROL_RES_PASS_PW : 0) |
           (u->is->flags & IVHD_ISOC ? CONTROL_ISOC : 0);
}

/*
 * GAEn and XTEn take effect only while IommuEn is 0. Nothing that the unit has cached from before survives:
 * INVALIDATE_IOMMU_ALL covers everything; device table entries are named one by one all the same, for that is
 * the rule for every entry that was changed.
 */
int amdvi_unit_on(struct amdvi_unit *u)
{
    mmio_write64(u->mmio, DEV_TAB_BASE,
                 ptr_to_hpa(u->devtab).a | FIELD_PREP(DEV_TAB_BASE_SIZE, DEVTAB_SIZE / PAGE_SIZE - 1));
    mmio_write64(u->mmio, CMD_BUF_BASE, ring_base(u->cmd));
    mmio_write64(u->mmio, EVT_LOG_BASE, ring_base(u->log));
    mmio_write64(u->mmio, CMD_BUF_HEAD, 0);
    mmio_write64(u->mmio, CMD_BUF_TAIL, 0);
    mmio_write64(u->mmio, EVT_LOG_HEAD, 0);
    mmio_write64(u->mmio, EVT_LOG_TAIL, 0);
    mmio_write64(u->mmio, IOMMU_STATUS, STATUS_EVT_OVERFLOW);
    mmio_write64(u->mmio, IOMMU_CONTROL, control_bits(u));
    mmio_write64(u->mmio, IOMMU_CONTROL, control_bits(u) | CONTROL_IOMMU_EN);
    cmdq_command(u, CMD_INVALIDATE_ALL, 0, 0);
    for (uint32_t id = 0; id < AMDVI_IDS; id++)
        cmdq_command(u, CMD_INVALIDATE_DEVTAB, FIELD_PREP(CMD_DEVICE_ID, id), 0);
    return cmdq_sync(u);
}
