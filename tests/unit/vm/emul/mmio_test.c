/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/test.h"

#include "tests/unit/fake/bus.c"
#include "tests/unit/fake/hvm.c"
#include "tests/unit/fake/p2m.c"

#include "vm/emul/decode.c"
#include "vm/emul/operand.c"
#undef RFLAGS_DF
#include "vm/emul/mmio.c"
#include "vm/guestmem.c"

static struct vm vm;
static struct vcpu v = {.vm = &vm};

#define CODE 0x100000
#define DATA 0x101000
#define DEV  (FAKE_MMIO + 0x80)
#define IF   0x200

/* Flat protected mode with paging off: linear addresses are physical. */
static void setup(void)
{
    memset(&fake_bus, 0, sizeof(fake_bus));
    memset(&v, 0, sizeof(v));
    v.vm = &vm;
    v.rflags = 2 | IF;
    CHECK_EQ(p2m_init(&vm.p2m, 4 << 20), 0);
    fake_hvm_long_mode();
    fake_hvm.shadow_cleared = 0;
    fake_hvm.reg[REG_CR0] = 0x11;
    for (unsigned i = 0; i < GPRS; i++)
        v.gpr[i] = 0x1111111111111111u * i;
    v.gpr[RBX] = DEV;
    v.rip = CODE;
}

static void teardown(void)
{
    guest_forget(&v);
    p2m_destroy(&vm.p2m);
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
    CHECK_EQ(fake_hvm.shadow_cleared, 1);
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
    RUN("\x48\xc7\x03\xfe\xff\xff\xff"); /* mov qword [rbx], -2 */
    CHECK_EQ(dev(8), ~(uint64_t)1);
    teardown();
}

