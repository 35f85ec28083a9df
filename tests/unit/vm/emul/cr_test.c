/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/regs.h"
#include "tests/unit/test.h"

#include "tests/unit/fake/hvm.c"
#include "tests/unit/fake/lapic.c"
#include "tests/unit/fake/p2m.c"
#include "tests/unit/fake/platform.c"

#include "vm/emul/cr.c"
#include "vm/emul/decode.c"
#include "vm/guestmem.c"

#define CODE 0x10000

static struct vcpu *v;

static void setup(void)
{
    fake_vm_init(1);
    hvm_cpu.cr4_valid = CR4_PAE | CR4_PGE | CR4_OSXSAVE;
    hvm_cpu.xcr0_valid = 7;
    v = &fake_vm.vcpu[0];
    v->rip = CODE;
    v->rflags = 2;
    CHECK_EQ(fake_p2m_init(&fake_vm.vm.p2m, 2 << 20), 0);
    fake_hvm_long_mode();
}

static void teardown(void)
{
    fake_p2m_destroy(&fake_vm.vm.p2m);
}

/* A MOV that the CPU has decoded: RBX to or from a control register. True if it went through, false for #GP.
 */
static bool mov(unsigned num)
{
    struct vm_exit e = {.kind = VM_EXIT_CR, .len = 3, .cr = {(uint8_t)num, true, RBX}};
    enum then then = emul_cr(v, &e);

    CHECK(then == THEN_SKIP || then == THEN_GP);
    return then == THEN_SKIP;
}

static bool write_to(unsigned num, uint64_t val)
{
    v->gpr[RBX] = val;
    return mov(num);
}

TEST(cr0_rules)
{
    static const struct {
        uint64_t old, efer, cr4;
        uint16_t cs;
        uint64_t val;
        bool ok;
    } rows[] = {
        {CR0_PE, 0, 0, 0, CR0_PE | CR0_PG, true},
        {CR0_PE, 0, 0, 0, CR0_PG, false},
        {CR0_PE, 0, 0, 0, CR0_PE | CR0_NW, false},
        {CR0_PE, 0, 0, 0, CR0_PE | CR0_NW | CR0_CD, true},
        {CR0_PE, 0, 0, 0, CR0_PE | CR0_CD, true},
        {CR0_PE, 0, 0, SEG_ATTR_L, CR0_PE | BIT(32), false},
        {CR0_PE, EFER_LME, 0, 0, CR0_PE | CR0_PG, false}, /* long mode needs PAE */
        {CR0_PE, EFER_LME, CR4_PAE, 0, CR0_PE | CR0_PG, true},
        {CR0_PE, EFER_LME, CR4_PAE, SEG_ATTR_L, CR0_PE | CR0_PG, false},
        {CR0_PE | CR0_PG, EFER_LME | EFER_LMA, CR4_PAE, SEG_ATTR_L, CR0_PE, false},
        {CR0_PE | CR0_PG, EFER_LME | EFER_LMA, CR4_PAE, 0, CR0_PE, true},
        {CR0_PE | CR0_PG, EFER_LME | EFER_LMA, CR4_PAE, SEG_ATTR_L, CR0_PE | CR0_PG | CR0_WP, true},
    };

    setup();
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        fake_hvm.reg[REG_CR0] = rows[i].old;
        fake_hvm.reg[REG_EFER] = rows[i].efer;
        fake_hvm.reg[REG_CR4] = rows[i].cr4;
        fake_hvm.seg[SEG_CS].attr = rows[i].cs | 0x9b;
        v->gpr[RBX] = rows[i].val;
        CHECK_EQ(set_cr0(v, rows[i].val), rows[i].ok);
        CHECK_EQ(fake_hvm.reg[REG_CR0], rows[i].ok ? rows[i].val | CR0_ET : rows[i].old);
    }
    teardown();
}

