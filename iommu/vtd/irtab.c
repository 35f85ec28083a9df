/* SPDX-License-Identifier: BSD-2-Clause */
/* Interrupt remapping (5.1): one table a unit, in which each attached device has its own piece. */
#include "iommu/vtd/vtd.h"

/* An interrupt counts only if its device sent it. Behind a bridge to PCI any id of its buses may stand for it
 * (9.10). */
static uint64_t source(const struct iommu_dev *dev)
{
    uint64_t own = dev->rid.id & 0xffff, alias = dev->alias.id & 0xffff;

    if (own == alias)
        return FIELD_PREP(IRTE1_SVT, SVT_SID) | FIELD_PREP(IRTE1_SID, own);
    return FIELD_PREP(IRTE1_SVT, SVT_BUSES) | FIELD_PREP(IRTE1_SID, (alias & 0xff00) | own >> 8);
}

/* Fixed, edge-triggered, to one physical destination: DLM, TM, RH and DM are 0. */
void vtd_irtab_set(struct vtd_unit *u, const struct iommu_dev *dev, unsigned index, uint32_t apic_id,
                   uint8_t vector, struct iommu_msi *msi)
{
    unsigned entry = IRTAB_INDEX(dev, index), handle = IRTAB_INDEX(dev, 0);

    vtd_store(&u->irt[entry].q[1], source(dev));
    vtd_store(&u->irt[entry].q[0], IRTE0_P | FIELD_PREP(IRTE0_V, vector) | FIELD_PREP(IRTE0_DST, apic_id));
    *msi = (struct iommu_msi){MSI_ADDRESS | MSI_REMAPPABLE | MSI_SUBHANDLE |
                                  FIELD_PREP(MSI_HANDLE_LO, handle) | FIELD_PREP(MSI_HANDLE_HI, handle >> 15),
                              index};
}

void vtd_irtab_clear(struct vtd_unit *u, const struct iommu_dev *dev, unsigned index)
{
    vtd_store(&u->irt[IRTAB_INDEX(dev, index)].q[0], 0);
}
