/* SPDX-License-Identifier: BSD-2-Clause */
/* The accessors, over plain memory. */
#include "tests/unit/test.h"

#include "kernel/pci/ecam.c"

static uint8_t space[2 << 12];

TEST(accesses_stay_inside_their_function)
{
    struct pci_dev d = {.regs = (volatile char *)space};

    pci_write32(&d, 0x40, 0x11223344);
    CHECK_EQ(pci_read16(&d, 0x42), 0x1122);
    pci_write16(&d, 0x40, 0x3355);
    pci_write16(&d, 0xffe, 0x6677);
    CHECK_EQ(space[0x40], 0x55);
    CHECK_EQ(space[0xfff], 0x66);
    pci_write16(&d, 0x1004, 0x88);
    CHECK_EQ(space[0x1004], 0);
    CHECK_EQ(pci_read32(&d, 0x1004), 0x88);
}

TEST(without_registers_nothing_answers)
{
    struct pci_dev d = {.regs = NULL};

    CHECK_EQ(pci_read16(&d, 0), 0xffff);
    CHECK_EQ(pci_read32(&d, 0), 0xffffffff);
    pci_write32(&d, 0, 1);
}

TEST_MAIN()
