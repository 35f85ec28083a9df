/* SPDX-License-Identifier: BSD-2-Clause */
/* The MCFG's windows and the accessors, over plain memory. */
#include "tests/unit/test.h"

#include "tests/unit/fake/acpi.c"
#include "tests/unit/fake/frame.c"
#include "tests/unit/fake/log.c"
#include "tests/unit/fake/paging.c"

#include "kernel/pci/ecam.c"

static struct {
    struct mcfg head;
    struct mcfg_entry e[12];
} __attribute__((packed)) table;

static bool ram_below_2g(hpa_t start, uint64_t size)
{
    return start.a + size <= 0x80000000;
}

static int start(unsigned entries)
{
    memcpy(table.head.header.signature, "MCFG", 4);
    table.head.header.length = (uint32_t)(sizeof(struct mcfg) + entries * sizeof(struct mcfg_entry));
    fake_acpi_tables[0] = &table.head.header;
    fake_frame_is_ram = ram_below_2g;
    fake_log_reset();
    return ecam_init();
}

TEST(accesses_reach_their_function)
{
    struct pci_dev d = {.rid = rid(0, 1, 0x2b)}, other = {.rid = rid(0, 3, 0)};

    table.e[0] = (struct mcfg_entry){.base = 0xb0000000, .segment = 0, .first = 0, .last = 2};
    CHECK_EQ(start(1), 0);
    CHECK_EQ(pci_read32(&d, 0), 0xffffffff); /* not mapped yet */
    pci_write32(&d, 0, 1);
    CHECK_EQ(ecam_map_bus(d.rid), 0);
    CHECK_EQ(ecam_map_bus(d.rid), 0);
    CHECK_EQ(fake_mmio_count, 1);
    pci_write32(&d, 0x40, 0x11223344);
    CHECK_EQ(pci_read8(&d, 0x43), 0x11);
    CHECK_EQ(pci_read16(&d, 0x42), 0x1122);
    pci_write8(&d, 0x40, 0x55);
    pci_write16(&d, 0xffe, 0x6677);
    CHECK_EQ(((uint8_t *)fake_mmio_blocks[0])[0x2b000 + 0x40], 0x55);
    CHECK_EQ(((uint8_t *)fake_mmio_blocks[0])[0x2b000 + 0xfff], 0x66);
    CHECK_EQ(ecam_map_bus(other.rid), -ENODEV);
    CHECK_EQ(pci_read8(&other, 0), 0xff);
    CHECK_EQ(ecam_map_bus(rid(1, 1, 0)), -ENODEV);
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
        CHECK(fake_log_has("MCFG: window 0 refused"));
    }
    table.e[0] = (struct mcfg_entry){.base = 0xb0000000, .last = 63};
    table.e[1] = (struct mcfg_entry){.base = 0xc0000000, .first = 63, .last = 127}; /* bus 63 twice */
    table.e[2] = (struct mcfg_entry){.base = 0xc0000000, .segment = 1, .last = 127};
    CHECK_EQ(start(3), 0);
    CHECK(ecam_window(1) && !ecam_window(2) && ecam_window(1)->segment == 1);
    for (unsigned i = 0; i < 12; i++)
        table.e[i] = (struct mcfg_entry){.base = 0xb0000000, .segment = (uint16_t)i, .last = 63};
    CHECK_EQ(start(12), 0);
    CHECK(fake_log_has("window 11 refused") && !fake_log_has("window 7 refused"));
    CHECK_EQ(start(0), -ENOENT);
    table.head.header.length = 40;
    CHECK_EQ(ecam_init(), -ENOENT);
    fake_acpi_tables[0] = NULL;
    CHECK_EQ(ecam_init(), -ENOENT);
}

TEST_MAIN()
