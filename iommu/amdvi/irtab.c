/* SPDX-License-Identifier: BSD-2-Clause */
/* Interrupt remapping tables with 128-bit entries (section 2.2.5.3). */
#include "iommu/amdvi/amdvi.h"
#include "kernel/mm/paging.h"

static struct amdvi_irte *irte(hpa_t irt, unsigned index)
{
    return (struct amdvi_irte *)hpa_to_ptr(irt) + index;
}

/* Fixed, edge-triggered, to one physical destination: IntType, RqEoi and DM are 0. */
void irte_set(hpa_t irt, unsigned index, uint32_t apic_id, uint8_t vector)
{
    store128(irte(irt, index)->q, IRTE0_REMAP_EN | FIELD_PREP(IRTE0_DEST_LO, FIELD_GET(DEST_LO, apic_id)),
             FIELD_PREP(IRTE1_VECTOR, vector) | FIELD_PREP(IRTE1_DEST_HI, FIELD_GET(DEST_HI, apic_id)));
}

/* RemapEn = 0: the interrupt is target-aborted. */
void irte_clear(hpa_t irt, unsigned index)
{
    store128(irte(irt, index)->q, 0, 0);
}
