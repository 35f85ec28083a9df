/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/pci.h"
#include "boot/memmap.h"
#include "boot/pci_config.h"
#include "kernel/lib/types.h"
#include <string.h>

#define PCI_BRIDGE_MEM  0x20u /* memory base and limit, bits 31:20 of each */
#define PCI_BRIDGE_PREF 0x24u
#define PCI_PREF_64     BIT32(0)
#define PCI_PREF_BASE   0x28u /* upper halves */
#define PCI_PREF_LIMIT  0x2cu
#define PCI_WINDOW_UNIT BIT(20)

/* The kind of a PCI Express function, section 7.5.3.2. */
#define CAP_EXPRESS       0x10u
#define EXPRESS_KIND      GENMASK32(23, 20)
#define EXPRESS_TO_PCI    7
#define PCI_HEADER_BRIDGE BIT32(16)

/* SR-IOV, section 9.3.3. */
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
#define UNIT_BYTES 0x80000u    /* registers of an IOMMU, at most */

void pci_nic_facts(const struct acpi_facts *a, uint32_t rid, struct nic_facts *f)
{
    cfg_t c = cfg_of(a, rid);
    unsigned cap;

    memset(f, 0, sizeof(*f));
    if (!c || rd(c, PCI_ID) == ~0u || (rd(c, PCI_HEADER) & PCI_HEADER_KIND))
        return;
    f->found = true;
    cap = cfg_find_ext(c, EXT_SRIOV);
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
        struct bar b = cfg_size_bar(c, cap + SRIOV_BAR0 + 4 * i);

        f->vf_bar_bytes += b.size;
        f->vf_bar_align = MAX(f->vf_bar_align, b.size);
        i += b.wide;
    }
}

/* --- all functions --- */

static bool read_bridge(cfg_t c, uint32_t rid, struct pci_bridge *b)
{
    uint32_t buses = rd(c, PCI_BUSES), segment = rid & ~(uint32_t)0xffff;
    unsigned express = cfg_find_cap(c, CAP_EXPRESS);

    if (rd(c, PCI_ID) == ~0u || (rd(c, PCI_HEADER) & PCI_HEADER_KIND) != PCI_HEADER_BRIDGE ||
        FIELD_GET(PCI_SECONDARY, buses) <= (rid >> 8 & 0xff))
        return false;
    b->first = segment | (uint32_t)(FIELD_GET(PCI_SECONDARY, buses) << 8);
    b->last = segment | (uint32_t)(FIELD_GET(PCI_SUBORDINATE, buses) << 8) | 0xff;
    b->to_pci = express && FIELD_GET(EXPRESS_KIND, rd(c, express)) == EXPRESS_TO_PCI;
    return true;
}

bool pci_read_bridge(const struct acpi_facts *a, uint32_t rid, struct pci_bridge *b)
{
    cfg_t c = cfg_of(a, rid);

    return c && read_bridge(c, rid, b);
}

struct bridge_visit {
    void (*visit)(const struct pci_bridge *b, void *arg);
    void *arg;
};

static bool visit_bridge(cfg_t c, uint32_t rid, void *arg)
{
    const struct bridge_visit *v = arg;
    struct pci_bridge b;

    if (read_bridge(c, rid, &b))
        v->visit(&b, v->arg);
    return false;
}

void pci_each_bridge(const struct acpi_facts *a, void (*visit)(const struct pci_bridge *b, void *arg),
                     void *arg)
{
    cfg_each_function(a, visit_bridge, &(struct bridge_visit){visit, arg});
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

    if (!cfg_each_function(a, has_mac, &s))
        return false;
    *rid = s.rid;
    return true;
}

/* --- free 32-bit MMIO space --- */

/* What is taken. A bridge's window forwards what lies behind it: the requester ids `first` to `last`. */
struct range {
    uint64_t base, end;
    uint32_t first, last; /* 0: it is no window */
    bool prefetch;
};

struct ranges {
    struct range r[RANGES_MAX];
    unsigned n;
    bool full;
    uint64_t low; /* the lowest BAR or window: the host bridge forwards from there on at the least */
};

