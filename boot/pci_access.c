/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/pci_access.h"
#include "kernel/cpu/x86.h"
#include "kernel/lib/types.h"

#define ECAM_FN_SHIFT  12
#define CONFIG_ADDRESS 0xcf8
#define CONFIG_ENABLE  BIT32(31)
#define CONFIG_DATA    0xcfc
#define CONFIG_SIZE    256

static const struct boot_machine *machine;

void pci_use(const struct boot_machine *m)
{
    machine = m;
}

uint64_t pci_address(uint32_t rid)
{
    unsigned bus = rid >> 8 & 0xff;

    for (const struct boot_ecam *w = machine->ecam; w < machine->ecam + machine->necam; w++)
        if (w->segment == rid >> 16 && bus >= w->first_bus && bus <= w->last_bus)
            return w->base + ((uint64_t)(rid & UINT16_MAX) << ECAM_FN_SHIFT);
    return 0;
}

/* The register, or NULL outside all windows: reads as all ones then, as on the bus. */
static volatile void *ecam_reg(uint32_t rid, unsigned off)
{
    uint64_t at = pci_address(rid);

    return at ? (volatile char *)(uintptr_t)at + (off & PAGE_MASK) : NULL;
}

static bool has_ports(uint32_t rid, unsigned off)
{
    return !machine->necam && rid >> 16 == 0 && off < CONFIG_SIZE;
}

/* The port where the register is now. */
static uint16_t select_port(uint32_t rid, unsigned off)
{
    outl(CONFIG_ADDRESS, CONFIG_ENABLE | rid << 8 | (off & 0xfc));
    return (uint16_t)(CONFIG_DATA + (off & 3));
}

#define READER(bits, letter)                                                                                 \
    uint##bits##_t pci_read##bits(uint32_t rid, unsigned off)                                                \
    {                                                                                                        \
        volatile uint##bits##_t *reg = ecam_reg(rid, off);                                                   \
                                                                                                             \
        if (reg || !has_ports(rid, off))                                                                     \
            return reg ? *reg : (uint##bits##_t) ~0u;                                                        \
        return in##letter(select_port(rid, off));                                                            \
    }
#define WRITER(bits, letter)                                                                                 \
    void pci_write##bits(uint32_t rid, unsigned off, uint##bits##_t v)                                       \
    {                                                                                                        \
        volatile uint##bits##_t *reg = ecam_reg(rid, off);                                                   \
                                                                                                             \
        if (reg)                                                                                             \
            *reg = v;                                                                                        \
        else if (has_ports(rid, off))                                                                        \
            out##letter(select_port(rid, off), v);                                                           \
    }
READER(8, b)
READER(16, w)
READER(32, l)
WRITER(16, w)
WRITER(32, l)
