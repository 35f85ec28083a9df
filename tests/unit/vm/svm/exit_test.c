/* SPDX-License-Identifier: BSD-2-Clause */
/* vm/svm/exit.c: every exit code, and the fields each kind carries. */
#include "tests/unit/test.h"

#include "vm/svm/exit.c"
#include "vm/svm/inject.c"

struct boot_cpu hvm_cpu;

static struct vmcb vmcb __attribute__((aligned(4096)));
static struct vcpu_hw hw = {.vmcb = &vmcb};
static struct vcpu v = {.hw = &hw};

static struct vm_exit decode(uint64_t code, uint64_t info1, uint64_t info2)
{
    struct vm_exit e;

    memset(&e, 0xa5, sizeof(e));
    vmcb.control.exit_code = code;
    vmcb.control.exit_info1 = info1;
    vmcb.control.exit_info2 = info2;
    svm_decode_exit(&v, &e);
    return e;
}

/* APM 2 appendix C: what is not listed must come out as VM_EXIT_UNKNOWN. */
static const struct {
    uint16_t first, last;
    enum vm_exit_kind kind;
} expected[] = {
    {0x14, 0x14, VM_EXIT_CR},         {0x18, 0x18, VM_EXIT_CR},         {0x41, 0x41, VM_EXIT_EXCEPTION},
    {0x51, 0x52, VM_EXIT_EXCEPTION},  {0x60, 0x61, VM_EXIT_HOST_INTR},  {0x63, 0x63, VM_EXIT_HOST_INTR},
    {0x64, 0x64, VM_EXIT_WINDOW},     {0x65, 0x65, VM_EXIT_CR},         {0x6f, 0x6f, VM_EXIT_EXCEPTION},
    {0x72, 0x72, VM_EXIT_CPUID},      {0x74, 0x74, VM_EXIT_WINDOW},     {0x76, 0x76, VM_EXIT_WBINVD},
    {0x78, 0x78, VM_EXIT_HLT},        {0x7a, 0x7a, VM_EXIT_PRIVILEGED}, {0x7b, 0x7b, VM_EXIT_IO},
    {0x7c, 0x7c, VM_EXIT_MSR},        {0x7f, 0x7f, VM_EXIT_SHUTDOWN},   {0x80, 0x80, VM_EXIT_PRIVILEGED},
    {0x81, 0x81, VM_EXIT_HYPERCALL},  {0x82, 0x86, VM_EXIT_PRIVILEGED}, {0x89, 0x89, VM_EXIT_WBINVD},
    {0x8a, 0x8b, VM_EXIT_PRIVILEGED}, {0x8d, 0x8d, VM_EXIT_XSETBV},     {0x8e, 0x8e, VM_EXIT_PRIVILEGED},
    {0x400, 0x400, VM_EXIT_MEM},
};

static enum vm_exit_kind expect(uint64_t code)
{
    for (unsigned i = 0; i < ARRAY_SIZE(expected); i++)
        if (code >= expected[i].first && code <= expected[i].last)
            return expected[i].kind;
    return VM_EXIT_UNKNOWN;
}

TEST(exit_codes)
{
    for (uint64_t code = 0; code < 0x1000; code++) {
        struct vm_exit e = decode(code, 0, 0);

        if (e.kind != expect(code))
            printf("    code %#llx\n", (unsigned long long)code);
        CHECK_EQ(e.kind, expect(code));
        if (e.kind == VM_EXIT_UNKNOWN)
            CHECK_EQ(e.code, code);
    }
}

TEST(invalid_in_both_widths)
{
    CHECK_EQ(decode(0xffffffff, 0, 0).kind, VM_EXIT_INVALID);
    CHECK_EQ(decode(~0ull, 0, 0).kind, VM_EXIT_INVALID);
    CHECK_EQ(decode(~1ull, 0, 0).kind, VM_EXIT_UNKNOWN); /* VMEXIT_BUSY: not of this kind */
}

TEST(io)
{
    struct vm_exit e;

    v.rip = 0x1000;
    e = decode(0x7b, 0x03f80011, 0x1001); /* in al, dx */
    CHECK_EQ(e.io.port, 0x3f8);
    CHECK_EQ(e.io.size, 1);
    CHECK(e.io.in && !e.io.string);
    CHECK_EQ(e.len, 1);
    e = decode(0x7b, 0x0cfc004c, 0x1002); /* rep outsd */
    CHECK_EQ(e.io.size, 4);
    CHECK(!e.io.in && e.io.string);
    CHECK_EQ(e.len, 2);
    e = decode(0x7b, 0x00600020, 0xfff); /* next RIP before RIP: do not trust it */
    CHECK_EQ(e.io.size, 2);
    CHECK_EQ(e.len, 0);
}

