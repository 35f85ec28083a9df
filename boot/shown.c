/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/shown.h"
#include "boot/pci_access.h"
#include "boot/pci_regs.h"
#include <string.h>

#define CAP_NEXT         0x01
#define PCIE_CAP_BYTES   0x3c
#define MSIX_CAP_BYTES   12
#define MSI_HEAD_BYTES   4
#define MSI_MMC_MAX      5 /* 32 vectors */

static void set(uint8_t *cfg, unsigned off, unsigned size, uint32_t v)
{
    memcpy(cfg + off, &v, size);
}

/* Copies a capability of the hardware's to `at` and puts it in front of the list. */
static void add_cap(const struct boot_pci *d, struct boot_shown *s, unsigned at, unsigned hw, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i += 4)
        set(s->cfg, at + i, 4, pci_read32(d->rid, hw + i));
    s->cfg[at + CAP_NEXT] = s->cfg[PCI_CAP_PTR];
    s->cfg[PCI_CAP_PTR] = (uint8_t)at;
    s->cfg[PCI_STATUS] = PCI_STATUS_CAP_LIST;
}

/* In the 64-bit format and without masks, whatever the hardware's has. */
static void add_msi(const struct boot_pci *d, struct boot_shown *s)
{
    uint32_t mmc = (uint32_t)FIELD_GET(PCI_MSI_MMC, pci_read16(d->rid, d->cap_msi + PCI_MSI_CTRL));

    add_cap(d, s, BOOT_SHOWN_MSI, d->cap_msi, MSI_HEAD_BYTES);
    set(s->cfg, BOOT_SHOWN_MSI + PCI_MSI_CTRL, 2,
        PCI_MSI_64BIT | (uint32_t)FIELD_PREP(PCI_MSI_MMC, MIN(mmc, MSI_MMC_MAX)));
    set(s->wmask, BOOT_SHOWN_MSI + PCI_MSI_CTRL, 2, PCI_MSI_ENABLE | PCI_MSI_MME);
    set(s->wmask, BOOT_SHOWN_MSI + PCI_MSI_MESSAGE, 4, ~3u);
    set(s->wmask, BOOT_SHOWN_MSI + PCI_MSI_MESSAGE + 4, 4, UINT32_MAX);
    set(s->wmask, BOOT_SHOWN_MSI + PCI_MSI_MESSAGE + 8, 2, UINT16_MAX);
}

static void add_msix(const struct boot_pci *d, struct boot_shown *s)
{
    add_cap(d, s, BOOT_SHOWN_MSIX, d->cap_msix, MSIX_CAP_BYTES);
    set(s->wmask, BOOT_SHOWN_MSIX + PCI_MSIX_CTRL, 2, PCI_MSIX_ENABLE | PCI_MSIX_MASK);
}

static void add_pcie(const struct boot_pci *d, struct boot_shown *s)
{
    uint32_t devcap = pci_read32(d->rid, d->cap_pcie + PCIE_DEVCAP);

    add_cap(d, s, BOOT_SHOWN_PCIE, d->cap_pcie, PCIE_CAP_BYTES);
    if (d->reset.bits != PCIE_DEVCTL_FLR)
        set(s->cfg, BOOT_SHOWN_PCIE + PCIE_DEVCAP, 4, devcap & ~PCIE_DEVCAP_FLR);
}

static bool find_msix(struct boot_pci *d)
{
    uint32_t vectors = (pci_read16(d->rid, d->cap_msix + PCI_MSIX_CTRL) & PCI_MSIX_SIZE) + 1;
    uint32_t table = pci_read32(d->rid, d->cap_msix + PCI_MSIX_TABLE);
    uint32_t bar = table & PCI_MSIX_BIR, offset = table & ~PCI_MSIX_BIR;

    if (bar >= BOOT_VF_BARS || d->bar[bar].io ||
        offset + (uint64_t)vectors * MSIX_ENTRY_BYTES > d->bar[bar].size)
        return false;
    d->msix_vectors = (uint16_t)vectors;
    d->msix_bar = (uint16_t)bar;
    d->msix_offset = offset;
    return true;
}

bool shown_fill(struct boot_pci *d, struct boot_shown *s)
{
    bool ok = !d->cap_msix || find_msix(d);

    memset(s, 0, sizeof(*s));
    set(s->cfg, 0, 4, (uint32_t)d->device << 16 | d->vendor);
    set(s->cfg, PCI_CLASS_REV, 4, d->class_rev);
    set(s->cfg, PCI_SUBSYSTEM, 4, pci_read32(d->rid, PCI_SUBSYSTEM));
    set(s->wmask, PCI_COMMAND, 2, PCI_COMMAND_MEM | PCI_COMMAND_BM | PCI_COMMAND_INTX);
    if (d->cap_msi)
        add_msi(d, s);
    if (d->msix_vectors)
        add_msix(d, s);
    if (d->cap_pcie)
        add_pcie(d, s);
    return ok;
}
