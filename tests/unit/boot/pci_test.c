/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Configuration space is plain memory here, so a BAR reads back what was written: sizing is seen through
 * cfg_size_bar()'s arithmetic only.
 */
#include "tests/unit/test.h"

#include "boot/memmap.c"
#include "boot/pci.c"
#include "boot/pci_config.c"

#define BUSES 2

static uint32_t *ecam;
static struct acpi_facts facts;
static uint32_t registers[0x5408 / 4] __attribute__((aligned(4096)));

static uint32_t *function(unsigned bus, unsigned device, unsigned fn)
{
    return ecam + ((bus << 20 | device << 15 | fn << 12) / 4);
}

static void start(void)
{
    size_t size = (size_t)BUSES << 20;

    free(ecam);
    ecam = aligned_alloc(1 << 20, size);
    memset(ecam, 0xff, size);
    facts = (struct acpi_facts){.machine = {.necam = 1, .ecam = {{(uint64_t)ecam, 0, 0, BUSES - 1}}}};
}

static uint32_t *put(unsigned bus, unsigned device, unsigned fn, uint32_t id, uint32_t head)
{
    uint32_t *c = function(bus, device, fn);

    memset(c, 0, 4096);
    c[PCI_ID / 4] = id;
    c[PCI_HEADER / 4] = head;
    return c;
}

static uint32_t *add_nic(unsigned device, uint64_t bar)
{
    uint32_t *c = put(0, device, 0, ID_82576, 0);

    c[PCI_BAR0 / 4] = (uint32_t)bar | BAR_KIND_64;
    c[PCI_BAR0 / 4 + 1] = (uint32_t)(bar >> 32);
    c[0x100 / 4] = 0x14000001; /* AER, then ARI, then SR-IOV */
    c[0x140 / 4] = 0x16000000 | 0xe;
    c[0x160 / 4] = EXT_SRIOV;
    c[0x16c / 4] = 8 << 16 | 8;
    return c;
}

TEST(a_nic_is_found_by_its_address)
{
    struct nic_facts f;

    start();
    add_nic(5, 0);
    pci_nic_facts(&facts, 0x28, &f);
    CHECK(f.found && f.sriov);
    CHECK_EQ(f.total_vfs, 7);
    pci_nic_facts(&facts, 0x30, &f);
    CHECK(!f.found);
    pci_nic_facts(&facts, 0x1028, &f); /* another segment */
    CHECK(!f.found);
    pci_nic_facts(&facts, 0x10000, &f);
    CHECK(!f.found);
    pci_nic_facts(&facts, BUSES << 8, &f); /* a bus behind the window */
    CHECK(!f.found);
    put(0, 6, 0, 0x12348086, 0x10000); /* a bridge is no NIC */
    pci_nic_facts(&facts, 0x30, &f);
    CHECK(!f.found);
}

TEST(a_capability_list_that_goes_round_ends)
{
    struct nic_facts f;
    uint32_t *c;

    start();
    c = add_nic(5, 0);
    c[0x140 / 4] = 0x10000000 | 0xe;
    pci_nic_facts(&facts, 0x28, &f);
    CHECK(f.found && !f.sriov);
    c[0x100 / 4] = 0xfff00001; /* and one that leads to the very end */
    pci_nic_facts(&facts, 0x28, &f);
    CHECK(f.found && !f.sriov);
}

TEST(a_nic_is_found_by_its_mac)
{
    static const uint8_t mac[6] = {0x52, 0x54, 0, 0x12, 0x34, 0x56},
                         other[6] = {0x52, 0x54, 0, 0x12, 0x34, 0x57};
    uint32_t rid = 0, *c;

    start();
    put(0, 1, 0, 0x12348086, 0x800000); /* several functions */
    put(0, 1, 3, 0x12348086, 0x800000);
    c = add_nic(5, (uint64_t)registers);
    c[PCI_COMMAND / 4] = 0xffff0000;
    registers[RAL0 / 4] = 0x12005452;
    registers[RAH0 / 4] = RAH_AV | 0x5634;
    CHECK(pci_find_mac(&facts, mac, &rid));
    CHECK_EQ(rid, 0x28);
    CHECK_EQ(c[PCI_COMMAND / 4] & 0xffff, 0);
    CHECK(!pci_find_mac(&facts, other, &rid));
    registers[RAH0 / 4] = 0x5634; /* not valid */
    CHECK(!pci_find_mac(&facts, mac, &rid));
}

