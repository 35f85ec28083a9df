/* SPDX-License-Identifier: BSD-2-Clause */
/* Configuration space in memory (PCIe 5.0 7.2.2; MCFG: PCI Firmware Specification 3.3, 4.1.2). */
#include "kernel/acpi/acpi.h"
#include "kernel/console/log.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"
#include "kernel/mm/frame.h"
#include "kernel/mm/paging.h"
#include "kernel/pci/internal.h"
#include "kernel/pci/regs.h"

#define WINDOWS_MAX 8
#define BUS_SIZE    (1u << ECAM_BUS_SHIFT)
#define ECAM_END    BIT(52) /* no physical address is wider */

#define MCFG_ENTRIES 44 /* offset of the first */

struct mcfg_entry {
    uint64_t base;
    uint16_t segment;
    uint8_t first, last;
    uint32_t reserved;
} __attribute__((packed));

_Static_assert(sizeof(struct mcfg_entry) == 16, "PCI Firmware 3.3 table 4-3");

static struct ecam_window windows[WINDOWS_MAX];
static volatile char *registers[WINDOWS_MAX]; /* of the window's first bus */
static unsigned window_count;

const struct ecam_window *ecam_window(unsigned i)
{
    return i < window_count ? &windows[i] : NULL;
}

/* The window that has one of these buses, or window_count. */
static unsigned window_of(unsigned segment, unsigned first, unsigned last)
{
    unsigned i = 0;

    while (i < window_count &&
           (windows[i].segment != segment || first > windows[i].last || last < windows[i].first))
        i++;
    return i;
}

/* A window over RAM would make memory out of configuration writes. */
static bool entry_is_sound(const struct mcfg_entry *e)
{
    uint64_t end = e->base + ((uint64_t)e->last + 1) * BUS_SIZE;

    return IS_ALIGNED(e->base, BUS_SIZE) && e->base && e->base < ECAM_END && end <= ECAM_END &&
           e->first <= e->last && !frame_is_ram(hpa(e->base + (uint64_t)e->first * BUS_SIZE), PAGE_SIZE) &&
           window_of(e->segment, e->first, e->last) == window_count;
}

int ecam_init(void)
{
    const struct acpi_header *h = acpi_find("MCFG");
    struct mcfg_entry e;

    window_count = 0;
    for (size_t at = MCFG_ENTRIES; h && h->length >= at + sizeof(e); at += sizeof(e)) {
        memcpy(&e, (const uint8_t *)h + at, sizeof(e));
        if (window_count == WINDOWS_MAX || !entry_is_sound(&e)) {
            log_warn("PCI: table MCFG: the window at %#lx is refused", e.base);
            continue;
        }
        registers[window_count] =
            mmio_map(hpa(e.base + (uint64_t)e.first * BUS_SIZE), (e.last - e.first + (uint64_t)1) * BUS_SIZE);
        if (!registers[window_count])
            return -ENOMEM;
        windows[window_count++] = (struct ecam_window){hpa(e.base), e.segment, e.first, e.last};
    }
    return window_count ? 0 : -ENOENT;
}

/* The register, or NULL outside all windows: reads as all ones then, as on the bus. */
static volatile void *ecam_reg(const struct pci_dev *d, unsigned off)
{
    unsigned bus = d->rid.id >> 8 & 0xff, w = window_of(d->rid.id >> 16, bus, bus);

    if (w == window_count)
        return NULL;
    return registers[w] + (uint64_t)(bus - windows[w].first) * BUS_SIZE +
           ((d->rid.id & 0xff) << ECAM_FN_SHIFT) + (off & PAGE_MASK);
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
