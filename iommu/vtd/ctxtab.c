/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The context tables (9.3) of all 256 buses lie one behind the other: one entry for each of the 65,536 ids.
 * An entry without P blocks, so the half with P is written last on the way in, and alone on the way out.
 */
#include "iommu/vtd/vtd.h"

void ctxtab_close(struct vtd_unit *u, rid_t id)
{
    vtd_store(&u->context[id.id % VTD_IDS].q[0], 0);
}

void ctxtab_open(struct vtd_unit *u, rid_t id, const struct iommu_domain *d)
{
    struct vtd_entry *e = &u->context[id.id % VTD_IDS];

    vtd_store(&e->q[1], FIELD_PREP(CTX1_DID, d->id) | FIELD_PREP(CTX1_AW, d->pt.levels - 2));
    vtd_store(&e->q[0], CTX0_P | (d->pt.root.a & CTX0_ROOT));
}
