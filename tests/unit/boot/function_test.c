/* SPDX-License-Identifier: BSD-2-Clause */
/* Which functions can be given away, in a machine whose configuration space is plain memory. */
#include "tests/unit/test.h"

#include "tests/unit/fake/inih.c"

#include "boot/config.c"
#include "boot/config_keys.c"
#include "boot/text.c"

/* Memory takes all bits that are written, so Status is kept here, and the sizes of BARs are the test's. */
#define wr real_wr
#include "boot/pci_config.h"
#undef wr
static void wr(cfg_t c, unsigned offset, uint32_t v)
{
    real_wr(c, offset, offset == PCI_COMMAND ? (v & 0xffff) | (rd(c, offset) & ~0xffffu) : v);
}

#define cfg_size_bar real_size_bar
struct bar cfg_size_bar(cfg_t c, unsigned offset);
#include "boot/pci_config.c"
#undef cfg_size_bar

#include "boot/function.c"

#define BUSES 4

static uint32_t *ecam;
static struct acpi_facts facts;
static struct config cfg;
static struct function_refusal refused;
static uint64_t bar_size;

struct bar cfg_size_bar(cfg_t c, unsigned offset)
{
    uint32_t low = rd(c, offset);

    CHECK(!(rd(c, PCI_COMMAND) & PCI_COMMAND_MEM));
    return (struct bar){.base = low & BAR_ADDR, .size = low && !(low & BAR_IO) ? bar_size : 0};
}

static uint32_t *at(uint32_t rid)
{
    return ecam + ((size_t)rid << 12) / 4;
}

/* The next free place in the list of capabilities, with `dword` behind the header's 16 bits. */
static unsigned add_cap(uint32_t *c, unsigned id, uint32_t dword)
{
    unsigned where = c[PCI_CAPS / 4] ? (c[PCI_CAPS / 4] & 0xff) + 0x20 : 0x40;

    c[where / 4] = dword | c[PCI_CAPS / 4] << 8 | id;
    c[PCI_CAPS / 4] = where;
    c[PCI_COMMAND / 4] |= PCI_STATUS_CAPS;
    return where;
}

static uint32_t *add(uint32_t rid, uint32_t class, uint32_t head)
{
    uint32_t *c = at(rid);

    memset(c, 0, 4096);
    c[PCI_ID / 4] = 0x12348086;
    c[PCI_CLASS / 4] = class << 16;
    c[PCI_HEADER / 4] = head;
    c[PCI_COMMAND / 4] = PCI_COMMAND_MEM;
    return c;
}

/* With a BAR, MSI-X and function-level reset. */
static uint32_t *add_good(uint32_t rid)
{
    uint32_t *c = add(rid, 0x0108, 0);

    c[PCI_BAR0 / 4] = 0xc0200000;
    add_cap(c, CAP_MSIX, 0);
    c[add_cap(c, CAP_PCIE, 0) / 4 + 1] = PCIE_DEVCAP_FLR;
    return c;
}

/* type: of a port, or ~0u for a bridge to conventional PCI. */
static uint32_t *add_bridge(uint32_t rid, unsigned secondary, unsigned subordinate, unsigned type, bool acs)
{
    uint32_t *c = add(rid, 0x0604, 1 << 16);

    c[PCI_BUSES / 4] = subordinate << 16 | secondary << 8 | (rid >> 8 & 0xff);
    if (type != ~0u)
        add_cap(c, CAP_PCIE, FIELD_PREP(PCIE_TYPE, type));
    if (acs) {
        c[0x100 / 4] = EXT_ACS;
        c[0x104 / 4] = ACS_PORT;
    }
    return c;
}

static void parse(const char *devices)
{
    struct boot_error err;
    char text[512];

    snprintf(text, sizeof(text), "[nic lan0]\npf = 00:05.0\nvfs = 2\n[guest a]\nkernel = k\nmemory = 2M\n%s",
             devices);
    CHECK(config_parse(&cfg, "t.cfg", text, strlen(text), &err));
}

/* One function at 00:06.0 that can be given away, a NIC, and the root of it all. */
static uint32_t *start(void)
{
    size_t size = (size_t)BUSES << 20;
    uint32_t *nic;

    free(ecam);
    ecam = aligned_alloc(1 << 20, size);
    memset(ecam, 0xff, size);
    facts = (struct acpi_facts){.machine = {.necam = 1, .ecam = {{(uint64_t)ecam, 0, 0, BUSES - 1}}}};
    add(0, 0x0600, 0);
    nic = add_good(0x28);
    nic[0x100 / 4] = EXT_SRIOV;
    nic[(0x100 + SRIOV_OFFSET) / 4] = 2 << 16 | 0x80;
    bar_size = 0x4000;
    parse("device = 00:06.0\n");
    return add_good(0x30);
}

