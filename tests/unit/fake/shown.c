/* SPDX-License-Identifier: BSD-2-Clause */
/* What boot/ makes of a fake function, with its own code: before the function is assigned. After fake/pci.c. */
#define pci_read8   fake_boot_read8
#define pci_read16  fake_boot_read16
#define pci_read32  fake_boot_read32
#define pci_write16 fake_boot_write16
#define pci_write32 fake_boot_write32
#include "boot/shown.c"
#undef pci_read8
#undef pci_read16
#undef pci_read32
#undef pci_write16
#undef pci_write32

uint16_t fake_boot_read16(uint32_t rid_, unsigned off)
{
    return pci_read16(pci_find((rid_t){rid_}), off);
}

uint32_t fake_boot_read32(uint32_t rid_, unsigned off)
{
    return pci_read32(pci_find((rid_t){rid_}), off);
}

static inline bool fake_shown(struct pci_dev *d)
{
    struct fake_pci *f = fake_pci_of(d);

    f->is.msix_vectors = 0;
    return shown_fill(&f->is, &f->shown);
}
