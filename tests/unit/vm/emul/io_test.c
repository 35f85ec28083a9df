/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/test.h"

#include "tests/unit/fake/bus.c"
#include "tests/unit/fake/hvm.c"
#include "tests/unit/fake/p2m.c"

#include "vm/emul/decode.c"
#include "vm/emul/io.c"
#include "vm/guestmem.c"

static struct vm vm;
static struct vcpu v = {.vm = &vm};

#define CODE 0x100000
#define DEV  (FAKE_MMIO + 0x80)
#define IF   0x200

/* Flat protected mode with paging off: linear addresses are physical. */
static void setup(void)
{
    memset(&fake_bus, 0, sizeof(fake_bus));
    memset(&v, 0, sizeof(v));
    v.vm = &vm;
    v.rflags = 2 | IF;
    CHECK_EQ(fake_p2m_init(&vm.p2m, 4 << 20), 0);
    fake_hvm_long_mode();
    fake_hvm.reg[REG_CR0] = 0x11;
    for (unsigned i = 0; i < GPRS; i++)
        v.gpr[i] = 0x1111111111111111u * i;
    v.gpr[RBX] = DEV;
    v.rip = CODE;
}

static void teardown(void)
{
    memset(last_fetch, 0, sizeof(last_fetch));
    fake_p2m_destroy(&vm.p2m);
}

static bool run_at(const char *bytes, unsigned n, uint64_t addr)
{
    struct vm_exit e = {.kind = VM_EXIT_MEM, .mem = {.addr = {addr}}};

    memcpy(p2m_ram(&vm.p2m, gpa(CODE), n), bytes, n);
    v.rip = CODE;
    return emul_mmio(&v, &e);
}

/* Emulates the instruction; it must be known and end at the next one. */
#define RUN(bytes)                                                                                           \
    do {                                                                                                     \
        CHECK(run_at(bytes, sizeof(bytes) - 1, DEV));                                                        \
        CHECK_EQ(v.rip, CODE + sizeof(bytes) - 1);                                                           \
    } while (0)

static uint64_t dev(unsigned size)
{
    uint64_t val = 0;

    memcpy(&val, fake_bus.mem + 0x80, size);
    return val;
}

static void set_dev(uint64_t val)
{
    memcpy(fake_bus.mem + 0x80, &val, 8);
}

#define STATUS         0x8d5 /* OF SF ZF AF PF CF */
#define CHECK_FLAGS(f) CHECK_EQ(v.rflags &STATUS, f)

TEST(mov_stores_and_loads_in_all_sizes)
{
    setup();
    v.gpr[RAX] = 0x1122334455667788;
    RUN("\x89\x03"); /* mov [rbx], eax */
    CHECK_EQ(fake_bus.last.size, 4);
    CHECK_EQ(dev(8), 0x55667788);
    CHECK_EQ(fake_bus.skips, 1);
    RUN("\x48\x89\x03");
    CHECK_EQ(dev(8), 0x1122334455667788);
    RUN("\x88\x23"); /* mov [rbx], ah */
    CHECK_EQ(dev(8), 0x1122334455667777);
    v.gpr[RCX] = ~(uint64_t)0;
    RUN("\x8b\x0b"); /* mov ecx, [rbx] clears the upper half */
    CHECK_EQ(v.gpr[RCX], 0x55667777);
    v.gpr[RCX] = ~(uint64_t)0;
    RUN("\x66\x8b\x0b"); /* mov cx, [rbx] does not */
    CHECK_EQ(v.gpr[RCX], 0xffffffffffff7777);
    RUN("\x8a\x2b"); /* mov ch, [rbx] */
    CHECK_EQ(v.gpr[RCX], 0xffffffffffff7777);
    set_dev(0x12);
    RUN("\x8a\x2b");
    CHECK_EQ(v.gpr[RCX], 0xffffffffffff1277);
    RUN("\x0a\x2b"); /* or ch, [rbx] */
    CHECK_EQ(v.gpr[RCX], 0xffffffffffff1277);
    RUN("\x2a\x2b"); /* sub ch, [rbx] */
    CHECK_EQ(v.gpr[RCX], 0xffffffffffff0077);
    RUN("\x2a\x2b"); /* below 0: the byte above stays */
    CHECK_EQ(v.gpr[RCX], 0xffffffffffffee77);
    RUN("\x48\xc7\x03\xfe\xff\xff\xff"); /* mov qword [rbx], -2 */
    CHECK_EQ(dev(8), ~(uint64_t)1);
    teardown();
}