TEST(a_direct_access_needs_no_walk)
{
    setup();
    fake_hvm.reg[REG_CR0] |= 1u << 31; /* paging, but no tables: the fetch below uses what it remembers */
    v.gpr[RBX] = 0xffffffffff5fd080;   /* the kernel's mapping of the device; the exit gives its address */
    struct vm_exit e = {.kind = VM_EXIT_MEM, .mem = {.addr = {DEV}}};
    struct insn insn = {.op = INSN_MOV,
                        .mem = true,
                        .size = 4,
                        .reg_size = 4,
                        .base = RBX,
                        .index = INSN_NO_REG,
                        .addr_size = 8,
                        .segment = SEG_DS,
                        .reg = RCX};
    set_dev(0x1234);
    CHECK_EQ(perform(&v, &e, &insn), 0);
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
    set_dev(0x80000000);
    RUN("\x48\x63\x03");
    CHECK_EQ(v.gpr[RAX], 0xffffffff80000000);
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
    RUN("\x83\x2b\x02"); /* sub dword [rbx], 2 */
    CHECK_EQ(dev(4), 0xffffffff);
    CHECK_FLAGS(0x80 | 0x10 | 4 | 1);
    RUN("\x83\x1b\x00"); /* sbb dword [rbx], 0 */
    CHECK_EQ(dev(4), 0xfffffffe);
    CHECK_FLAGS(0x80);
    set_dev(0x80000000);
    RUN("\xff\x0b"); /* dec: CF stays */
    CHECK_EQ(dev(4), 0x7fffffff);
    CHECK_FLAGS(0x800 | 0x10 | 4);
    v.rflags |= 1;
    RUN("\xff\x03");
    CHECK_FLAGS(0x800 | 0x80 | 0x10 | 4 | 1);
    set_dev(1);
    RUN("\xf7\x1b"); /* neg */
    CHECK_EQ(dev(4), 0xffffffff);
    CHECK_FLAGS(0x80 | 0x10 | 4 | 1);
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
    v.rflags |= 1;
    RUN("\xf7\x13"); /* not: no flags */
    CHECK_EQ(dev(4), 0xffffffff);
    CHECK_FLAGS(0x45);
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

TEST(bits_in_and_beyond_the_operand)
{
    setup();
    RUN("\x0f\xba\x2b\x21"); /* bts dword [rbx], 33: bit 1 */
    CHECK_EQ(dev(4), 2);
    CHECK_FLAGS(0);
    v.gpr[RCX] = 33;
    RUN("\x0f\xab\x0b"); /* bts [rbx], ecx: bit 1 of the next dword */
    CHECK_EQ(dev(8), 0x200000002);
    v.gpr[RCX] = (uint64_t)-31;
    fake_bus.mem[0x7c] = 2;
    RUN("\x0f\xb3\x0b"); /* btr: bit 1 of the dword before */
    CHECK_EQ(fake_bus.mem[0x7c], 0);
    CHECK_FLAGS(1);
    v.gpr[RCX] = 1;
    RUN("\x0f\xbb\x0b"); /* btc */
    CHECK_EQ(dev(4), 0);
    CHECK_FLAGS(1);
    RUN("\x0f\xa3\x0b"); /* bt */
    CHECK_FLAGS(0);
    teardown();
}

TEST(exchanges)
{
    setup();
    set_dev(7);
    v.gpr[RCX] = 9;
    RUN("\x87\x0b"); /* xchg */
    CHECK_EQ(dev(4), 9);
    CHECK_EQ(v.gpr[RCX], 7);
    v.gpr[RAX] = 9;
    RUN("\xf0\x0f\xb1\x0b"); /* lock cmpxchg [rbx], ecx: equal */
    CHECK_EQ(dev(4), 7);
    CHECK_FLAGS(0x44);
    v.gpr[RAX] = 3;
    RUN("\x0f\xb1\x0b"); /* not equal */
    CHECK_EQ(dev(4), 7);
    CHECK_EQ(v.gpr[RAX], 7);
    CHECK(!(v.rflags & 0x40));
    teardown();
}

TEST(strings_between_device_and_memory)
{
    setup();
    memcpy(p2m_ram(&vm.p2m, gpa(DATA), 8), "abcdefgh", 8);
    v.gpr[RSI] = DATA;
    v.gpr[RDI] = DEV;
    v.gpr[RCX] = 2;
    RUN("\xf3\xa5"); /* rep movsd to the device */
    CHECK_EQ(fake_bus.writes, 2);
    CHECK(!memcmp(fake_bus.mem + 0x80, "abcdefgh", 8));
    CHECK_EQ(v.gpr[RCX], 0);
    CHECK_EQ(v.gpr[RDI], DEV + 8);
    v.gpr[RSI] = DEV + 4;
    v.rflags |= 0x400;
    RUN("\xad"); /* lodsd, downwards */
    CHECK_EQ(v.gpr[RAX], 0x68676665);
    CHECK_EQ(v.gpr[RSI], DEV);
    v.rflags &= ~(uint64_t)0x400;
    v.gpr[RDI] = DEV;
    RUN("\x66\xab"); /* stosw */
    CHECK_EQ(dev(2), 0x6665);
    teardown();
}

TEST(long_strings_come_back_for_the_rest)
{
    setup();
    v.gpr[RDI] = FAKE_MMIO;
    v.gpr[RCX] = 100;
    CHECK(run_at("\xf3\xaa", 2, FAKE_MMIO));
    CHECK_EQ(v.rip, CODE);
    CHECK_EQ(v.gpr[RCX], 36);
    CHECK_EQ(fake_bus.writes, 64);
    CHECK(run_at("\xf3\xaa", 2, FAKE_MMIO + 64));
    CHECK_EQ(v.rip, CODE + 2);
    CHECK_EQ(fake_bus.writes, 100);
    teardown();
}

TEST(a_fault_of_the_other_operand_is_the_guests)
{
    setup();
    fake_hvm.reg[REG_CR0] |= 1u << 31;
    fake_hvm.reg[REG_CR3] = 0x200000;
    /* 1 GiB pages: the first three are mapped, the fourth (with the device) too, nothing at 4 GiB. */
    *(uint64_t *)p2m_ram(&vm.p2m, gpa(0x200000), 8) = 0x201003;
    for (uint64_t i = 0; i < 4; i++)
        ((uint64_t *)p2m_ram(&vm.p2m, gpa(0x201000), 32))[i] = i << 30 | 0x83;
    v.gpr[RSI] = 0x100000000;
    v.gpr[RDI] = DEV;
    CHECK(run_at("\xa4", 1, DEV));
    CHECK_EQ(v.rip, CODE);
    CHECK_EQ(fake_bus.vector, 14);
    CHECK_EQ(fake_bus.error, 0);
    CHECK_EQ(fake_hvm.reg[REG_CR2], 0x100000000);
    CHECK_EQ(v.gpr[RDI], DEV);
    CHECK_EQ(fake_bus.writes, 0);
    teardown();
}

TEST(an_operand_that_crosses_into_the_device_page_is_done_by_bytes)
{
    setup();
    v.gpr[RBX] = FAKE_MMIO + FAKE_MMIO_SIZE - 2;
    fake_bus.mem[FAKE_MMIO_SIZE - 2] = 0x34;
    fake_bus.mem[FAKE_MMIO_SIZE - 1] = 0x12;
    CHECK(run_at("\x8b\x03", 2, FAKE_MMIO + FAKE_MMIO_SIZE - 2));
    CHECK_EQ(v.gpr[RAX], 0xffff1234);
    CHECK_EQ(fake_bus.reads, 2);
    teardown();
}

TEST(unknown_instructions_and_addresses_are_reported)
{
    setup();
    CHECK(!run_at("\x0f\x0b", 2, DEV));
    CHECK(!run_at("\x0f\xa2", 2, DEV)); /* CPUID has no memory operand */
    CHECK(!run_at("\x89\xd8", 2, DEV)); /* mov eax, ebx */
    CHECK_EQ(v.rip, CODE);
    v.gpr[RBX] = 0xf0000080;
    CHECK(!run_at("\x89\x03", 2, 0xf0000080)); /* nobody is there */
    CHECK(!run_at("\x83\x03\x01", 3, 0xf0000080));
    CHECK_EQ(v.rip, CODE);
    teardown();
}

TEST(segments_count_outside_64_bit_mode)
{
    setup();
    fake_hvm.reg[REG_EFER] = 0;
    fake_hvm.seg[SEG_CS].attr = 0xc9b;
    fake_hvm.seg[SEG_DS].base = 0x1000;
    v.gpr[RBX] = DEV - 0x1000 + 0x3000;
    fake_hvm.seg[SEG_ES].base = (uint64_t)0 - 0x2000;
    set_dev(0x99);
    RUN("\x26\x8b\x03"); /* mov eax, es:[ebx] */
    CHECK_EQ(v.gpr[RAX], 0x99);
    CHECK_EQ(operand_linear(
                 &v, &(struct insn){.base = RBX, .index = INSN_NO_REG, .addr_size = 4, .segment = SEG_DS})
                 .a,
             DEV + 0x3000);
    teardown();
}

TEST_MAIN()
