/* SPDX-License-Identifier: BSD-2-Clause */
/* Configuration space in memory (PCIe 5.0 7.2.2; MCFG: PCI Firmware Specification 3.3, 4.1.2). */
#include "kernel/acpi/acpi.h"
#include "kernel/console/log.h"
#include "kernel/lib/string.h"
#include "kernel/mm/frame.h"
#include "kernel/mm/paging.h"
#include "kernel/pci/internal.h"
#include "kernel/pci/regs.h"

#define WINDOWS_MAX  8
#define ECAM_END     BIT(52) /* no physical address is wider */
#define MCFG_ENTRIES 44      /* offset of the first */

struct mcfg_entry {
    uint64_t base; /* of bus 0, there or not */
    uint16_t segment;
    uint8_t first, last;
    uint32_t reserved;
} __attribute__((packed));

_Static_assert(sizeof(struct mcfg_entry) == 16, "PCI Firmware 3.3 table 4-3");

static struct ecam_window windows[WINDOWS_MAX];
static unsigned window_count;

const struct ecam_window *ecam_window(unsigned i)
{
    return i < window_count ? &windows[i] : NULL;
}

/* The window that has one of these buses, or NULL. */
static const struct ecam_window *window_of(unsigned segment, unsigned first, unsigned last)
{
    for (const struct ecam_window *w = windows; w < windows + window_count; w++)
        if (w->segment == segment && first <= w->last && last >= w->first)
            return w;
    return NULL;
}

/* A window over RAM would make memory out of configuration writes. */
static bool is_sound(const struct mcfg_entry *e)
{
    uint64_t end = e->base + (e->last + (uint64_t)1) * ECAM_BUS_SIZE;

    return IS_ALIGNED(e->base, ECAM_BUS_SIZE) && e->base && e->base < ECAM_END && end <= ECAM_END &&
           e->first <= e->last && !frame_is_ram(hpa(e->base + e->first * ECAM_BUS_SIZE), PAGE_SIZE) &&
           !window_of(e->segment, e->first, e->last);
}

int ecam_init(void)
{
    const struct acpi_header *h = acpi_find("MCFG");
    struct mcfg_entry e;

    window_count = 0;
    for (size_t at = MCFG_ENTRIES; h && h->length >= at + sizeof(e); at += sizeof(e)) {
        struct ecam_window *w = &windows[window_count];

        memcpy(&e, (const uint8_t *)h + at, sizeof(e));
        if (window_count == WINDOWS_MAX || !is_sound(&e)) {
            log_warn("PCI: table MCFG: the window at %#lx is refused", e.base);
            continue;
        }
        *w = (struct ecam_window){hpa(e.base + e.first * ECAM_BUS_SIZE), NULL, e.segment, e.first, e.last};
        w->registers = mmio_map(w->base, (e.last - e.first + (uint64_t)1) * ECAM_BUS_SIZE);
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
    const struct ecam_window *w = window_of(d->rid.id >> 16, bus, bus);

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
