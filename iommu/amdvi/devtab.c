/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The device table (section 2.2.2) has one entry for each of the 65,536 ids, none of them ever open by
 * omission. V = 0 would mean that the device reaches all memory untranslated, so V is set once and never
 * cleared, not even while an entry changes. Instead each half of an entry is replaced whole: root, mode,
 * permissions and domain id in one 16-byte store (a root under another domain's id would fill the IOTLB
 * wrongly), and all that concerns interrupts in one quadword. Either half is safe with the other one's old
 * state: the interrupt half is blocked until irq_set() fills its table, and it goes first on the way in and
 * out alike.
 */
#include "iommu/amdvi/amdvi.h"

/* INIT, NMI, ExtInt and LINT pass-through stay 0. */
static void set_dte(struct amdvi_unit *u, rid_t id, hpa_t irt, unsigned int_ctl, hpa_t root,
                    uint64_t permissions, unsigned domain)
{
    struct amdvi_dte *e = &u->devtab[id.id % AMDVI_IDS];

    __atomic_store_n(&e->q[2],
                     DTE2_IV | FIELD_PREP(DTE2_INT_TAB_LEN, INT_TAB_LEN_256) | (irt.a & DTE2_INT_TAB_ROOT) |
                         FIELD_PREP(DTE2_INT_CTL, int_ctl),
                     __ATOMIC_RELEASE);
    store128(e->q,
             DTE0_V | DTE0_TV | FIELD_PREP(DTE0_MODE, AMDVI_LEVELS) | (root.a & DTE0_ROOT) | permissions,
             FIELD_PREP(DTE1_DOMAIN, domain));
}

void devtab_close(struct amdvi_unit *u, rid_t id)
{
    set_dte(u, id, amdvi_empty_irt, INT_CTL_ABORT, amdvi_empty_pt, 0, IOMMU_DOMAIN_QUARANTINE);
}

void devtab_open(struct amdvi_unit *u, rid_t id, const struct iommu_dev *dev)
{
    set_dte(u, id, dev->irt, INT_CTL_REMAP, dev->domain->pt.root, DTE0_IR | DTE0_IW, dev->domain->id);
}
