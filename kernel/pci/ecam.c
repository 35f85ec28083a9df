/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Configuration space in memory (PCIe 5.0 7.2.2; MCFG: PCI Firmware Specification 3.3, 4.1.2). A bus takes 1
 * MiB of addresses, so only buses in use are mapped.
 */
#include "kernel/acpi/acpi.h"
#include "kernel/console/log.h"
#include "kernel/lib/bits.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"
#include "kernel/mm/frame.h"
#include "kernel/mm/paging.h"
#include "kernel/pci/internal.h"

#define WINDOWS_MAX 8
#define BUSES       256
#define BUS_SIZE    (1u << ECAM_BUS_SHIFT)
#define ECAM_END    BIT(52) /* no physical address is wider */

struct mcfg {
    struct acpi_header header;
    uint64_t reserved;
} __attribute__((packed));

struct mcfg_entry {
    uint64_t base;
    uint16_t segment;
    uint8_t first, last;
    uint32_t reserved;
} __attribute__((packed));

_Static_assert(sizeof(struct mcfg) == 44 && sizeof(struct mcfg_entry) == 16, "PCI Firmware 3.3 table 4-2");

static struct ecam_window windows[WINDOWS_MAX];
static volatile void *buses[WINDOWS_MAX][BUSES];
static unsigned window_count;

const struct ecam_window *ecam_window(unsigned i)
{
    return i < window_count ? &windows[i] : NULL;
}

static unsigned bus_of(rid_t r)
{
    return r.id >> 8 & 0xff;
}

/* The window that a bus belongs to, or -1. */
static int window_of(unsigned segment, unsigned first, unsigned last)
{
    for (unsigned i = 0; i < window_count; i++)
        if (windows[i].segment == segment && first <= windows[i].last && last >= windows[i].first)
            return (int)i;
    return -1;
}

/* A window over RAM would make memory out of configuration writes. */
static bool entry_is_sound(const struct mcfg_entry *e)
{
    uint64_t end = e->base + ((uint64_t)e->last + 1) * BUS_SIZE;

    return IS_ALIGNED(e->base, BUS_SIZE) && e->base && e->base < ECAM_END && end <= ECAM_END &&
           e->first <= e->last && !frame_is_ram(hpa(e->base + (uint64_t)e->first * BUS_SIZE), PAGE_SIZE) &&
           window_of(e->segment, e->first, e->last) < 0;
}

int ecam_init(void)
{
    const struct acpi_header *h = acpi_find("MCFG");
    unsigned n = h && h->length >= sizeof(struct mcfg)
                     ? (unsigned)((h->length - sizeof(struct mcfg)) / sizeof(struct mcfg_entry))
                     : 0;

    window_count = 0;
    memset(buses, 0, sizeof(buses));
    for (unsigned i = 0; i < n; i++) {
        struct mcfg_entry e;

        memcpy(&e, (const uint8_t *)h + sizeof(struct mcfg) + i * sizeof(e), sizeof(e));
        if (window_count == WINDOWS_MAX || !entry_is_sound(&e))
            log_warn("PCI: table MCFG: window %u refused", i);
        else
            windows[window_count++] = (struct ecam_window){hpa(e.base), e.segment, e.first, e.last};
    }
    return window_count ? 0 : -ENOENT;
}

int ecam_map_bus(rid_t r)
{
    unsigned bus = bus_of(r);
    int w = window_of(r.id >> 16, bus, bus);

    if (w < 0)
        return -ENODEV;
    if (!buses[w][bus])
        buses[w][bus] = mmio_map(hpa(windows[w].base.a + (uint64_t)bus * BUS_SIZE), BUS_SIZE);
    return buses[w][bus] ? 0 : -ENOMEM;
}

/* The register, or NULL where nothing is mapped: reads as all ones then, as on the bus. */
static volatile void *ecam_reg(const struct pci_dev *d, unsigned off)
{
    unsigned bus = bus_of(d->rid);
    int w = window_of(d->rid.id >> 16, bus, bus);

    if (w < 0 || !buses[w][bus])
        return NULL;
    return (volatile char *)buses[w][bus] + ((d->rid.id & 0xff) << ECAM_FN_SHIFT) + (off & PAGE_MASK);
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