TEST(a_direct_access_needs_no_walk)
{
    setup();
    fake_hvm.reg[REG_CR0] |= 1u << 31; /* paging, but no tables: the fetch below uses what it remembers */
    v.gpr[RBX] = 0xffffffffff5fd080;   /* the kernel's mapping of the device; the exit gives its address */
    struct insn insn = {.op = INSN_MOV, .mem = true, .size = 4, .reg_size = 4, .reg = RCX};
    set_dev(0x1234);
    perform(&v, &insn, DEV);
    CHECK_EQ(v.gpr[RCX], 0x1234);
    teardown();
}

TEST(extending_moves)
{
    setup();
    set_dev(0x80f0);
    RUN("\x0f\xb6\x03");
    CHECK_EQ(v.gpr[RAX], 0xf0);
    RUN("\x48\x0f\xbe\x03");
    CHECK_EQ(v.gpr[RAX], 0xfffffffffffffff0);
    RUN("\x0f\xbf\x03");
    CHECK_EQ(v.gpr[RAX], 0xffff80f0);
    teardown();
}

TEST(arithmetic_and_its_flags)
{
    setup();
    set_dev(0x7fffffff);
    RUN("\x83\x03\x01"); /* add dword [rbx], 1 */
    CHECK_EQ(dev(8), 0x80000000);
    CHECK_FLAGS(0x800 | 0x80 | 0x10 | 4); /* OF SF AF PF */
    CHECK(v.rflags & IF);
    set_dev(0xff);
    RUN("\x80\x03\x01"); /* add byte [rbx], 1 */
    CHECK_EQ(dev(8), 0);
    CHECK_FLAGS(0x40 | 0x10 | 4 | 1); /* ZF AF PF CF */
    RUN("\x83\x13\x00");              /* adc dword [rbx], 0 */
    CHECK_EQ(dev(4), 1);
    CHECK_FLAGS(0);
    v.rflags |= 1; /* is not added by ADD and SUB */
    RUN("\x83\x03\x00");
    CHECK_EQ(dev(4), 1);
    v.rflags |= 1;
    RUN("\x83\x2b\x02"); /* sub dword [rbx], 2 */
    CHECK_EQ(dev(4), 0xffffffff);
    CHECK_FLAGS(0x80 | 0x10 | 4 | 1);
    RUN("\x83\x1b\x00"); /* sbb dword [rbx], 0 */
    CHECK_EQ(dev(4), 0xfffffffe);
    CHECK_FLAGS(0x80);
    teardown();
}

TEST(logic_and_its_flags)
{
    setup();
    v.rflags |= 0x801;
    set_dev(0xf0f0);
    RUN("\x81\x23\xff\x00\x00\x00"); /* and dword [rbx], 0xff */
    CHECK_EQ(dev(4), 0xf0);
    CHECK_FLAGS(4);
    RUN("\x83\x0b\x0f"); /* or */
    CHECK_EQ(dev(4), 0xff);
    v.gpr[RAX] = 0xff;
    RUN("\x31\x03"); /* xor [rbx], eax */
    CHECK_EQ(dev(4), 0);
    CHECK_FLAGS(0x44);
    set_dev(0x8000000000000000);
    fake_bus.writes = 0;
    RUN("\x48\x85\x03"); /* test [rbx], rax */
    CHECK_EQ(fake_bus.writes, 0);
    CHECK_FLAGS(0x44);
    v.gpr[RAX] = 0x8000000000000001;
    RUN("\x48\x23\x03"); /* and rax, [rbx]: memory is the source */
    CHECK_EQ(v.gpr[RAX], 0x8000000000000000);
    CHECK_EQ(fake_bus.writes, 0);
    CHECK_FLAGS(0x84);
    teardown();
}