TEST(cr4_rules)
{
    setup();
    CHECK(write_to(4, CR4_PAE | CR4_PGE));
    CHECK_EQ(fake_hvm.reg[REG_CR4], CR4_PAE | CR4_PGE);
    CHECK(!write_to(4, CR4_PGE)); /* PAE stays in long mode */
    CHECK(!write_to(4, CR4_PAE | BIT(13)));
    CHECK(!write_to(4, CR4_PAE | BIT(63)));
    CHECK_EQ(fake_hvm.reg[REG_CR4], CR4_PAE | CR4_PGE);
    fake_hvm.reg[REG_EFER] = 0;
    CHECK(write_to(4, 0));
    teardown();
}

TEST(cr8_is_the_task_priority)
{
    setup();
    CHECK(write_to(8, 9));
    CHECK_EQ(fake_lapic.tpr, 0x90);
    CHECK(!write_to(8, 16));
    CHECK_EQ(fake_lapic.tpr, 0x90);
    CHECK(!write_to(5, 0));
    teardown();
}

/* Instructions that the CPU has not decoded; paging is off, so that they are fetched from where RIP says. */
static enum then insn(const char *bytes, unsigned n)
{
    struct vm_exit e = {.kind = VM_EXIT_CR, .cr = {.num = 0}};

    memcpy(p2m_ram(&fake_vm.vm.p2m, gpa(CODE), n), bytes, n);
    return emul_cr(v, &e);
}

TEST(undecoded_instructions)
{
    setup();
    fake_hvm.reg[REG_CR0] = CR0_PE;
    fake_hvm.reg[REG_EFER] = 0;
    fake_hvm.seg[SEG_CS].attr = 0xc9b;
    v->gpr[RDI] = 0xffffffff00000000 | CR0_PE | CR0_TS; /* 32-bit code: the upper half does not count */
    CHECK_EQ(insn("\x0f\x22\xc7", 3), THEN_SKIP);       /* mov cr0, edi */
    CHECK_EQ(fake_hvm.reg[REG_CR0], CR0_PE | CR0_TS | CR0_ET);
    v->gpr[RAX] = 0xfff8 | CR0_MP;
    CHECK_EQ(insn("\x0f\x01\xf0", 3), THEN_SKIP); /* lmsw ax: does not clear PE */
    CHECK_EQ(fake_hvm.reg[REG_CR0], CR0_PE | CR0_MP | CR0_TS | CR0_ET);
    CHECK_EQ(insn("\x0f\x01\x30", 3), THEN_GP); /* lmsw [eax] is not emulated */
    CHECK_EQ(insn("\x90", 1), THEN_STAY);       /* changed meanwhile: nothing is done */
    CHECK_EQ(insn("\x89\x00", 2), THEN_STAY);
    teardown();
}

TEST(xsetbv_rules)
{
    static const struct {
        uint64_t valid;
        uint32_t index;
        uint64_t val;
        unsigned cpl;
        bool ok;
    } rows[] = {
        {7, 0, 1, 0, true},        {7, 0, 3, 0, true},
        {7, 0, 7, 0, true},        {7, 0, 6, 0, false},
        {7, 0, 5, 0, false},       {7, 0, 0, 0, false},
        {7, 0, 0x207, 0, false},   {7, 1, 7, 0, false},
        {7, 0, 7, 3, false},       {7, 0, 0xe7, 0, false},
        {0xe7, 0, 0xe7, 0, true},  {0xe7, 0, 0x27, 0, false},
        {0xe7, 0, 0xe3, 0, false}, {7, 0, BIT(63) | 1, 0, false},
    };

    setup();
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        struct vm_exit e = {.kind = VM_EXIT_XSETBV, .len = 3};

        hvm_cpu.xcr0_valid = rows[i].valid;
        fake_hvm.reg[REG_CR4] = CR4_OSXSAVE;
        fake_hvm.reg[REG_CPL] = rows[i].cpl;
        v->gpr[RAX] = (uint32_t)rows[i].val;
        v->gpr[RDX] = rows[i].val >> 32;
        v->gpr[RCX] = rows[i].index;
        CHECK_EQ(emul_xsetbv(v, &e), rows[i].ok ? THEN_SKIP : THEN_GP);
        fake_hvm.reg[REG_CR4] = 0;
        CHECK_EQ(emul_xsetbv(v, &e), THEN_UD);
    }
    fake_hvm.reg[REG_CPL] = 0;
    teardown();
}

TEST_MAIN()
