/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Free addresses for VF BARs below 4 GiB. What a host bridge forwards stands only in AML, which is not
 * interpreted; so a place counts as good if nothing known lies there, from the lowest BAR on that the
 * firmware has put below 4 GiB.
 */
#include "kernel/console/log.h"
#include "kernel/lib/bits.h"
#include "kernel/mm/paging.h"
#include "kernel/pci/internal.h"
#include "kernel/pci/regs.h"

#define RESERVED_MAX 128
#define MMIO32_END   0xfec00000 /* I/O APIC; HPET, local APIC and flash follow */

struct range {
    uint64_t base, end;
};

static const struct boot_mem *memory;
static uint64_t memory_count;
static struct range reserved[RESERVED_MAX];
static unsigned reserved_count;

void room_init(const struct bootinfo *bi)
{
    reserved_count = 0;
    memory_count = bi->mem_count;
    memory = hpa_to_ptr(hpa(bi->mem));
}

void pci_reserve(hpa_t base, uint64_t size)
{
    ASSERT(reserved_count < RESERVED_MAX);
    reserved[reserved_count++] = (struct range){base.a, base.a + size};
}

/* The window of a bridge, empty (base > end) where it is closed (7.5.1.3.8, 7.5.1.3.9). */
static struct range bridge_window(const struct pci_dev *b, bool prefetch)
{
    uint16_t base = pci_read16(b, prefetch ? PCI_PREF_BASE : PCI_MEM_BASE);
    uint16_t limit = pci_read16(b, prefetch ? PCI_PREF_LIMIT : PCI_MEM_LIMIT);
    struct range r = {(uint64_t)(base & PCI_WINDOW_ADDR) << 16, (uint64_t)(limit & PCI_WINDOW_ADDR) << 16};

    if (prefetch && (base & PCI_WINDOW_64)) {
        r.base |= (uint64_t)pci_read32(b, PCI_PREF_BASE_UPPER) << 32;
        r.end |= (uint64_t)pci_read32(b, PCI_PREF_LIMIT_UPPER) << 32;
    }
    r.end += 1u << 20;
    return r.end > r.base + (1u << 20) - 1 ? r : (struct range){1, 0};
}

/* Whether a bus lies behind a bridge; one that the firmware did not number has secondary bus 0. */
static bool is_behind(const struct pci_dev *b, rid_t r)
{
    unsigned bus = r.id >> 8 & 0xff, secondary;

    if (b->header_type != PCI_LAYOUT_BRIDGE || b->rid.id >> 16 != r.id >> 16)
        return false;
    secondary = pci_read8(b, PCI_SECONDARY_BUS);
    return secondary > (b->rid.id >> 8 & 0xff) && bus >= secondary &&
           bus <= pci_read8(b, PCI_SUBORDINATE_BUS);
}

const struct pci_dev *pci_bridge_of(rid_t r)
{
    const struct pci_dev *found = NULL;

    for (const struct pci_dev *d = pci_first(); d; d = d->next)
        if (is_behind(d, r) &&
            (!found || pci_read8(d, PCI_SECONDARY_BUS) > pci_read8(found, PCI_SECONDARY_BUS)))
            found = d;
    return found;
}

/* Where a used range that meets `want` ends, or 0 if it does not meet it. */
static uint64_t meets(struct range used, struct range want)
{
    return used.base < want.end && want.base < used.end ? used.end : 0;
}

/* The same for what a function decodes or forwards. The bridges above `r` forward what we look for, and do
 * not count. */
static uint64_t function_meets(const struct pci_dev *d, struct range want, rid_t r)
{
    uint64_t end = 0;

    for (unsigned i = 0; i < PCI_BARS && !end; i++)
        if (d->bar[i].size && !d->bar[i].io)
            end = meets((struct range){d->bar[i].base.a, d->bar[i].base.a + d->bar[i].size}, want);
    for (unsigned prefetch = 0; prefetch < 2 && !end; prefetch++)
        if (d->header_type == PCI_LAYOUT_BRIDGE && !is_behind(d, r))
            end = meets(bridge_window(d, prefetch), want);
    return end;
}

/* The end of something that is in the way, or 0 if `want` is free. */
static uint64_t in_the_way(struct range want, rid_t r)
{
    uint64_t end = 0;

    for (uint64_t i = 0; i < memory_count && !end; i++)
        end = meets((struct range){memory[i].base, memory[i].base + memory[i].size}, want);
    for (unsigned i = 0; i < reserved_count && !end; i++)
        end = meets(reserved[i], want);
    for (const struct pci_dev *d = pci_first(); d && !end; d = d->next)
        end = function_meets(d, want, r);
    return end;
}

/* First fit. Each step passes something that is in the way, so the search ends. */
static uint64_t search(struct range in, uint64_t size, uint64_t align, rid_t r)
{
    uint64_t at = ALIGN_UP(in.base, align), end;

    in.end = MIN(in.end, MMIO32_END);
    while (at < in.end && size <= in.end - at) {
        end = in_the_way((struct range){at, at + size}, r);
        if (!end)
            return at;
        at = ALIGN_UP(end, align);
    }
    return 0;
}

/* The lowest memory BAR below 4 GiB: the host bridge's window reaches up from there at the least. */
static uint64_t lowest_bar(void)
{
    uint64_t low = MMIO32_END;

    for (const struct pci_dev *d = pci_first(); d; d = d->next)
        for (unsigned i = 0; i < PCI_BARS; i++)
            if (d->bar[i].size && !d->bar[i].io && d->bar[i].base.a)
                low = MIN(low, d->bar[i].base.a);
    return low;
}

hpa_t room_take(rid_t r, uint64_t size, uint64_t align, bool prefetch)
{
    const struct pci_dev *bridge = pci_bridge_of(r);
    uint64_t at = 0;

    if (reserved_count == RESERVED_MAX)
        return hpa(0);
    if (!bridge)
        at = search((struct range){lowest_bar(), MMIO32_END}, size, align, r);
    if (bridge && prefetch)
        at = search(bridge_window(bridge, true), size, align, r);
    if (bridge && !at)
        at = search(bridge_window(bridge, false), size, align, r);
    if (at)
        pci_reserve(hpa(at), size);
    return hpa(at);
}
