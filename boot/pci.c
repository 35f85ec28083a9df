/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/pci.h"
#include "boot/memmap.h"
#include "kernel/lib/types.h"
#include <string.h>

#define PCI_ID          0x00u
#define PCI_COMMAND     0x04u
#define PCI_COMMAND_MEM BIT32(1)
#define PCI_HEADER      0x0cu /* header type in bits 23:16 */
#define PCI_MULTI       BIT32(23)
#define PCI_HEADER_KIND GENMASK32(22, 16)
#define PCI_BAR0        0x10u
#define PCI_BRIDGE_MEM  0x20u /* memory base and limit, bits 31:20 of each */
#define PCI_BRIDGE_PREF 0x24u

#define BAR_IO      BIT32(0)
#define BAR_KIND_64 BIT32(2)
#define BAR_ADDR    (~(uint64_t)0xf)

/* Extended capabilities, section 7.6.3; SR-IOV, section 9.3.3. */
#define EXT_FIRST       0x100u
#define EXT_ID          GENMASK32(15, 0)
#define EXT_NEXT        GENMASK32(31, 20)
#define EXT_SRIOV       0x10u
#define SRIOV_CONTROL   0x08u
#define SRIOV_VF_ENABLE BIT32(0)
#define SRIOV_VFS       0x0cu /* TotalVFs in the high half */
#define SRIOV_BAR0      0x24u
#define SRIOV_BARS      6u

/*
 * Intel 82576: the receive address registers that the NIC loads from its EEPROM (82576 datasheet, section
 * 8.10.11).
 */
#define ID_82576  0x10c98086u
#define VFS_82576 7
#define RAL0      0x5400u
#define RAH0      0x5404u
#define RAH_AV    BIT32(31)

#define RANGES_MAX 512
#define MMIO32_END 0xfec00000u /* I/O APIC, HPET, local APIC, firmware */

typedef volatile uint32_t *cfg_t;

/* The 4 KiB of a function's configuration space, or NULL if no window covers its bus. */
static cfg_t cfg_of(const struct acpi_facts *a, uint32_t rid)
{
    unsigned segment = rid >> 16, bus = rid >> 8 & 0xff;

    for (unsigned i = 0; i < a->machine.necam; i++) {
        const struct boot_ecam *w = &a->machine.ecam[i];

        if (w->segment == segment && bus >= w->first_bus && bus <= w->last_bus)
            return (cfg_t)(uintptr_t)(w->base + ((uint64_t)(rid & 0xffff) << 12));
    }
    return NULL;
}

static uint32_t rd(cfg_t c, unsigned offset)
{
    return c[offset / 4];
}

static void wr(cfg_t c, unsigned offset, uint32_t v)
{
    c[offset / 4] = v;
}

static unsigned find_ext(cfg_t c, unsigned id)
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

/* --- BARs --- */

struct bar {
    uint64_t base, size; /* size 0: not implemented, or I/O ports */
    bool wide;           /* takes two registers */
};

