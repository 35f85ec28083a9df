/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Configuration space is plain memory here, so a BAR reads back what was written: sizing is seen through
 * size_bar()'s arithmetic only.
 */
#include "tests/unit/test.h"

#include "boot/memmap.c"
#include "boot/pci.c"

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

static uint32_t *add(unsigned bus, unsigned device, unsigned fn, uint32_t id, uint32_t head)
{
    uint32_t *c = function(bus, device, fn);

    memset(c, 0, 4096);
    c[PCI_ID / 4] = id;
    c[PCI_HEADER / 4] = head;
    return c;
}

static uint32_t *add_nic(unsigned device, uint64_t bar)
{
    uint32_t *c = add(0, device, 0, ID_82576, 0);

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
    add(0, 6, 0, 0x12348086, 0x10000); /* a bridge is no NIC */
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
    add(0, 1, 0, 0x12348086, 0x800000); /* several functions */
    add(0, 1, 3, 0x12348086, 0x800000);
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
    b = size_bar(c, 0);
    CHECK_EQ(b.size, 0);
    c[0] = 0xfe000004; /* 64-bit; all bits can be set here, so 16 bytes */
    c[1] = 0x1;
    b = size_bar(c, 0);
    CHECK(b.wide);
    CHECK_EQ(b.base, 0x1fe000000);
    CHECK_EQ(b.size, 16);
    CHECK_EQ(c[0], 0xfe000004);
    CHECK_EQ(c[1], 1);
}

TEST(the_largest_gap_is_found)
{
    struct boot_mem mem[] = {{0, 0x80000000, BOOT_MEM_USABLE, 0},
                             {0xb0000000, 0x10000000, BOOT_MEM_RESERVED, 0},
                             {0x100000000, 0x80000000, BOOT_MEM_USABLE, 0}};
    uint32_t *c;

    start();
    facts.machine.ecam[0].last_bus = 0;
    CHECK_EQ(pci_mmio32_gap(&facts, mem, 3), 0xfec00000 - 0xc0000000);
    c = add(0, 2, 0, 0x12348086, 0x10000); /* a bridge whose windows cut the largest gap in two */
    c[PCI_BRIDGE_MEM / 4] = 0xe000d000;
    c[PCI_BRIDGE_PREF / 4] = 0x0000fff0;
    CHECK_EQ(pci_mmio32_gap(&facts, mem, 3), 0x30000000);
    c = add(0, 3, 0, 0x12348086, 0);
    c[PCI_BAR0 / 4] = 0x90000000;
    CHECK_EQ(pci_mmio32_gap(&facts, mem, 3), 0xb0000000 - 0x90000010);

    start(); /* a window that reaches into a range that was listed before it */
    mem[1].size = 0x4ec00000;
    c = add(0, 2, 0, 0x12348086, 0x10000);
    c[PCI_BRIDGE_MEM / 4] = 0xb000a000;
    c[PCI_BRIDGE_PREF / 4] = 0x0000fff0;
    CHECK_EQ(pci_mmio32_gap(&facts, mem, 3), 0x20000000);
}

TEST_MAIN()
