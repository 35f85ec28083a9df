/* SPDX-License-Identifier: BSD-2-Clause */
/* AMD-Vi: AMD I/O Virtualization Technology (48882) revision 3.08, section 3.4. VT-d: Intel's specification 4.1, sections 6.5.2 and 11.4. */
#include "boot/iommu_stop.h"
#include "boot/pci_access.h"
#include "kernel/cpu/x86.h"
#include "kernel/lib/mmio.h"
#include "kernel/lib/types.h"
#include "kernel/pci/regs.h"

#define STOP_MS 100

/* --- AMD-Vi --- */
static const reg64_t AMDVI_CONTROL = {0x0018};
static const reg64_t AMDVI_EXCL_BASE = {0x0020};
static const reg64_t AMDVI_EXCL_LIMIT = {0x0028};
static const reg32_t AMDVI_STATUS = {0x2020};

#define AMDVI_CONTROL_EN BIT(0)
#define AMDVI_STATUS_RUN (BIT32(3) | BIT32(4)) /* event log, command buffer */

/* --- VT-d --- */
static const reg64_t VTD_CAP = {0x08};
static const reg32_t VTD_GCMD = {0x18};
static const reg32_t VTD_GSTS = {0x1c};
static const reg32_t VTD_PMEN = {0x64};
static const reg32_t VTD_IQH = {0x80}; /* the lower half, as of the next */
static const reg32_t VTD_IQT = {0x88};

#define VTD_CAP_PROTECTS (BIT(5) | BIT(6)) /* PLMR, PHMR */
#define VTD_TE           BIT32(31)
#define VTD_QIE          BIT32(26)
#define VTD_IRE          BIT32(25)
#define VTD_CFI          BIT32(23)
#define VTD_LASTING      (VTD_TE | VTD_QIE | VTD_IRE | VTD_CFI)
#define VTD_PMEN_EPM     BIT32(31)
#define VTD_PMEN_PRS     BIT32(0)
#define VTD_RING_PTR     GENMASK32(18, 4)

/* Looks once more when the time is over. */
static bool becomes(volatile void *mmio, reg32_t r, uint32_t mask, uint32_t want, uint32_t tsc_khz)
{
    uint64_t end = rdtsc() + (uint64_t)tsc_khz * STOP_MS;

    while ((mmio_read32(mmio, r) & mask) != want && rdtsc() < end)
        ;
    return (mmio_read32(mmio, r) & mask) == want;
}

/* It reads its tables and writes its log as a bus master, and was silenced with all functions. */
static void master_bus(uint32_t rid)
{
    uint16_t command = pci_read16(rid, PCI_COMMAND);

    if (command != UINT16_MAX)
        pci_write16(rid, PCI_COMMAND, (uint16_t)(command | PCI_COMMAND_BM));
}

/* The rings first, and translation once they stand (3.4.1, Control). */
static bool amdvi_stop(const struct boot_unit *u, uint32_t tsc_khz)
{
    volatile void *mmio = (volatile void *)(uintptr_t)u->base;

    mmio_write64(mmio, AMDVI_CONTROL, mmio_read64(mmio, AMDVI_CONTROL) & AMDVI_CONTROL_EN);
    if (!becomes(mmio, AMDVI_STATUS, AMDVI_STATUS_RUN, 0, tsc_khz))
        return false;
    mmio_write64(mmio, AMDVI_CONTROL, 0);
    mmio_write64(mmio, AMDVI_EXCL_BASE, 0);
    mmio_write64(mmio, AMDVI_EXCL_LIMIT, 0);
    master_bus(u->rid);
    return true;
}

/* The queue goes off when it is empty (6.5.2), or stands still; one thing at a time (11.4.4). */
static bool vtd_stop(const struct boot_unit *u, uint32_t tsc_khz)
{
    static const uint32_t order[] = {VTD_TE, VTD_IRE, VTD_QIE};
    volatile void *mmio = (volatile void *)(uintptr_t)u->base;

    (void)becomes(mmio, VTD_IQH, VTD_RING_PTR, mmio_read32(mmio, VTD_IQT) & VTD_RING_PTR, tsc_khz);
    for (unsigned i = 0; i < ARRAY_SIZE(order); i++) {
        uint32_t status = mmio_read32(mmio, VTD_GSTS);

        if (!(status & order[i]))
            continue;
        mmio_write32(mmio, VTD_GCMD, status & VTD_LASTING & ~order[i]);
        if (!becomes(mmio, VTD_GSTS, order[i], 0, tsc_khz))
            return false;
    }
    if (!(mmio_read64(mmio, VTD_CAP) & VTD_CAP_PROTECTS))
        return true;
    mmio_write32(mmio, VTD_PMEN, mmio_read32(mmio, VTD_PMEN) & ~VTD_PMEN_EPM);
    return becomes(mmio, VTD_PMEN, VTD_PMEN_PRS, 0, tsc_khz);
}

void iommu_stop(struct boot_iommu *iommu, uint32_t tsc_khz)
{
    bool ok = true;

    if (iommu->kind == BOOT_IOMMU_NONE)
        return;
    for (const struct boot_unit *u = iommu->unit; u < iommu->unit + iommu->nunits; u++)
        ok &= iommu->kind == BOOT_IOMMU_AMDVI ? amdvi_stop(u, tsc_khz) : vtd_stop(u, tsc_khz);
    if (!ok)
        iommu->kind = BOOT_IOMMU_NONE;
}
