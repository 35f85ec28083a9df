/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/test.h"

#include "tests/unit/fake/bus.c"

#include "vm/emul/pio.c"

static struct vm vm;
static struct vcpu v;

#define CODE 0x100000

static void setup(void)
{
    memset(&fake_bus, 0, sizeof(fake_bus));
    memset(&v, 0, sizeof(v));
    v.vm = &vm;
    v.rflags = 2;
    v.rip = CODE;
    v.gpr[RAX] = 0x1122334455667788;
    v.gpr[RDX] = 0xabcd0000 | FAKE_PORT_BASE;
}

static void io(bool in, uint16_t port, uint8_t size)
{
    struct vm_exit e = {.kind = VM_EXIT_IO, .len = 1, .io = {.port = port, .size = size, .in = in}};

    emul_io(&v, &e);
}

TEST(out_writes_the_low_bytes_of_rax)
{
    setup();
    io(false, FAKE_PORT_BASE, 2);
    CHECK_EQ(fake_bus.last.data, 0x7788);
    CHECK_EQ(fake_bus.last.size, 2);
    CHECK_EQ(v.rip, CODE + 1);
    CHECK_EQ(v.gpr[RAX], 0x1122334455667788);
}

TEST(in_fills_only_as_much_of_rax_as_its_size)
{
    setup();
    memcpy(fake_bus.port, "\x01\x02\x03\x04", 4);
    io(true, FAKE_PORT_BASE, 1);
    CHECK_EQ(v.gpr[RAX], 0x1122334455667701);
    io(true, FAKE_PORT_BASE, 2);
    CHECK_EQ(v.gpr[RAX], 0x1122334455660201);
    io(true, FAKE_PORT_BASE, 4);
    CHECK_EQ(v.gpr[RAX], 0x04030201);
    CHECK_EQ(v.rip, CODE + 3);
}

TEST(ports_that_nobody_has_give_all_ones)
{
    setup();
    io(true, 0x80, 1);
    CHECK_EQ(v.gpr[RAX], 0x11223344556677ff);
    io(true, 0xfffe, 4);
    CHECK_EQ(v.gpr[RAX], 0xffffffff);
    io(false, 0x80, 1);
    CHECK_EQ(fake_bus.missed, 3);
    CHECK_EQ(fake_bus.skips, 3);
}

TEST(string_instructions_are_refused)
{
    struct vm_exit e = {.kind = VM_EXIT_IO, .io = {.port = FAKE_PORT_BASE, .size = 1, .string = true}};

    setup();
    emul_io(&v, &e);
    CHECK_EQ(fake_bus.vector, VEC_GP);
    CHECK_EQ(fake_bus.complaints, 1);
    CHECK_EQ(fake_bus.reads + fake_bus.writes + fake_bus.skips, 0);
    CHECK_EQ(v.rip, CODE);
}

TEST_MAIN()
