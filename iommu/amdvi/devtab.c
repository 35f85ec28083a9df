/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The device table (section 2.2.2): one entry for each of the 65,536 ids, none of them ever open by omission.
 * V = 0 would mean that the device reaches all memory untranslated, so V is set once and never cleared, not
 * even while an entry changes. Instead each half of an entry is replaced whole: root, mode, permissions and
 * domain id in one 16-byte store (a root under another domain's id would fill the IOTLB wrongly), and all
 * that concerns interrupts in one quadword. Either half is safe with the other one's old state: the interrupt
 * half is blocked until irq_set() fills its table, and it goes first on the way in and out alike.
 */
#include "iommu/amdvi/amdvi.h"
#include "kernel/mm/paging.h"

static struct amdvi_dte *dte(struct amdvi_unit *u, rid_t id)
{
    return &u->devtab[id.id % AMDVI_IDS];
}

static uint64_t dma_half(hpa_t root, uint64_t permissions)
{
    return DTE0_V | DTE0_TV | FIELD_PREP(DTE0_MODE, AMDVI_LEVELS) | (root.a & DTE0_ROOT) | permissions;
}

/* INIT, NMI, ExtInt and LINT pass-through stay 0 in either case. */
static uint64_t interrupt_half(hpa_t irt, unsigned int_ctl)
{
    return DTE2_IV | FIELD_PREP(DTE2_INT_TAB_LEN, AMDVI_RING_LN) | (irt.a & DTE2_INT_TAB_ROOT) |
           FIELD_PREP(DTE2_INT_CTL, int_ctl);
}

void devtab_close(struct amdvi_unit *u, rid_t id)
{
    struct amdvi_dte *e = dte(u, id);

    __atomic_store_n(&e->q[2], interrupt_half(amdvi_empty_irt, INT_CTL_ABORT), __ATOMIC_RELEASE);
    store128(e->q, dma_half(amdvi_empty_pt, 0), FIELD_PREP(DTE1_DOMAIN, IOMMU_DOMAIN_QUARANTINE));
}

void devtab_close_all(struct amdvi_unit *u)
{
    for (uint32_t id = 0; id < AMDVI_IDS; id++)
        devtab_close(u, (rid_t){id});
}

void devtab_open(struct amdvi_unit *u, rid_t id, const struct iommu_dev *dev)
{
    struct amdvi_dte *e = dte(u, id);

    __atomic_store_n(&e->q[2], interrupt_half(dev->irt, INT_CTL_REMAP), __ATOMIC_RELEASE);
    store128(e->q, dma_half(dev->domain->pt.root, DTE0_IR | DTE0_IW),
             FIELD_PREP(DTE1_DOMAIN, dev->domain->id));
}
