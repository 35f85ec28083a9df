/* SPDX-License-Identifier: BSD-2-Clause */
/* Configuration space in memory (PCIe 5.0 7.2.2), or behind two ports (PCI 3.0 3.2.2.3.2). */
#include "kernel/cpu/x86.h"
#include "kernel/lib/spinlock.h"
#include "kernel/mm/paging.h"
#include "kernel/pci/internal.h"

#define CONFIG_ADDRESS 0xcf8
#define CONFIG_ENABLE  BIT32(31)
#define CONFIG_DATA    0xcfc
#define CONFIG_SIZE    256

static struct ecam_window windows[BOOT_ECAM_MAX];
static unsigned window_count;
static struct spinlock port_lock; /* from the address to the data */

const struct ecam_window *ecam_window(unsigned i)
{
    return i < window_count ? &windows[i] : NULL;
}

/* The window that has this bus, or NULL. */
static const struct ecam_window *window_of(unsigned segment, unsigned bus)
{
    for (const struct ecam_window *w = windows; w < windows + window_count; w++)
        if (w->segment == segment && bus >= w->first && bus <= w->last)
            return w;
    return NULL;
}

int ecam_init(const struct bootinfo *bi)
{
    window_count = 0;
    for (const struct boot_ecam *e = bi->machine.ecam; e < bi->machine.ecam + bi->machine.necam; e++) {
        struct ecam_window *w = &windows[window_count];

        *w = (struct ecam_window){.segment = e->segment, .first = e->first_bus, .last = e->last_bus};
        w->registers = mmio_map(hpa(e->base + w->first * ECAM_BUS_SIZE),
                                (w->last - w->first + (uint64_t)1) * ECAM_BUS_SIZE);
        if (!w->registers)
            return -ENOMEM;
        window_count++;
    }
    if (!window_count)
        windows[window_count++] = (struct ecam_window){.last = UINT8_MAX};
    return 0;
}

/* The register, or NULL outside all windows: reads as all ones then, as on the bus. */
static volatile void *ecam_reg(const struct pci_dev *d, unsigned off)
{
    unsigned bus = d->rid.id >> 8 & 0xff;
    const struct ecam_window *w = window_of(d->rid.id >> 16, bus);

    return w && w->registers ? w->registers + (bus - w->first) * ECAM_BUS_SIZE +
                                   ((d->rid.id & 0xff) << ECAM_FN_SHIFT) + (off & PAGE_MASK)
                             : NULL;
}

static bool has_ports(const struct pci_dev *d, unsigned off)
{
    const struct ecam_window *w = window_of(d->rid.id >> 16, d->rid.id >> 8 & 0xff);

    return w && !w->registers && off < CONFIG_SIZE;
}

/* The port where the register is now. The caller holds the lock. */
static uint16_t select_port(const struct pci_dev *d, unsigned off)
{
    outl(CONFIG_ADDRESS, CONFIG_ENABLE | d->rid.id << 8 | (off & 0xfc));
    return (uint16_t)(CONFIG_DATA + (off & 3));
}

#define READER(bits, letter)                                                                                 \
    uint##bits##_t pci_read##bits(const struct pci_dev *d, unsigned off)                                     \
    {                                                                                                        \
        volatile uint##bits##_t *reg = ecam_reg(d, off);                                                     \
                                                                                                             \
        if (reg || !has_ports(d, off))                                                                       \
            return reg ? *reg : (uint##bits##_t) ~0u;                                                        \
        spin_guard(&port_lock);                                                                              \
        return in##letter(select_port(d, off));                                                              \
    }
#define WRITER(bits, letter)                                                                                 \
    void pci_write##bits(const struct pci_dev *d, unsigned off, uint##bits##_t v)                            \
    {                                                                                                        \
        volatile uint##bits##_t *reg = ecam_reg(d, off);                                                     \
                                                                                                             \
        if (reg) {                                                                                           \
            *reg = v;                                                                                        \
        } else if (has_ports(d, off)) {                                                                      \
            spin_guard(&port_lock);                                                                          \
            out##letter(select_port(d, off), v);                                                             \
        }                                                                                                    \
    }
READER(8, b)
READER(16, w)
READER(32, l)
WRITER(16, w)
WRITER(32, l)