TEST(msr)
{
    v.gpr[RCX] = 0xdeadbeefc0000080;
    CHECK_EQ(decode(0x7c, 0, 0).msr.index, 0xc0000080);
    CHECK(!decode(0x7c, 0, 0).msr.write);
    CHECK(decode(0x7c, 1, 0).msr.write);
}

TEST(nested_fault)
{
    struct vm_exit e = decode(0x400, 0x100000006, 0xfee00020);

    CHECK_EQ(e.mem.addr.a, 0xfee00020);
    CHECK(e.mem.write && !e.mem.fetch && !e.mem.in_walk);
    e = decode(0x400, 0x100000015, 0x5000);
    CHECK(e.mem.fetch && !e.mem.write);
    e = decode(0x400, 0x200000006, 0x5000);
    CHECK(e.mem.in_walk);
}

TEST(control_registers)
{
    struct vm_exit e = decode(0x14, 1ull << 63 | 3, 0);

    CHECK_EQ(e.cr.num, 4);
    CHECK(!e.cr.decoded); /* no decode assists: EXITINFO1 means nothing */
    hvm_cpu.svm.decode_assists = true;
    e = decode(0x14, 1ull << 63 | 3, 0);
    CHECK(e.cr.decoded);
    CHECK_EQ(e.cr.gpr, 3);
    CHECK(!decode(0x65, 5, 0).cr.decoded); /* LMSW */
    hvm_cpu.svm.decode_assists = false;
    e = decode(0x65, 0, 0);
    CHECK_EQ(e.cr.num, 0);
    e = decode(0x18, 0, 0);
    CHECK_EQ(e.cr.num, 8);
}

TEST(exceptions)
{
    struct vm_exit e = decode(0x40 + 17, 0, 0);

    CHECK_EQ(e.exception.vector, 17);
    e = decode(0x41, 2, 0);
    CHECK_EQ(e.exception.vector, 1);
    CHECK_EQ(e.exception.error, 2);
    e = decode(0x6f, 7, 7); /* RDPMC: #GP(0) */
    CHECK_EQ(e.exception.vector, 13);
    CHECK_EQ(e.exception.error, 0);
}

TEST(next_rip)
{
    v.rip = 0x1000;
    vmcb.control.nrip = 0x1002;
    CHECK_EQ(decode(0x72, 0, 0).len, 0);
    hvm_cpu.svm.nrips = true;
    CHECK_EQ(decode(0x72, 0, 0).len, 2);
    CHECK_EQ(decode(0x60, 0, 0).len, 0); /* no instruction */
    vmcb.control.nrip = 0;
    CHECK_EQ(decode(0x72, 0, 0).len, 0);
    hvm_cpu.svm.nrips = false;
}

TEST(cut_short_delivery)
{
    struct vm_exit e;

    vmcb.control.exit_int_info = 0x80000b0d | 0x1234ull << 32;
    e = decode(0x400, 0, 0);
    CHECK(e.redo.valid && e.redo.has_error);
    CHECK_EQ(e.redo.type, VM_EVENT_EXCEPTION);
    CHECK_EQ(e.redo.vector, 13);
    CHECK_EQ(e.redo.error, 0x1234);
    vmcb.control.exit_int_info = 0x80000040; /* INTR 0x40 */
    e = decode(0x400, 0, 0);
    CHECK(e.redo.valid && !e.redo.has_error);
    CHECK_EQ(e.redo.type, VM_EVENT_INTR);
    CHECK_EQ(e.redo.vector, 0x40);
    vmcb.control.exit_int_info = 0x80000202; /* NMI */
    CHECK_EQ(decode(0x400, 0, 0).redo.type, VM_EVENT_NMI);
    vmcb.control.exit_int_info = 0x80000480; /* INT 0x80: RIP is still at it */
    CHECK(!decode(0x400, 0, 0).redo.valid);
    vmcb.control.exit_int_info = 0x80000303; /* INT3 */
    CHECK(!decode(0x400, 0, 0).redo.valid);
    vmcb.control.exit_int_info = 0x40; /* V clear */
    CHECK(!decode(0x400, 0, 0).redo.valid);
    vmcb.control.exit_int_info = 0;
}

