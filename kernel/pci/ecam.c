/* SPDX-License-Identifier: BSD-2-Clause */
/* Configuration space in memory (PCIe 5.0 7.2.2). */
#include "kernel/mm/paging.h"
#include "kernel/pci/internal.h"

static struct ecam_window windows[BOOT_ECAM_MAX];
static unsigned window_count;

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
    return window_count ? 0 : -ENOENT;
}

/* The register, or NULL outside all windows: reads as all ones then, as on the bus. */
static volatile void *ecam_reg(const struct pci_dev *d, unsigned off)
{
    unsigned bus = d->rid.id >> 8 & 0xff;
    const struct ecam_window *w = window_of(d->rid.id >> 16, bus);

    return w ? w->registers + (bus - w->first) * ECAM_BUS_SIZE + ((d->rid.id & 0xff) << ECAM_FN_SHIFT) +
                   (off & PAGE_MASK)
             : NULL;
}

#define ACCESSORS(bits)                                                                                      \
    uint##bits##_t pci_read##bits(const struct pci_dev *d, unsigned off)                                     \
    {                                                                                                        \
        volatile uint##bits##_t *reg = ecam_reg(d, off);                                                     \
                                                                                                             \
        return reg ? *reg : (uint##bits##_t) ~0u;                                                            \
    }                                                                                                        \
    void pci_write##bits(const struct pci_dev *d, unsigned off, uint##bits##_t v)                            \
    {                                                                                                        \
        volatile uint##bits##_t *reg = ecam_reg(d, off);                                                     \
                                                                                                             \
        if (reg)                                                                                             \
            *reg = v;                                                                                        \
    }
ACCESSORS(8)
ACCESSORS(16)
ACCESSORS(32)