static void add(struct ranges *u, struct range r)
{
    if (u->n == RANGES_MAX)
        u->full = true;
    else
        u->r[u->n++] = r;
}

static void add_range(struct ranges *u, uint64_t base, uint64_t end)
{
    if (base < MMIO32_END && base < end)
        add(u, (struct range){.base = base, .end = end});
}

/* Of a bridge that the firmware has set up; one that is closed, or beyond 4 GiB, is an empty range. */
static void add_window(struct ranges *u, cfg_t c, uint32_t rid, unsigned offset)
{
    uint32_t v = rd(c, offset), buses = rd(c, PCI_BUSES), segment = rid & ~(uint32_t)0xffff;
    uint64_t base = (uint64_t)(v & 0xfff0) << 16, end = (uint64_t)(v >> 20 << 20) + PCI_WINDOW_UNIT;
    struct range w = {.base = MMIO32_END, .end = MMIO32_END, .prefetch = offset == PCI_BRIDGE_PREF};

    if (w.prefetch && (v & PCI_PREF_64)) {
        base |= (uint64_t)rd(c, PCI_PREF_BASE) << 32;
        end += (uint64_t)rd(c, PCI_PREF_LIMIT) << 32;
    }
    if (base < end && base < MMIO32_END) {
        w.base = base;
        w.end = end;
        u->low = MIN(u->low, base);
    }
    if (FIELD_GET(PCI_SECONDARY, buses) > (rid >> 8 & 0xff)) {
        w.first = segment | (uint32_t)(FIELD_GET(PCI_SECONDARY, buses) << 8);
        w.last = segment | (uint32_t)(FIELD_GET(PCI_SUBORDINATE, buses) << 8) | 0xff;
    }
    add(u, w);
}

static bool add_function(cfg_t c, uint32_t rid, void *arg)
{
    struct ranges *u = arg;
    uint32_t command = rd(c, PCI_COMMAND) & 0xffff;
    bool bridge = (rd(c, PCI_HEADER) & PCI_HEADER_KIND) != 0;

    wr(c, PCI_COMMAND, command & ~PCI_COMMAND_MEM);
    for (unsigned i = 0; i < (bridge ? 2 : 6); i++) {
        struct bar b = cfg_size_bar(c, PCI_BAR0 + 4 * i);

        if (b.base && b.size) {
            add_range(u, b.base, b.base + b.size);
            u->low = MIN(u->low, b.base);
        }
        i += b.wide;
    }
    wr(c, PCI_COMMAND, command);
    if (bridge) {
        add_window(u, c, rid, PCI_BRIDGE_MEM);
        add_window(u, c, rid, PCI_BRIDGE_PREF);
    }
    return false;
}