TEST(event_encodings)
{
    CHECK_EQ(svm_encode_event(&(struct vm_event){true, false, VM_EVENT_INTR, 0x40, 0}), 0x80000040);
    CHECK_EQ(svm_encode_event(&(struct vm_event){true, false, VM_EVENT_NMI, 2, 0}), 0x80000202);
    CHECK_EQ(svm_encode_event(&(struct vm_event){true, true, VM_EVENT_EXCEPTION, 13, 0x18}), 0x1880000b0d);
    CHECK_EQ(svm_encode_event(&(struct vm_event){true, false, VM_EVENT_EXCEPTION, 6, 9}), 0x80000306);
    CHECK_EQ(svm_encode_event(&(struct vm_event){true, false, VM_EVENT_SOFT, 0x80, 0}), 0x80000480);
}

TEST(window)
{
    memset(&vmcb, 0, sizeof(vmcb));
    vmcb.control.v_intr = V_INTR_MASKING | 5;
    vmcb.control.clean = CLEAN_ALL;
    svm_want_window(&v, true);
    CHECK_EQ(vmcb.control.v_intr, V_INTR_MASKING | 5 | BIT(8) | BIT(20) | 0xf0000);
    CHECK_EQ(vmcb.control.intercept[3], BIT(4));
    CHECK_EQ(vmcb.control.clean, CLEAN_ALL & ~(BIT32(0) | BIT32(3)));
    svm_want_window(&v, false);
    CHECK_EQ(vmcb.control.v_intr, V_INTR_MASKING | 5);
    CHECK_EQ(vmcb.control.intercept[3], 0);
}

TEST(left_to_the_cpu)
{
    memset(&vmcb, 0, sizeof(vmcb));
    vmcb.control.v_intr = V_INTR_MASKING | 5;
    svm_want_window(&v, true);
    vmcb.control.clean = CLEAN_ALL;
    CHECK(svm_queue_intr(&v, 0x51));
    CHECK_EQ(vmcb.control.intercept[3], 0); /* no exit when it can go in */
    CHECK_EQ(vmcb.control.v_intr, (uint64_t)0x51 << 32 | V_INTR_MASKING | 5 | BIT(8) | BIT(20));
    CHECK_EQ(vmcb.control.clean & BIT32(3), 0);
    CHECK(!svm_intr_delivered(&v));
    CHECK_EQ(vmcb.control.v_intr, V_INTR_MASKING | 5);
    CHECK(svm_queue_intr(&v, 0x51));
    vmcb.control.v_intr &= ~BIT(8); /* as the CPU does (15.21.4) */
    CHECK(svm_intr_delivered(&v));
    CHECK_EQ(vmcb.control.v_intr, V_INTR_MASKING | 5);
}

TEST(what_can_go_in)
{
    memset(&vmcb, 0, sizeof(vmcb));
    v.inject.valid = false;
    v.rflags = 2;
    hw.nmi_blocked = false;
    hw.nmi_iret = ~0ull;
    CHECK(!svm_can_take_intr(&v));
    CHECK(svm_can_take_nmi(&v));
    v.rflags |= 0x200;
    CHECK(svm_can_take_intr(&v));
    vmcb.control.int_state = 1;
    CHECK(!svm_can_take_intr(&v));
    CHECK(!svm_can_take_nmi(&v));
    svm_clear_shadow(&v);
    CHECK(svm_can_take_intr(&v));
    v.inject.valid = true;
    CHECK(!svm_can_take_intr(&v));
    CHECK(!svm_can_take_nmi(&v));
    v.inject.valid = false;
}

TEST(nmi_is_blocked_until_iret_has_completed)
{
    v.rip = 0x1000;
    svm_nmi_injected(&v);
    CHECK(!svm_can_take_nmi(&v));
    CHECK(vmcb.control.intercept[3] & BIT(20));
    v.rip = 0x2000; /* at the handler's IRET */
    CHECK_EQ(decode(0x74, 0, 0).kind, VM_EXIT_WINDOW);
    CHECK(!(vmcb.control.intercept[3] & BIT(20)));
    CHECK(!svm_can_take_nmi(&v));
    v.rip = 0x1000;
    CHECK(svm_can_take_nmi(&v));
}

TEST_MAIN()