TEST(bars_are_sized)
{
    uint32_t c[2] = {0, 0};
    struct bar b;

    c[0] = 0x80000001; /* I/O ports */
    b = cfg_size_bar(c, 0);
    CHECK_EQ(b.size, 0);
    c[0] = 0xfe000004; /* 64-bit; all bits can be set here, so 16 bytes */
    c[1] = 0x1;
    b = cfg_size_bar(c, 0);
    CHECK(b.wide);
    CHECK_EQ(b.base, 0x1fe000000);
    CHECK_EQ(b.size, 16);
    CHECK_EQ(c[0], 0xfe000004);
    CHECK_EQ(c[1], 1);
}

static struct ranges u;

static uint64_t gap(const struct boot_mem mem[3])
{
    collect(&u, &facts, mem, 3);
    return largest_gap(&u, mem, 3);
}

TEST(the_largest_gap_is_found)
{
    struct boot_mem mem[] = {{0, 0x80000000, BOOT_MEM_USABLE, 0},
                             {0xb0000000, 0x10000000, BOOT_MEM_RESERVED, 0},
                             {0x100000000, 0x80000000, BOOT_MEM_USABLE, 0}};
    uint32_t *c;

    start();
    facts.machine.ecam[0].last_bus = 0;
    CHECK_EQ(gap(mem), 0xfec00000 - 0xc0000000);
    c = put(0, 2, 0, 0x12348086, 0x10000); /* a bridge whose windows cut the largest gap in two */
    c[PCI_BRIDGE_MEM / 4] = 0xe000d000;
    c[PCI_BRIDGE_PREF / 4] = 0x0000fff0;
    CHECK_EQ(gap(mem), 0x30000000);
    c = put(0, 3, 0, 0x12348086, 0);
    c[PCI_BAR0 / 4] = 0x90000000;
    CHECK_EQ(gap(mem), 0xb0000000 - 0x90000010);

    start(); /* a window that reaches into a range that was listed before it */
    mem[1].size = 0x4ec00000;
    c = put(0, 2, 0, 0x12348086, 0x10000);
    c[PCI_BRIDGE_MEM / 4] = 0xb000a000;
    c[PCI_BRIDGE_PREF / 4] = 0x0000fff0;
    CHECK_EQ(gap(mem), 0x20000000);
}

/* A bridge with these buses behind it and a window of `mb` MiB at `base`, or none. */
static uint32_t *put_bridge(unsigned bus, unsigned device, unsigned sec, unsigned sub, uint32_t base,
                            unsigned mb)
{
    uint32_t *c = put(bus, device, 0, 0x12348086, 0x10000);

    c[PCI_BUSES / 4] = sub << 16 | sec << 8 | bus;
    c[PCI_BRIDGE_MEM / 4] = mb ? (base + ((mb - 1) << 20)) | base >> 16 : 0xfff0;
    c[PCI_BRIDGE_PREF / 4] = 0xfff0;
    return c;
}

static const struct boot_mem low_ram[] = {{0, 0x80000000, BOOT_MEM_USABLE, 0},
                                          {0xf0000000, 0x1000, BOOT_MEM_RESERVED, 0}};

static uint64_t room(uint32_t rid, uint64_t size, bool prefetch)
{
    collect(&u, &facts, low_ram, 2);
    return find_room(&u, rid, size * 4, size, prefetch);
}

TEST(room_on_a_root_bus_keeps_clear_of_all_else)
{
    uint32_t *c;

    start();
    facts.machine.ecam[0].last_bus = 0;
    c = put(0, 3, 0, 0x12348086, 0);
    c[PCI_BAR0 / 4] = 0xc0200000; /* the lowest, 16 bytes */
    CHECK_EQ(room(0x28, 0x4000, true), 0xc0204000);
    facts.machine.iommu.unit[facts.machine.iommu.nunits++].base = 0xc0200000; /* an IOMMU, 512 KiB */
    CHECK_EQ(room(0x28, 0x4000, true), 0xc0280000);
    put_bridge(0, 2, 1, 1, 0xc0200000, 2); /* forwarded elsewhere */
    CHECK_EQ(room(0x28, 0x4000, true), 0xc0400000);
    c[PCI_BAR0 / 4 + 1] = 0xefffc000; /* the end of what is free before a reserved page */
    CHECK_EQ(room(0x28, 0x10000000, false), 0);
    CHECK_EQ(room(0x28, 0x4000000, false), 0xc4000000);
    c[PCI_BAR0 / 4] = 0xefff8000; /* and now the lowest is behind that */
    put_bridge(0, 2, 1, 1, 0, 0);
    CHECK_EQ(room(0x28, 0x4000, true), 0xf0004000);
    c[PCI_BAR0 / 4] = c[PCI_BAR0 / 4 + 1] = 0; /* nothing shows where the window is */
    CHECK_EQ(room(0x28, 0x4000, true), 0);
}

