/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/place.h"
#include "kernel/lib/types.h"

/* AMD-Vi (48882), 3.4.9: Extended Feature Register. */
#define AMDVI_EFR        0x30
#define AMDVI_EFR_NEEDED (BIT(2) | BIT(6) | BIT(7)) /* XTSup, IASup, GASup */

/* VT-d 4.1, 11.4.2 and 11.4.3. */
#define VTD_CAP         0x08
#define VTD_CAP_ND      GENMASK(2, 0) /* 16 << 2 * ND domains */
#define VTD_ND_NEEDED   2
#define VTD_CAP_RWBF    BIT(4)
#define VTD_CAP_SAGAW   GENMASK(10, 9) /* three and four levels */
#define VTD_ECAP        0x10
#define VTD_ECAP_NEEDED (BIT(1) | BIT(3) | BIT(4)) /* QI, IR, EIM */

static uint64_t unit_reg(const struct boot_unit *u, unsigned offset)
{
    return *(const volatile uint64_t *)(uintptr_t)(u->base + offset);
}

bool place_units_of_use(const struct boot_iommu *m)
{
    uint64_t levels = VTD_CAP_SAGAW;
    bool ok = true;

    for (const struct boot_unit *u = m->unit; u < m->unit + m->nunits; u++) {
        if (m->kind == BOOT_IOMMU_AMDVI) {
            ok &= (unit_reg(u, AMDVI_EFR) & AMDVI_EFR_NEEDED) == AMDVI_EFR_NEEDED;
            continue;
        }
        levels &= unit_reg(u, VTD_CAP);
        ok &= (unit_reg(u, VTD_ECAP) & VTD_ECAP_NEEDED) == VTD_ECAP_NEEDED && levels &&
              FIELD_GET(VTD_CAP_ND, unit_reg(u, VTD_CAP)) >= VTD_ND_NEEDED &&
              !(unit_reg(u, VTD_CAP) & VTD_CAP_RWBF);
    }
    return ok;
}

/* The first note about an id, or NULL. */
static const struct boot_ids *note_of(const struct boot_ids *notes, unsigned count, uint32_t id)
{
    for (const struct boot_ids *i = notes; i < notes + count; i++)
        if (id >= i->first && id <= i->last)
            return i;
    return NULL;
}

void place_functions(const struct boot_iommu *m, struct boot_pci *list, size_t count)
{
    for (struct boot_pci *d = list; d < list + count; d++) {
        const struct boot_ids *scope = note_of(m->scope, m->nscopes, m->vfs_with_pf ? d->pf : d->rid),
                              *alias = note_of(m->alias, m->naliases, d->rid);

        d->unit = scope ? scope->value : BOOT_NO_UNIT;
        d->alias = alias ? alias->value : d->rid;
    }
}