static void collect(struct ranges *u, const struct acpi_facts *a, const struct boot_mem *mem, size_t nmem)
{
    *u = (struct ranges){.low = MMIO32_END};
    for (size_t i = 0; i < nmem; i++)
        add_range(u, mem[i].base, mem[i].base + mem[i].size);
    for (const struct boot_ecam *w = a->machine.ecam; w < a->machine.ecam + a->machine.necam; w++)
        add_range(u, w->base + w->first_bus * BIT(20), w->base + (w->last_bus + (uint64_t)1) * BIT(20));
    for (unsigned i = 0; i < a->machine.iommu.nunits; i++)
        add_range(u, a->machine.iommu.unit[i].base, a->machine.iommu.unit[i].base + UNIT_BYTES);
    cfg_each_function(a, add_function, u);
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

/* The largest stretch above the lowest address where no more RAM follows. */
static uint64_t largest_gap(const struct ranges *u, const struct boot_mem *mem, size_t nmem)
{
    uint64_t at = 0, best = 0;

    for (size_t i = 0; i < nmem; i++)
        if (memmap_is_ram(mem[i].type) && mem[i].base + mem[i].size <= MMIO32_END)
            at = MAX(at, mem[i].base + mem[i].size);
    for (at = skip_used(u, at); at < MMIO32_END; at = skip_used(u, next_used(u, at)))
        best = MAX(best, next_used(u, at) - at);
    return best;
}

/* --- room for VF BARs --- */

static bool is_above(const struct range *window, uint32_t rid)
{
    return window->last && rid >= window->first && rid <= window->last;
}

/*
 * The end of something that lies in `size` bytes at `at`, or 0 if they are free. The windows of the bridges above
 * the NIC forward what we look for, and do not count.
 */
static uint64_t in_the_way(const struct ranges *u, uint64_t at, uint64_t size, uint32_t rid)
{
    for (const struct range *r = u->r; r < u->r + u->n; r++)
        if (at < r->end && r->base < at + size && !is_above(r, rid))
            return r->end;
    return 0;
}

/* First fit. Each step passes something that is in the way, so the search ends. */
static uint64_t search(const struct ranges *u, uint64_t from, uint64_t end, uint64_t size, uint64_t align,
                       uint32_t rid)
{
    uint64_t at = ALIGN_UP(from, align), passed;

    end = MIN(end, (uint64_t)MMIO32_END);
    while (at < end && size <= end - at) {
        passed = in_the_way(u, at, size, rid);
        if (!passed)
            return at;
        at = ALIGN_UP(passed, align);
    }
    return 0;
}

/*
 * What a host bridge forwards stands only in AML, which is not interpreted; so on a root bus a place counts as good
 * if nothing known lies there, from the lowest BAR on that the firmware has put below 4 GiB. Elsewhere it is in the
 * windows of the nearest bridge, a prefetchable one only if `prefetch`. 0 if there is none.
 */
static uint64_t find_room(const struct ranges *u, uint32_t rid, uint64_t size, uint64_t align, bool prefetch)
{
    const struct range *window[2] = {NULL, NULL};
    uint64_t at = 0;

    if (u->full)
        return 0;
    for (const struct range *r = u->r; r < u->r + u->n; r++)
        if (is_above(r, rid) && (!window[r->prefetch] || r->first > window[r->prefetch]->first))
            window[r->prefetch] = r;
    if (!window[0])
        return search(u, u->low, MMIO32_END, size, align, rid);
    if (prefetch)
        at = search(u, window[1]->base, window[1]->end, size, align, rid);
    return at ? at : search(u, window[0]->base, window[0]->end, size, align, rid);
}

/* One VF BAR stands for NumVFs slices of its size, one after the other (9.3.3.14). Where there is no room below
 * 4 GiB, a 64-bit BAR stays where the firmware has put it: that is room for TotalVFs. */
static bool place_vf_bars(const struct acpi_facts *a, struct ranges *u, struct boot_nic *nic)
{
    cfg_t c = cfg_of(a, nic->rid);
    unsigned cap = cfg_find_ext(c, EXT_SRIOV);
    bool placed = true;

    for (unsigned i = 0; i < SRIOV_BARS; i++) {
        struct bar b = cfg_size_bar(c, cap + SRIOV_BAR0 + 4 * i);

        if (b.size) {
            uint64_t at = find_room(u, nic->rid, b.size * nic->vfs, b.size, b.prefetch);

            nic->vf_bar[i] = at;
            add_range(u, at, at ? at + b.size * nic->vfs : 0);
            placed &= at || b.base >= SIZE_4G;
        }
        i += b.wide;
    }
    return placed;
}

uint64_t pci_place_vfs(const struct acpi_facts *a, const struct boot_mem *mem, size_t nmem,
                       struct boot_config *cfg, struct nic_facts *nic)
{
    static struct ranges u;
    uint64_t gap;

    collect(&u, a, mem, nmem);
    gap = largest_gap(&u, mem, nmem);
    for (unsigned i = 0; i < cfg->nnics; i++)
        if (cfg->nic[i].vfs && nic[i].vf_bar_bytes)
            nic[i].vf_bars_placed = place_vf_bars(a, &u, &cfg->nic[i]);
    return gap;
}