TEST(room_behind_a_bridge_is_in_its_window)
{
    uint32_t *outer, *c;

    start();
    outer = put_bridge(0, 2, 1, 3, 0xc0200000, 4);
    CHECK_EQ(room(0x100, 0x4000, true), 0xc0200000);
    CHECK_EQ(room(0x28, 0x4000, true), 0xc0600000);
    c = put(1, 0, 0, 0x12348086, 0);
    c[PCI_BAR0 / 4] = 0xc0200000;
    CHECK_EQ(room(0x100, 0x4000, true), 0xc0204000);
    CHECK_EQ(room(0x100, 0x100000, true), 0); /* four do not fit any more */
    outer[PCI_BRIDGE_PREF / 4] = 0xd000d000;  /* 1 MiB */
    CHECK_EQ(room(0x100, 0x4000, true), 0xd0000000);
    CHECK_EQ(room(0x100, 0x4000, false), 0xc0204000);
    outer[PCI_BRIDGE_PREF / 4] |= PCI_PREF_64 | PCI_PREF_64 << 16;
    outer[PCI_PREF_BASE / 4] = outer[PCI_PREF_LIMIT / 4] = 0x80; /* beyond 4 GiB */
    CHECK_EQ(room(0x100, 0x4000, true), 0xc0204000);
    put_bridge(1, 1, 2, 2, 0, 0); /* closed: nothing behind it can be reached */
    CHECK_EQ(room(0x200, 0x4000, true), 0);
    put_bridge(1, 1, 2, 2, 0xc0300000, 1); /* the nearest one counts, not in the others' way */
    CHECK_EQ(room(0x200, 0x4000, true), 0xc0300000);
    CHECK_EQ(room(0x300, 0x80000, false), 0xc0400000);
    u.full = true;
    CHECK_EQ(find_room(&u, 0x200, 0x4000, 0x4000, true), 0);
}

TEST(vf_bars_of_all_nics_get_a_place)
{
    struct boot_config cfg = {.nnics = 2, .nic = {{.rid = 0x28, .vfs = 2}, {.rid = 0x30, .vfs = 3}}};
    struct nic_facts f[2];
    uint32_t *c[2];

    start();
    facts.machine.ecam[0].last_bus = 0;
    for (unsigned i = 0; i < 2; i++) {
        c[i] = add_nic(5 + i, 0xc0200000 + 0x1000 * i);
        c[i][0x160 / 4 + 9] = BAR_KIND_64 | BAR_PREFETCH; /* 16 bytes; not placed */
        c[i][0x160 / 4 + 12] = 0xc0200000;
        c[i][0x160 / 4 + 11] = c[i][0x160 / 4 + 13] = c[i][0x160 / 4 + 14] = BAR_IO; /* none */
        pci_nic_facts(&facts, cfg.nic[i].rid, &f[i]);
    }
    CHECK_EQ(pci_place_vfs(&facts, low_ram, 2, &cfg, f), 0xc0200000 - 0x80000000);
    CHECK(f[0].vf_bars_placed && f[1].vf_bars_placed);
    CHECK(cfg.nic[0].vf_bar[0] == 0xc0200010 && cfg.nic[0].vf_bar[1] == 0);
    CHECK(cfg.nic[0].vf_bar[3] == 0xc0200030 && cfg.nic[1].vf_bar[0] > 0xc0200040);
    c[0][PCI_BAR0 / 4] = c[1][PCI_BAR0 / 4] = BAR_KIND_64; /* no BAR below 4 GiB: no room is known */
    pci_place_vfs(&facts, low_ram, 2, &cfg, f);
    CHECK(!f[0].vf_bars_placed && cfg.nic[0].vf_bar[0] == 0);
    for (unsigned i = 0; i < 2; i++) {
        c[i][0x160 / 4 + 10] = 0x80; /* the firmware has placed them above 4 GiB */
        c[i][0x160 / 4 + 12] = BAR_KIND_64;
        c[i][0x160 / 4 + 13] = 0;
    }
    pci_place_vfs(&facts, low_ram, 2, &cfg, f);
    CHECK(!f[0].vf_bars_placed);
    c[0][0x160 / 4 + 13] = 0x80;
    pci_place_vfs(&facts, low_ram, 2, &cfg, f);
    CHECK(f[0].vf_bars_placed && cfg.nic[0].vf_bar[0] == 0 && cfg.nic[0].vf_bar[3] == 0);
    c[0][0x160 / 4 + 2] = SRIOV_VF_ENABLE; /* the firmware uses them: not sized */
    pci_nic_facts(&facts, 0x28, &f[0]);
    CHECK(f[0].vf_bars_placed && f[0].vf_bar_bytes == 0);
}

TEST_MAIN()