static const char *look(void)
{
    refused = (struct function_refusal){0};
    function_look(&facts, &cfg, 0xfa, &refused);
    CHECK_EQ(refused.line != 0, refused.why[0] != 0);
    CHECK(refused.line == 0 || strstr(refused.why, "accepted: "));
    return refused.why;
}

#define REFUSED(start) CHECK(strncmp(look(), start, strlen(start)) == 0)
#define TAKEN(how)                                                                                           \
    do {                                                                                                     \
        CHECK_EQ(look()[0], 0);                                                                              \
        CHECK_EQ(cfg.boot.guest[0].function[0].reset, (how));                                                \
    } while (0)

TEST(a_function_with_all_it_needs)
{
    uint32_t *c = start();

    TAKEN(BOOT_RESET_FLR);
    CHECK_EQ(c[PCI_COMMAND / 4] & 0xffff, PCI_COMMAND_MEM);
}

TEST(the_line_is_named)
{
    start();
    parse("device = 00:06.0\nvf = lan0/0\ndevice = 00:0a.0\n");
    REFUSED("no device at 00:0a.0, ");
    CHECK_EQ(refused.line, 9);
}

TEST(what_it_must_not_be)
{
    uint32_t *c = start();

    parse("device = 00:05.0\n");
    REFUSED("00:05.0 is [nic lan0], ");
    parse("device = 00:15.2\n"); /* 0x28 + 0x80 + 2 */
    REFUSED("00:15.2 is a VF of [nic lan0], accepted: vf = lan0/1");
    parse("device = 00:15.4\n"); /* not enabled */
    REFUSED("no device at 00:15.4, ");
    parse("device = 01:00:06.0\n");
    REFUSED("no device at 0001:00:06.0, ");
    parse("device = 00:00.0\n");
    REFUSED("00:00.0 is a bridge, ");
    parse("device = 00:06.0\n");
    c[PCI_CLASS / 4] = 0x08060000;
    REFUSED("00:06.0 is an IOMMU, ");
    c[PCI_CLASS / 4] = 0x08002000;
    REFUSED("00:06.0 is interrupt or timer hardware ");
    c[PCI_CLASS / 4] = 0x08050100;
    TAKEN(BOOT_RESET_FLR);
    c[PCI_HEADER / 4] = 1 << 16;
    REFUSED("00:06.0 is a bridge, ");
}

TEST(what_the_loader_and_the_hypervisor_use)
{
    uint32_t *c = start();

    c[PCI_BAR0 / 4 + 2] = 0x3f8 | BAR_IO;
    REFUSED("00:06.0 has the console's port 0x3f8, ");
    CHECK_EQ(c[PCI_BAR0 / 4 + 2], 0x3f9);
    c[PCI_BAR0 / 4 + 2] = 0x400 | BAR_IO;
    TAKEN(BOOT_RESET_FLR);
    c[PCI_BAR0 / 4 + 2] = 0x3f4 | BAR_IO; /* four ports of memory's kind */
    TAKEN(BOOT_RESET_FLR);
    add_good(0xfa);
    add(0xf8, 0x0601, PCI_MULTI);
    parse("device = 00:1f.2\n");
    REFUSED("00:1f.2 is what Lastmile is started from, ");
}

TEST(registers_and_interrupts)
{
    uint32_t *c = start();

    bar_size = 0x800;
    REFUSED("00:06.0: BAR 0 is 0x800 bytes at 0xc0200000, ");
    CHECK_EQ(c[PCI_COMMAND / 4] & 0xffff, PCI_COMMAND_MEM);
    bar_size = 0x1000;
    c[PCI_BAR0 / 4] = 0xc0200800;
    REFUSED("00:06.0: BAR 0 is ");
    c[PCI_BAR0 / 4] = 0;
    REFUSED("00:06.0 has no registers in memory, ");
    c = start();
    c[0x40 / 4] = (c[0x40 / 4] & ~0xffu) | CAP_MSI;
    TAKEN(BOOT_RESET_FLR);
    c[0x40 / 4] = (c[0x40 / 4] & ~0xffu) | CAP_PM;
    REFUSED("00:06.0 has a pin for its interrupt only, ");
}

TEST(resets_in_their_order)
{
    uint32_t *c = start();
    unsigned pcie = 0x60, af = add_cap(c, CAP_AF, AF_CAPS_FLR), pm = add_cap(c, CAP_PM, 0);

    TAKEN(BOOT_RESET_FLR);
    c[pcie / 4 + 1] = 0;
    TAKEN(BOOT_RESET_AF);
    c[af / 4] &= ~BIT32(24); /* cannot say when it is quiet */
    TAKEN(BOOT_RESET_PM);
    c[pm / 4 + 1] = PM_NO_SOFT_RESET;
    REFUSED("00:06.0 cannot be reset, ");
}

/* A port with a function behind it that has no reset of its own. */
static uint32_t *start_behind(unsigned type, bool acs)
{
    uint32_t *c;

    start();
    add_bridge(0x20, 1, 1, type, acs);
    c = add_good(0x100);
    c[0x60 / 4 + 1] = 0;
    parse("device = 01:00.0\n");
    return c;
}

