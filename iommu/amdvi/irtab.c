/* SPDX-License-Identifier: BSD-2-Clause */
/* Interrupt remapping: a table of 128-bit entries for each attached device (2.2.5). */
#include "iommu/amdvi/amdvi.h"
#include "kernel/mm/paging.h"

#define MSI_ADDRESS 0xfee00000 /* destination and hint are not looked at when interrupts are remapped */

_Static_assert(IOMMU_IRQS == 1 << INT_TAB_LEN_256 && IOMMU_IRQS * sizeof(struct amdvi_irte) == PAGE_SIZE,
               "one frame");

static uint64_t *irte(const struct iommu_dev *dev, unsigned index)
{
    return ((struct amdvi_irte *)hpa_to_ptr(dev->irt))[index].q;
}

/* Fixed, edge-triggered, to one physical destination: IntType, RqEoi and DM are 0 (2.2.5.3). */
void amdvi_irtab_set(const struct iommu_dev *dev, unsigned index, uint32_t apic_id, uint8_t vector,
                     struct iommu_msi *msi)
{
    store128(irte(dev, index), IRTE0_REMAP_EN | FIELD_PREP(IRTE0_DEST_LO, FIELD_GET(DEST_LO, apic_id)),
             FIELD_PREP(IRTE1_VECTOR, vector) | FIELD_PREP(IRTE1_DEST_HI, FIELD_GET(DEST_HI, apic_id)));
    *msi = (struct iommu_msi){MSI_ADDRESS, index}; /* 2.2.5.1: data bits 10:0 are the index */
}

/* RemapEn = 0: the interrupt is target-aborted. */
void amdvi_irtab_clear(const struct iommu_dev *dev, unsigned index)
{
    store128(irte(dev, index), 0, 0);
}
