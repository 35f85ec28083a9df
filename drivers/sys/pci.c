/* SPDX-License-Identifier: BSD-2-Clause */
/* Configuration space through 0xcf8/0xcfc, and MSI-X (PCI Local Bus 3.0, 3.2.2.3.2 and 6.8.2). */
#include "drivers/sys/sys.h"
#include "drivers/sys/x86.h"
#include <errno.h>

#define CONFIG_ADDRESS 0xcf8
#define CONFIG_DATA    0xcfc
#define CONFIG_ENABLE  (1u << 31)

#define PCI_COMMAND     0x04
#define PCI_STATUS      0x06
#define PCI_STATUS_CAPS 0x10
#define PCI_BAR0        0x10
#define PCI_BARS        6
#define PCI_CAP_POINTER 0x34
#define BAR_IO          0x1
#define BAR_TYPE        0x6
#define BAR_TYPE_64     0x4
#define BAR_ADDRESS     0xfffffff0u

#define CAP_MSIX          0x11
#define MSIX_CONTROL      2
#define MSIX_TABLE        4
#define MSIX_ENABLE       0x8000
#define MSIX_MASK_ALL     0x4000u
#define MSIX_SIZE         0x07ff
#define MSIX_BIR          0x7u
#define MSIX_ENTRY_MASKED 0x1

struct msix_entry {
    uint32_t address_lo, address_hi, data, control;
};
_Static_assert(sizeof(struct msix_entry) == 16, "MSI-X table entry");

static void select(unsigned devfn, unsigned reg)
{
    outl(CONFIG_ADDRESS, CONFIG_ENABLE | devfn << 8 | (reg & 0xfc));
}

uint32_t pci_read(unsigned devfn, unsigned reg, unsigned size)
{
    uint32_t v;

    select(devfn, reg);
    v = inl(CONFIG_DATA) >> 8 * (reg & 3);
    return size == 4 ? v : v & ((1u << 8 * size) - 1);
}

void pci_write(unsigned devfn, unsigned reg, unsigned size, uint32_t v)
{
    uint16_t port = (uint16_t)(CONFIG_DATA + (reg & 3));

    select(devfn, reg);
    if (size == 4)
        outl(port, v);
    else if (size == 2)
        outw(port, (uint16_t)v);
    else
        outb(port, (uint8_t)v);
}

unsigned pci_find_cap(unsigned devfn, uint8_t id)
{
    unsigned at;

    if (!(pci_read(devfn, PCI_STATUS, 2) & PCI_STATUS_CAPS))
        return 0;
    at = pci_read(devfn, PCI_CAP_POINTER, 1) & 0xfc;
    for (unsigned n = 0; at && n < 48; n++) {
        if (pci_read(devfn, at, 1) == id)
            return at;
        at = pci_read(devfn, at + 1, 1) & 0xfc;
    }
    return 0;
}

uint64_t pci_bar(unsigned devfn, unsigned n)
{
    uint32_t lo = pci_read(devfn, PCI_BAR0 + 4 * n, 4), hi = 0;

    if (lo & BAR_IO)
        return 0;
    if ((lo & BAR_TYPE) == BAR_TYPE_64 && n + 1 < PCI_BARS)
        hi = pci_read(devfn, PCI_BAR0 + 4 * n + 4, 4);
    return (uint64_t)hi << 32 | (lo & BAR_ADDRESS);
}

void pci_enable(unsigned devfn, uint32_t bits)
{
    pci_write(devfn, PCI_COMMAND, 2, pci_read(devfn, PCI_COMMAND, 2) | bits);
}

int pci_msix_enable(unsigned devfn, const unsigned *irq, unsigned n)
{
    unsigned cap = pci_find_cap(devfn, CAP_MSIX), control, size, bir;
    uint32_t where;
    uint64_t bar;
    volatile struct msix_entry *table;

    if (!cap)
        return -ENODEV;
    control = pci_read(devfn, cap + MSIX_CONTROL, 2);
    size = (control & MSIX_SIZE) + 1;
    where = pci_read(devfn, cap + MSIX_TABLE, 4);
    bir = where & MSIX_BIR;
    bar = bir < PCI_BARS ? pci_bar(devfn, bir) : 0;
    if (n > size || !bar)
        return -ENODEV;
    table = page_map_device(bar + (where & ~MSIX_BIR), size * sizeof(*table));
    if (!table)
        return -ENOMEM;

    pci_write(devfn, cap + MSIX_CONTROL, 2, control | MSIX_ENABLE | MSIX_MASK_ALL);
    for (unsigned i = 0; i < size; i++) {
        table[i].control = MSIX_ENTRY_MASKED;
        if (i >= n)
            continue;
        table[i].address_lo = (uint32_t)apic_msi_address();
        table[i].address_hi = (uint32_t)(apic_msi_address() >> 32);
        table[i].data = apic_msi_data(irq[i]);
        table[i].control = 0;
    }
    pci_write(devfn, cap + MSIX_CONTROL, 2, (control & ~MSIX_MASK_ALL) | MSIX_ENABLE);
    return 0;
}
