/* SPDX-License-Identifier: BSD-2-Clause */
/* The windows and the accessors, over plain memory. */
#include "tests/unit/test.h"

#include "tests/unit/fake/paging.c"

#include "kernel/pci/ecam.c"

static struct bootinfo info;
static uint8_t space[3 << 20]; /* of three buses */
static uint64_t mapped;        /* bytes, all windows together */
static bool no_memory;

static volatile void *map_space(hpa_t start, uint64_t size)
{
    CHECK_EQ(start.a & 0xfffff, 0);
    mapped += size;
    return no_memory ? NULL : space;
}

static int start(unsigned windows_handed_over)
{
    info.machine.necam = windows_handed_over;
    fake_mmio_map = map_space;
    mapped = 0;
    return ecam_init(&info);
}

TEST(accesses_reach_their_function)
{
    struct pci_dev d = {.rid = rid(0, 2, 0x2b)}, other = {.rid = rid(0, 4, 0)}, low = {.rid = rid(0, 0, 0)},
                   far = {.rid = rid(1, 2, 0x2b)};

    info.machine.ecam[0] =
        (struct boot_ecam){.base = 0xb0000000, .segment = 0, .first_bus = 1, .last_bus = 3};
    CHECK_EQ(start(1), 0);
    CHECK_EQ(mapped, sizeof(space));
    pci_write32(&d, 0x40, 0x11223344);
    CHECK_EQ(pci_read16(&d, 0x42), 0x1122);
    pci_write16(&d, 0x40, 0x3355);
    pci_write16(&d, 0xffe, 0x6677);
    CHECK_EQ(space[0x12b000 + 0x40], 0x55);
    CHECK_EQ(space[0x12b000 + 0xfff], 0x66);
    pci_write16(&other, 0, 0x12); /* reaches nobody */
    CHECK_EQ(pci_read16(&other, 0), 0xffff);
    CHECK_EQ(pci_read16(&low, 0), 0xffff);
    CHECK_EQ(pci_read32(&far, 0), 0xffffffff);
    no_memory = true;
    CHECK_EQ(start(1), -ENOMEM);
    no_memory = false;
}

TEST(without_a_window_nothing_answers)
{
    struct pci_dev d = {.rid = rid(0, 0, 0)};

    CHECK_EQ(start(0), 0);
    CHECK_EQ(pci_read32(&d, 0), 0xffffffff);
    pci_write32(&d, 0, 1);
}

TEST(there_may_be_as_many_as_fit)
{
    for (unsigned i = 0; i < BOOT_ECAM_MAX; i++)
        info.machine.ecam[i] = (struct boot_ecam){.base = 0xb0000000, .segment = (uint16_t)i, .last_bus = 1};
    CHECK_EQ(start(BOOT_ECAM_MAX), 0);
    CHECK(registers[BOOT_ECAM_MAX - 1] != NULL);
}

TEST_MAIN()
