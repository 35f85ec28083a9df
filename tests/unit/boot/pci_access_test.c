/* SPDX-License-Identifier: BSD-2-Clause */
/* The accessors, over plain memory and modelled ports. */
#include "tests/unit/test.h"

#include "tests/unit/fake/x86.h"

#include "boot/pci_access.c"

static struct boot_machine board;
static uint8_t space[3 << 20]; /* of three buses */

TEST(accesses_reach_their_function)
{
    const uint32_t d = 0x22b, other = 0x400, low = 0, far = 0x1022b;

    board = (struct boot_machine){
        .necam = 1,
        .ecam = {{.base = (uint64_t)space - (1 << 20), .segment = 0, .first_bus = 1, .last_bus = 3}}};
    pci_use(&board);
    pci_write32(d, 0x40, 0x11223344);
    CHECK_EQ(pci_read8(d, 0x43), 0x11);
    CHECK_EQ(pci_read16(d, 0x42), 0x1122);
    pci_write16(d, 0x40, 0x3355);
    pci_write16(d, 0xffe, 0x6677);
    CHECK_EQ(space[0x12b000 + 0x40], 0x55);
    CHECK_EQ(space[0x12b000 + 0xfff], 0x66);
    pci_write16(other, 0, 0x12); /* reaches nobody */
    CHECK_EQ(pci_read8(other, 0), 0xff);
    CHECK_EQ(pci_read16(low, 0), 0xffff);
    CHECK_EQ(pci_read32(far, 0), 0xffffffff);
}

/* The machine's configuration ports: the last address, and 256 bytes of one function. */
static uint32_t port_address;
static uint8_t port_space[256];

static uint32_t port_in(uint16_t port, unsigned size)
{
    uint32_t v = 0;

    CHECK(port >= 0xcfc && port + size <= 0xd00 && port_address >> 31);
    memcpy(&v, port_space + (port_address & 0xfc) + (port - 0xcfc), size);
    return v;
}

static void port_out(uint16_t port, unsigned size, uint32_t v)
{
    if (port == 0xcf8) {
        CHECK_EQ(size, 4);
        port_address = v;
        return;
    }
    CHECK(port >= 0xcfc && port + size <= 0xd00 && port_address >> 31);
    memcpy(port_space + (port_address & 0xfc) + (port - 0xcfc), &v, size);
}

TEST(without_a_window_the_ports_reach_segment_0)
{
    const uint32_t d = 0x22b, far = 0x1022b;

    fake_in = port_in;
    fake_out = port_out;
    board.necam = 0;
    pci_use(&board);
    pci_write32(d, 0x40, 0x11223344);
    CHECK_EQ(port_address, 0x80022b40);
    CHECK_EQ(pci_read8(d, 0x43), 0x11);
    CHECK_EQ(port_address, 0x80022b40);
    CHECK_EQ(pci_read16(d, 0x42), 0x1122);
    pci_write16(d, 0xfe, 0x5500);
    pci_write16(d, 0xfc, 0x6677);
    CHECK_EQ(pci_read32(d, 0xfc), 0x55006677);
    port_address = 0;
    CHECK_EQ(pci_read32(d, 0x100), 0xffffffff); /* extended space: on no port */
    CHECK_EQ(pci_read16(far, 0), 0xffff);
    pci_write16(d, 0x100, 1);
    pci_write32(far, 0, 1);
    CHECK_EQ(port_address, 0);
}

TEST_MAIN()
