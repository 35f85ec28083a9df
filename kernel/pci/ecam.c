/* SPDX-License-Identifier: BSD-2-Clause */
/* Configuration space in memory (PCIe 5.0 7.2.2). */
#include "kernel/mm/paging.h"
#include "kernel/pci/internal.h"

#define ECAM_BUS_SIZE BIT(20)
#define ECAM_FN_SHIFT 12

static const struct boot_machine *machine;
static volatile char *registers[BOOT_ECAM_MAX]; /* of each window, from its first bus on */

int ecam_init(const struct bootinfo *bi)
{
    machine = &bi->machine;
    for (unsigned i = 0; i < machine->necam; i++) {
        const struct boot_ecam *w = &machine->ecam[i];

        registers[i] = mmio_map(hpa(w->base + w->first_bus * ECAM_BUS_SIZE),
                                (w->last_bus - w->first_bus + (uint64_t)1) * ECAM_BUS_SIZE);
        if (!registers[i])
            return -ENOMEM;
    }
    return 0;
}

/* The register, or NULL outside all windows: reads as all ones then, as on the bus. */
static volatile void *ecam_reg(const struct pci_dev *d, unsigned off)
{
    unsigned bus = d->rid.id >> 8 & 0xff;

    for (unsigned i = 0; i < machine->necam; i++) {
        const struct boot_ecam *w = &machine->ecam[i];

        if (w->segment == d->rid.id >> 16 && bus >= w->first_bus && bus <= w->last_bus)
            return registers[i] + (bus - w->first_bus) * ECAM_BUS_SIZE +
                   ((d->rid.id & 0xff) << ECAM_FN_SHIFT) + (off & PAGE_MASK);
    }
    return NULL;
}

#define READER(bits)                                                                                         \
    uint##bits##_t pci_read##bits(const struct pci_dev *d, unsigned off)                                     \
    {                                                                                                        \
        volatile uint##bits##_t *reg = ecam_reg(d, off);                                                     \
                                                                                                             \
        return reg ? *reg : (uint##bits##_t) ~0u;                                                            \
    }
#define WRITER(bits)                                                                                         \
    void pci_write##bits(const struct pci_dev *d, unsigned off, uint##bits##_t v)                            \
    {                                                                                                        \
        volatile uint##bits##_t *reg = ecam_reg(d, off);                                                     \
                                                                                                             \
        if (reg)                                                                                             \
            *reg = v;                                                                                        \
    }
READER(16)
READER(32)
WRITER(16)
WRITER(32)