TEST(behind_a_port)
{
    start_behind(PCIE_ROOT_PORT, true);
    TAKEN(BOOT_RESET_BUS);
    start_behind(PCIE_ROOT_PORT, false); /* a root port that is alone in its place */
    TAKEN(BOOT_RESET_BUS);
    add_good(0x108);
    REFUSED("01:00.0 reaches 01:01.0 around the IOMMU (no ACS at 00:04.0), ");
    parse("device = 01:00.0\ndevice = 01:01.0\n");
    REFUSED("01:00.0 cannot be reset, "); /* not alone */
    start_behind(~0u, false);
    REFUSED("01:00.0 is behind the PCI bridge 00:04.0, ");
    start_behind(PCIE_TO_PCI, true);
    REFUSED("01:00.0 is behind the PCI bridge 00:04.0, ");
}

TEST(root_ports_of_one_device)
{
    start_behind(PCIE_ROOT_PORT, false);
    at(0x20)[PCI_HEADER / 4] |= PCI_MULTI;
    add_bridge(0x21, 2, 2, PCIE_ROOT_PORT, false)[PCI_HEADER / 4] |= PCI_MULTI;
    TAKEN(BOOT_RESET_BUS);
    add_good(0x200);
    REFUSED("01:00.0 reaches 02:00.0 around the IOMMU (no ACS at 00:04.0), ");
    parse("device = 01:00.0\ndevice = 02:00.0\n");
    TAKEN(BOOT_RESET_BUS);
    start_behind(PCIE_ROOT_PORT, true);
    at(0x20)[PCI_HEADER / 4] |= PCI_MULTI;
    add_bridge(0x21, 2, 2, PCIE_ROOT_PORT, false);
    add_good(0x200);
    TAKEN(BOOT_RESET_BUS);
}

/* Root port, a switch with two ports, a device behind each. */
static void start_switch(bool acs)
{
    start();
    add_bridge(0x20, 1, 3, PCIE_ROOT_PORT, true);
    add_bridge(0x100, 2, 3, 5, false)[PCI_BUSES / 4] = 3 << 16 | 2 << 8 | 1;
    add_bridge(0x208, 3, 3, PCIE_DOWNSTREAM, acs);
    add_bridge(0x210, 0, 0, PCIE_DOWNSTREAM, acs); /* nothing behind it yet */
    add_good(0x300);
    parse("device = 03:00.0\n");
}

TEST(a_switch_forwards_between_its_ports)
{
    start_switch(true);
    add_good(0x218);
    TAKEN(BOOT_RESET_FLR);
    start_switch(false);
    TAKEN(BOOT_RESET_FLR);
    add_good(0x218); /* on the switch's own bus */
    REFUSED("03:00.0 reaches 02:03.0 around the IOMMU (no ACS at 02:01.0), ");
}

TEST(functions_of_one_device)
{
    uint32_t *c = start();

    c[PCI_HEADER / 4] |= PCI_MULTI;
    add_good(0x32);
    REFUSED("00:06.0 reaches 00:06.2 around the IOMMU (no ACS at 00:06.0), ");
    parse("device = 00:06.0\ndevice = 00:06.2\n");
    TAKEN(BOOT_RESET_FLR);
    parse("device = 00:06.0\n[guest b]\nkernel = k\nmemory = 2M\ndevice = 00:06.2\n");
    REFUSED("00:06.0 reaches 00:06.2 ");
    c[0x100 / 4] = at(0x32)[0x100 / 4] = EXT_ACS;
    c[0x104 / 4] = at(0x32)[0x104 / 4] = ACS_FUNCTION;
    TAKEN(BOOT_RESET_FLR);
}

TEST(acs_is_switched_on)
{
    uint32_t *c;

    start_behind(PCIE_ROOT_PORT, true);
    c = at(0x20);
    c[0x104 / 4] = 0x7f;
    at(0x30)[0x100 / 4] = EXT_ACS;
    at(0x30)[0x104 / 4] = ACS_FUNCTION;
    function_isolate(&facts);
    CHECK_EQ(c[0x104 / 4] >> 16, 0x1d);
    CHECK_EQ(at(0x30)[0x104 / 4] >> 16, 0xc);
}

TEST(memory_of_the_firmware)
{
    start();
    facts.nclaimed = 2;
    facts.claimed[0] = (struct boot_ids){0x10, 0x2f, 0};
    facts.claimed[1] = (struct boot_ids){0x30, 0x30, 0};
    REFUSED("00:06.0: the firmware keeps memory for it ");
    facts.claimed[1] = (struct boot_ids){0x31, 0x37, 0};
    TAKEN(BOOT_RESET_FLR);
    facts.claimed[1] = (struct boot_ids){0x28, 0x30, 0};
    REFUSED("00:06.0: the firmware keeps memory for it ");
    facts.nclaimed = 0;
}

TEST_MAIN()
