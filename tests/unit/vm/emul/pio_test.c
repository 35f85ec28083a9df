/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/test.h"

#include "tests/unit/fake/bus.c"
#include "tests/unit/fake/hvm.c"
#include "tests/unit/fake/p2m.c"

#include "vm/emul/decode.c"
#include "vm/emul/operand.c"
#include "vm/emul/pio.c"
#include "vm/guestmem.c"

static struct vm vm;
static struct vcpu v;

#define CODE 0x100000
#define DATA 0x101000

static void setup(void)
{
    memset(&fake_bus, 0, sizeof(fake_bus));
    memset(&v, 0, sizeof(v));
    v.vm = &vm;
    v.rflags = 2;
    v.rip = CODE;
    v.gpr[RAX] = 0x1122334455667788;
    v.gpr[RDX] = 0xabcd0000 | FAKE_PORT_BASE;
    CHECK_EQ(p2m_init(&vm.p2m, 4 << 20), 0);
    fake_hvm_long_mode();
    fake_hvm.reg[REG_CR0] = 0x11;
}

static void teardown(void)
{
    guest_forget(&v);
    p2m_destroy(&vm.p2m);
}

static void io(bool in, uint16_t port, uint8_t size)
{
    struct vm_exit e = {.kind = VM_EXIT_IO, .len = 1, .io = {.port = port, .size = size, .in = in}};

    emul_io(&v, &e);
}

static void string_exit(const char *bytes, unsigned n, bool in)
{
    struct vm_exit e = {.kind = VM_EXIT_IO,
                        .io = {.port = FAKE_PORT_BASE, .size = 1, .in = in, .string = true}};

    memcpy(p2m_ram(&vm.p2m, gpa(CODE), n), bytes, n);
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
    teardown();
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
    teardown();
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
    teardown();
}

TEST(outs_and_ins_move_memory)
{
    setup();
    memcpy(p2m_ram(&vm.p2m, gpa(DATA), 3), "xyz", 3);
    v.gpr[RSI] = DATA;
    v.gpr[RCX] = 3;
    string_exit("\xf3\x6e", 2, false);
    CHECK_EQ(fake_bus.port[0], 'z');
    CHECK_EQ(fake_bus.writes, 3);
    CHECK_EQ(v.gpr[RSI], DATA + 3);
    CHECK_EQ(v.gpr[RCX], 0);
    CHECK_EQ(v.rip, CODE + 2);
    v.rip = CODE;
    v.gpr[RDI] = DATA + 16;
    string_exit("\x6c", 1, true);
    CHECK_EQ(*(char *)p2m_ram(&vm.p2m, gpa(DATA + 16), 1), 'z');
    CHECK_EQ(v.gpr[RDI], DATA + 17);
    CHECK_EQ(v.rip, CODE + 1);
    teardown();
}

TEST(outs_uses_the_overridden_segment_and_address_size)
{
    setup();
    memcpy(p2m_ram(&vm.p2m, gpa(DATA), 1), "q", 1);
    fake_hvm.seg[SEG_FS].base = 0x1000;
    v.gpr[RSI] = 0xdead00000000 | (DATA - 0x1000);
    string_exit("\x64\x67\x6e", 3, false);
    CHECK_EQ(fake_bus.port[0], 'q');
    CHECK_EQ(v.gpr[RSI], DATA - 0x1000 + 1);
    CHECK_EQ(v.rip, CODE + 3);
    teardown();
}

TEST(one_exit_moves_a_bounded_number_of_elements)
{
    setup();
    v.gpr[RSI] = DATA;
    v.gpr[RCX] = ~(uint64_t)0;
    string_exit("\xf3\x6e", 2, false);
    CHECK_EQ(fake_bus.writes, STRING_BURST);
    CHECK_EQ(v.rip, CODE);
    CHECK_EQ(v.gpr[RCX], ~(uint64_t)0 - STRING_BURST);
    v.gpr[RCX] = 0;
    string_exit("\xf3\x6e", 2, false);
    CHECK_EQ(fake_bus.writes, STRING_BURST);
    CHECK_EQ(v.rip, CODE + 2);
    teardown();
}

TEST(ins_that_cannot_store_does_not_read_the_device)
{
    setup();
    fake_hvm.reg[REG_CR0] |= 1u << 31;
    fake_hvm.reg[REG_CR3] = 0x200000;
    *(uint64_t *)p2m_ram(&vm.p2m, gpa(0x200000), 8) = 0x201003;
    *(uint64_t *)p2m_ram(&vm.p2m, gpa(0x201000), 8) = 0x83;
    v.gpr[RDI] = 0x40000000 - 2; /* the next GiB is not there */
    string_exit("\x6d", 1, true);
    CHECK_EQ(fake_bus.reads, 0);
    CHECK_EQ(fake_bus.vector, 14);
    CHECK_EQ(fake_bus.error, 2);
    CHECK_EQ(fake_hvm.reg[REG_CR2], 0x40000000);
    CHECK_EQ(v.rip, CODE);
    CHECK_EQ(v.gpr[RDI], 0x40000000 - 2);
    teardown();
}

TEST(code_that_changed_meanwhile_is_left_to_the_cpu)
{
    setup();
    string_exit("\x90", 1, true);
    CHECK_EQ(fake_bus.reads + fake_bus.writes + fake_bus.exceptions, 0);
    CHECK_EQ(v.rip, CODE);
    teardown();
}

TEST_MAIN()
