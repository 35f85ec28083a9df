/* SPDX-License-Identifier: BSD-2-Clause */
/* The MCFG's windows and the accessors, over plain memory. */
#include "tests/unit/test.h"

#include "tests/unit/fake/acpi.c"
#include "tests/unit/fake/frame.c"
#include "tests/unit/fake/log.c"
#include "tests/unit/fake/paging.c"

#include "kernel/pci/ecam.c"

static struct {
    struct acpi_header header;
    uint64_t reserved;
    struct mcfg_entry e[12];
} __attribute__((packed)) table;

_Static_assert(offsetof(__typeof__(table), e) == MCFG_ENTRIES, "PCI Firmware 3.3 table 4-2");

static uint8_t space[3 << 20]; /* of three buses */
static uint64_t mapped;        /* bytes, all windows together */
static bool no_memory;

static volatile void *map_space(hpa_t start, uint64_t size)
{
    CHECK_EQ(start.a & 0xfffff, 0);
    mapped += size;
    return no_memory ? NULL : space;
}

static bool ram_below_2g(hpa_t start, uint64_t size)
{
    return start.a + size <= 0x80000000;
}

static int start(unsigned entries)
{
    memcpy(table.header.signature, "MCFG", 4);
    table.header.length = (uint32_t)(MCFG_ENTRIES + entries * sizeof(struct mcfg_entry));
    fake_acpi_tables[0] = &table.header;
    fake_frame_is_ram = ram_below_2g;
    fake_mmio_map = map_space;
    fake_log_reset();
    mapped = 0;
    return ecam_init();
}

TEST(accesses_reach_their_function)
{
    struct pci_dev d = {.rid = rid(0, 2, 0x2b)}, other = {.rid = rid(0, 4, 0)}, low = {.rid = rid(0, 0, 0)},
                   far = {.rid = rid(1, 2, 0x2b)};

    table.e[0] = (struct mcfg_entry){.base = 0xb0000000, .segment = 0, .first = 1, .last = 3};
    CHECK_EQ(start(1), 0);
    CHECK_EQ(mapped, sizeof(space));
    pci_write32(&d, 0x40, 0x11223344);
    CHECK_EQ(pci_read8(&d, 0x43), 0x11);
    CHECK_EQ(pci_read16(&d, 0x42), 0x1122);
    pci_write8(&d, 0x40, 0x55);
    pci_write16(&d, 0xffe, 0x6677);
    CHECK_EQ(space[0x12b000 + 0x40], 0x55);
    CHECK_EQ(space[0x12b000 + 0xfff], 0x66);
    pci_write8(&other, 0, 0x12); /* reaches nobody */
    CHECK_EQ(pci_read8(&other, 0), 0xff);
    CHECK_EQ(pci_read16(&low, 0), 0xffff);
    CHECK_EQ(pci_read32(&far, 0), 0xffffffff);
    no_memory = true;
    CHECK_EQ(start(1), -ENOMEM);
    no_memory = false;
}

TEST(unsound_windows_are_refused)
{
    static const struct mcfg_entry bad[] = {
        {.base = 0x40000000, .last = 255},           /* RAM */
        {.base = 0xb0080000, .last = 255},           /* not on a bus boundary */
        {.base = 0, .last = 255},                    /* nowhere */
        {.base = 0xfffffffff0000000, .last = 255},   /* beyond all addresses, wraps */
        {.base = 0xb0000000, .first = 9, .last = 8}, /* no bus */
    };

    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        table.e[0] = bad[i];
        CHECK_EQ(start(1), -ENOENT);
        CHECK(fake_log_has("MCFG: the window at"));
    }
    table.e[0] = (struct mcfg_entry){.base = 0xb0000000, .last = 63};
    table.e[1] = (struct mcfg_entry){.base = 0xc0000000, .first = 63, .last = 127}; /* bus 63 twice */
    table.e[2] = (struct mcfg_entry){.base = 0xc0000000, .segment = 1, .last = 127};
    CHECK_EQ(start(3), 0);
    CHECK(ecam_window(1) && !ecam_window(2) && ecam_window(1)->segment == 1);
    for (unsigned i = 0; i < 12; i++)
        table.e[i] = (struct mcfg_entry){.base = 0xb0000000, .segment = (uint16_t)i, .last = 63};
    CHECK_EQ(start(12), 0);
    CHECK(fake_log_lines == 4);
    CHECK_EQ(start(0), -ENOENT);
    table.header.length = 40;
    CHECK_EQ(ecam_init(), -ENOENT);
    fake_acpi_tables[0] = NULL;
    CHECK_EQ(ecam_init(), -ENOENT);
}

TEST_MAIN()