/* Reads and sizes the BAR at `offset` (section 7.5.1.2.1). The function must not decode memory meanwhile. */
static struct bar size_bar(cfg_t c, unsigned offset)
{
    uint32_t low = rd(c, offset), high = 0, mask_low, mask_high = ~0u;
    struct bar b = {0, 0, !(low & BAR_IO) && (low & BAR_KIND_64)};

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

void pci_nic_facts(const struct acpi_facts *a, uint32_t rid, struct nic_facts *f)
{
    cfg_t c = cfg_of(a, rid);
    unsigned cap;

    memset(f, 0, sizeof(*f));
    if (!c || rd(c, PCI_ID) == ~0u || (rd(c, PCI_HEADER) & PCI_HEADER_KIND))
        return;
    f->found = true;
    cap = find_ext(c, EXT_SRIOV);
    if (!cap)
        return;
    f->sriov = true;
    f->total_vfs = (uint16_t)(rd(c, cap + SRIOV_VFS) >> 16);
    /* Of the 82576's eight pools the PF keeps one for its own queues. */
    if (rd(c, PCI_ID) == ID_82576 && f->total_vfs > VFS_82576)
        f->total_vfs = VFS_82576;
    f->vf_bars_placed = true;
    if (rd(c, cap + SRIOV_CONTROL) & SRIOV_VF_ENABLE)
        return; /* the firmware uses the VFs: their BARs are placed, and must not be sized */
    for (unsigned i = 0; i < SRIOV_BARS; i++) {
        struct bar b = size_bar(c, cap + SRIOV_BAR0 + 4 * i);

        f->vf_bar_bytes += b.size;
        f->vf_bar_align = MAX(f->vf_bar_align, b.size);
        f->vf_bars_placed &= b.size == 0 || b.base != 0;
        i += b.wide;
    }
}

/* --- all functions --- */

/* Calls `visit` for each function that answers, until it returns true. */
static bool each_function(const struct acpi_facts *a, bool (*visit)(cfg_t c, uint32_t rid, void *arg),
                          void *arg)
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

struct mac_search {
    const uint8_t *mac;
    uint32_t rid;
};

static bool has_mac(cfg_t c, uint32_t rid, void *arg)
{
    struct mac_search *s = arg;
    uint32_t command, ral, rah, bar;
    uint64_t base;
    uint8_t mac[6];

    if (rd(c, PCI_ID) != ID_82576)
        return false;
    bar = rd(c, PCI_BAR0);
    base = (bar & (uint32_t)BAR_ADDR) | (bar & BAR_KIND_64 ? (uint64_t)rd(c, PCI_BAR0 + 4) << 32 : 0);
    if ((bar & BAR_IO) || !base)
        return false;
    command = rd(c, PCI_COMMAND) & 0xffff; /* the high half is Status, where ones clear */
    wr(c, PCI_COMMAND, command | PCI_COMMAND_MEM);
    ral = ((cfg_t)(uintptr_t)base)[RAL0 / 4];
    rah = ((cfg_t)(uintptr_t)base)[RAH0 / 4];
    wr(c, PCI_COMMAND, command);
    for (unsigned i = 0; i < 6; i++)
        mac[i] = (uint8_t)(i < 4 ? ral >> (8 * i) : rah >> (8 * (i - 4)));
    s->rid = rid;
    return (rah & RAH_AV) && memcmp(mac, s->mac, 6) == 0;
}

bool pci_find_mac(const struct acpi_facts *a, const uint8_t mac[6], uint32_t *rid)
{
    struct mac_search s = {mac, 0};

    if (!each_function(a, has_mac, &s))
        return false;
    *rid = s.rid;
    return true;
}

/* --- free 32-bit MMIO space --- */

struct range {
    uint64_t base, end;
};

struct ranges {
    struct range r[RANGES_MAX];
    unsigned n;
    bool full;
};

static void add_range(struct ranges *u, uint64_t base, uint64_t end)
{
    if (base >= MMIO32_END || base >= end)
        return;
    if (u->n == RANGES_MAX)
        u->full = true;
    else
        u->r[u->n++] = (struct range){base, end};
}

static void add_window(struct ranges *u, cfg_t c, unsigned offset)
{
    uint32_t v = rd(c, offset);
    uint64_t base = (uint64_t)(v & 0xfff0) << 16, end = (uint64_t)(v >> 20 << 20) + 0x100000;

    add_range(u, base, end);
}

static bool add_function(cfg_t c, uint32_t rid, void *arg)
{
    struct ranges *u = arg;
    uint32_t command = rd(c, PCI_COMMAND) & 0xffff;
    bool bridge = (rd(c, PCI_HEADER) & PCI_HEADER_KIND) != 0;

    (void)rid;
    wr(c, PCI_COMMAND, command & ~PCI_COMMAND_MEM);
    for (unsigned i = 0; i < (bridge ? 2 : 6); i++) {
        struct bar b = size_bar(c, PCI_BAR0 + 4 * i);

        if (b.base)
            add_range(u, b.base, b.base + b.size);
        i += b.wide;
    }
    wr(c, PCI_COMMAND, command);
    if (bridge) {
        add_window(u, c, PCI_BRIDGE_MEM);
        add_window(u, c, PCI_BRIDGE_PREF);
    }
    return false;
}

/* The end of the range that covers `at`, or `at` itself if none does. */
static uint64_t skip_used(const struct ranges *u, uint64_t at)
{
    for (unsigned i = 0; i < u->n; i++)
        if (u->r[i].base <= at && at < u->r[i].end) {
            at = u->r[i].end;
            i = ~0u; /* from the first again: ranges may overlap */
        }
    return at;
}

static uint64_t next_used(const struct ranges *u, uint64_t at)
{
    uint64_t next = MMIO32_END;

    for (unsigned i = 0; i < u->n; i++)
        if (u->r[i].base >= at)
            next = MIN(next, u->r[i].base);
    return next;
}

uint64_t pci_mmio32_gap(const struct acpi_facts *a, const struct boot_mem *mem, size_t nmem)
{
    static struct ranges u;
    uint64_t at = 0, best = 0;

    u.n = 0;
    u.full = false;
    for (size_t i = 0; i < nmem; i++) {
        add_range(&u, mem[i].base, mem[i].base + mem[i].size);
        if (memmap_is_ram(mem[i].type) && mem[i].base + mem[i].size <= MMIO32_END)
            at = MAX(at, mem[i].base + mem[i].size);
    }
    for (unsigned i = 0; i < a->machine.necam; i++)
        add_range(&u, a->machine.ecam[i].base + ((uint64_t)a->machine.ecam[i].first_bus << 20),
                  a->machine.ecam[i].base + ((uint64_t)a->machine.ecam[i].last_bus << 20) + 0x100000);
    each_function(a, add_function, &u);
    for (at = skip_used(&u, at); at < MMIO32_END; at = skip_used(&u, next_used(&u, at)))
        best = MAX(best, next_used(&u, at) - at);
    return u.full ? 0 : best;
}