TEST(compare_changes_flags_only)
{
    setup();
    set_dev(5);
    v.gpr[RAX] = 5;
    RUN("\x3b\x03"); /* cmp eax, [rbx] */
    CHECK_FLAGS(0x44);
    RUN("\x83\x3b\x06"); /* cmp dword [rbx], 6 */
    CHECK_FLAGS(0x80 | 0x10 | 4 | 1);
    CHECK_EQ(dev(8), 5);
    CHECK_EQ(v.gpr[RAX], 5);
    CHECK_EQ(fake_bus.writes, 0);
    teardown();
}

TEST(unknown_instructions_and_addresses_are_reported)
{
    setup();
    CHECK(!run_at("\x0f\x0b", 2, DEV));
    CHECK(!run_at("\x0f\xa2", 2, DEV)); /* CPUID has no memory operand */
    CHECK(!run_at("\x89\xd8", 2, DEV)); /* mov eax, ebx */
    CHECK(!run_at("\xf3\xa4", 2, DEV)); /* rep movsb */
    CHECK_EQ(v.rip, CODE);
    CHECK(!run_at("\x8b\x03", 2, FAKE_MMIO + 0xffe)); /* ends on the next page */
    CHECK_EQ(v.rip, CODE);
    teardown();
}

/* --- ports --- */

static void io(bool in, uint16_t port, uint8_t size)
{
    struct vm_exit e = {.kind = VM_EXIT_IO, .len = 1, .io = {.port = port, .size = size, .in = in}};

    CHECK_EQ(emul_io(&v, &e), THEN_SKIP);
}

TEST(out_writes_the_low_bytes_of_rax)
{
    setup();
    v.gpr[RAX] = 0x1122334455667788;
    io(false, FAKE_PORT_BASE, 2);
    CHECK_EQ(fake_bus.last.data, 0x7788);
    CHECK_EQ(fake_bus.last.size, 2);
    CHECK_EQ(v.gpr[RAX], 0x1122334455667788);
    teardown();
}

TEST(in_fills_only_as_much_of_rax_as_its_size)
{
    setup();
    v.gpr[RAX] = 0x1122334455667788;
    memcpy(fake_bus.port, "\x01\x02\x03\x04", 4);
    io(true, FAKE_PORT_BASE, 1);
    CHECK_EQ(v.gpr[RAX], 0x1122334455667701);
    io(true, FAKE_PORT_BASE, 2);
    CHECK_EQ(v.gpr[RAX], 0x1122334455660201);
    io(true, FAKE_PORT_BASE, 4);
    CHECK_EQ(v.gpr[RAX], 0x04030201);
    teardown();
}

TEST(ports_that_nobody_has_give_all_ones)
{
    setup();
    v.gpr[RAX] = 0x1122334455667788;
    io(true, 0x80, 1);
    CHECK_EQ(v.gpr[RAX], 0x11223344556677ff);
    io(true, 0xfffe, 4);
    CHECK_EQ(v.gpr[RAX], 0xffffffff);
    io(false, 0x80, 1);
    CHECK_EQ(fake_bus.missed, 3);
    teardown();
}

TEST(string_instructions_are_refused)
{
    struct vm_exit e = {.kind = VM_EXIT_IO, .io = {.port = FAKE_PORT_BASE, .size = 1, .string = true}};

    setup();
    v.gpr[RAX] = 0x1122334455667788;
    CHECK_EQ(emul_io(&v, &e), THEN_GP);
    CHECK_EQ(fake_bus.complaints, 1);
    CHECK_EQ(fake_bus.reads + fake_bus.writes, 0);
    teardown();
}

TEST_MAIN()
