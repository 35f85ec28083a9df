/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Free addresses for VF BARs below 4 GiB. What a host bridge forwards stands only in AML, which is not
 * interpreted; so a place counts as good if nothing known lies there, from the lowest BAR on that the
 * firmware has put below 4 GiB.
 */
#include "kernel/console/log.h"
#include "kernel/mm/paging.h"
#include "kernel/pci/internal.h"
#include "kernel/pci/regs.h"

#define RESERVED_MAX 128
#define MMIO32_END   0xfec00000 /* I/O APIC; HPET, local APIC and flash follow */

static const struct boot_mem *memory;
static uint64_t memory_count;
static struct boot_mem reserved[RESERVED_MAX];
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
    reserved[reserved_count++] = (struct boot_mem){.base = base.a, .size = size};
}

/* Whether a bus lies behind a bridge. */
static bool is_behind(const struct pci_dev *b, rid_t r)
{
    unsigned bus = r.id >> 8 & 0xff;

    return b->secondary && b->rid.id >> 16 == r.id >> 16 && bus >= b->secondary && bus <= b->subordinate;
}

const struct pci_dev *pci_bridge_of(rid_t r)
{
    const struct pci_dev *found = NULL;

    for (const struct pci_dev *d = pci_first(); d; d = d->next)
        if (is_behind(d, r) && (!found || d->secondary > found->secondary))
            found = d;
    return found;
}

/* The end of something that lies in `size` bytes at `at`, or 0 if they are free. The windows of the bridges above
 * `r` forward what we look for, and do not count. */
static uint64_t in_the_way(uint64_t at, uint64_t size, rid_t r)
{
    for (uint64_t i = 0; i < memory_count + reserved_count; i++) {
        const struct boot_mem *m = i < memory_count ? &memory[i] : &reserved[i - memory_count];

        if (at < m->base + m->size && m->base < at + size)
            return m->base + m->size;
    }
    for (const struct pci_dev *d = pci_first(); d; d = d->next) {
        for (unsigned i = 0; i < PCI_BARS; i++) {
            const struct pci_bar *b = &d->bar[i];

            if (b->size && !b->io && at < b->base.a + b->size && b->base.a < at + size &&
                !(i >= PCI_BAR_WINDOW && is_behind(d, r)))
                return b->base.a + b->size;
        }
    }
    return 0;
}

/* First fit. Each step passes something that is in the way, so the search ends. */
static uint64_t search(uint64_t from, uint64_t end, uint64_t size, uint64_t align, rid_t r)
{
    uint64_t at = ALIGN_UP(from, align), passed;

    end = MIN(end, MMIO32_END);
    while (at < end && size <= end - at) {
        passed = in_the_way(at, size, r);
        if (!passed)
            return at;
        at = ALIGN_UP(passed, align);
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
    const struct pci_bar *window = bridge ? &bridge->bar[PCI_BAR_WINDOW] : NULL;
    uint64_t at = 0;

    if (reserved_count == RESERVED_MAX)
        return hpa(0);
    if (!bridge)
        at = search(lowest_bar(), MMIO32_END, size, align, r);
    if (bridge && prefetch)
        at = search(window[1].base.a, window[1].base.a + window[1].size, size, align, r);
    if (bridge && !at)
        at = search(window->base.a, window->base.a + window->size, size, align, r);
    if (at)
        pci_reserve(hpa(at), size);
    return hpa(at);
}
