/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/pci_config.h"

cfg_t cfg_of(const struct acpi_facts *a, uint32_t rid)
{
    unsigned segment = rid >> 16, bus = rid >> 8 & 0xff;

    for (unsigned i = 0; i < a->machine.necam; i++) {
        const struct boot_ecam *w = &a->machine.ecam[i];

        if (w->segment == segment && bus >= w->first_bus && bus <= w->last_bus)
            return (cfg_t)(uintptr_t)(w->base + ((uint64_t)(rid & 0xffff) << 12));
    }
    return NULL;
}

unsigned cfg_find_cap(cfg_t c, unsigned id)
{
    unsigned at = rd(c, PCI_COMMAND) & PCI_STATUS_CAPS ? rd(c, PCI_CAPS) & 0xfc : 0;

    for (unsigned n = 0; at >= 0x40 && n < 48; n++) {
        uint32_t head = rd(c, at);

        if ((head & 0xff) == id)
            return at;
        at = head >> 8 & 0xfc;
    }
    return 0;
}

unsigned cfg_find_ext(cfg_t c, unsigned id)
{
    unsigned at = EXT_FIRST;

    for (unsigned n = 0; at >= EXT_FIRST && n < 960; n++) {
        uint32_t head = rd(c, at & 0xffc);

        if (head == 0 || head == ~0u)
            return 0;
        if (FIELD_GET(EXT_ID, head) == id)
            return at;
        at = FIELD_GET(EXT_NEXT, head);
    }
    return 0;
}

struct bar cfg_size_bar(cfg_t c, unsigned offset)
{
    uint32_t low = rd(c, offset), high = 0, mask_low, mask_high = ~0u;
    struct bar b = {0, 0, !(low & BAR_IO) && (low & BAR_KIND_64), low & BAR_PREFETCH};

    wr(c, offset, ~0u);
    mask_low = rd(c, offset);
    wr(c, offset, low);
    if (b.wide) {
        high = rd(c, offset + 4);
        wr(c, offset + 4, ~0u);
        mask_high = rd(c, offset + 4);
        wr(c, offset + 4, high);
    }
    if ((low & BAR_IO) || !(mask_low & (uint32_t)BAR_ADDR))
        return b;
    b.base = ((uint64_t)high << 32 | low) & BAR_ADDR;
    b.size = ~(((uint64_t)mask_high << 32 | mask_low) & BAR_ADDR) + 1;
    return b;
}

bool cfg_each_function(const struct acpi_facts *a, bool (*visit)(cfg_t c, uint32_t rid, void *arg), void *arg)
{
    for (unsigned i = 0; i < a->machine.necam; i++) {
        const struct boot_ecam *w = &a->machine.ecam[i];
        uint32_t rid = (uint32_t)w->segment << 16 | (uint32_t)w->first_bus << 8;
        uint32_t last = (uint32_t)w->segment << 16 | (uint32_t)w->last_bus << 8 | 0xff;

        while (rid <= last) {
            cfg_t c = cfg_of(a, rid);
            bool there = rd(c, PCI_ID) != ~0u;

            if (there && visit(c, rid, arg))
                return true;
            /* Functions 1 to 7 exist only behind a function 0 that says so. */
            rid += (rid & 7) || (there && (rd(c, PCI_HEADER) & PCI_MULTI)) ? 1 : 8;
        }
    }
    return false;
}
