/* SPDX-License-Identifier: BSD-2-Clause */
/* vm/vmx/exit.c: every exit reason, and the fields each kind carries. */
#include "tests/unit/test.h"

#include "tests/unit/fake/cpu.c"
#include "tests/unit/fake/vmx_insn.c"

#include "vm/vmx/exit.c"

static struct vcpu v;

static struct vm_exit decode(uint64_t reason, uint64_t qual)
{
    struct vm_exit e;

    memset(&e, 0xa5, sizeof(e));
    vmptrld(hpa(0x1000));
    vmwrite(EXIT_REASON, reason);
    vmwrite(EXIT_QUALIFICATION, qual);
    vmx_decode_exit(&v, &e);
    return e;
}

/* SDM 3 appendix C: what is not listed must come out as VM_EXIT_UNKNOWN. */
static const struct {
    uint16_t first, last;
    enum vm_exit_kind kind;
} expected[] = {
    {0, 0, VM_EXIT_EXCEPTION},    {1, 1, VM_EXIT_HOST_INTR},    {2, 2, VM_EXIT_SHUTDOWN},
    {3, 3, VM_EXIT_HOST_INTR},    {7, 8, VM_EXIT_WINDOW},       {10, 10, VM_EXIT_CPUID},
    {11, 11, VM_EXIT_PRIVILEGED}, {12, 12, VM_EXIT_HLT},        {13, 13, VM_EXIT_WBINVD},
    {15, 15, VM_EXIT_EXCEPTION},  {18, 18, VM_EXIT_HYPERCALL},  {19, 27, VM_EXIT_PRIVILEGED},
    {28, 28, VM_EXIT_CR},         {30, 30, VM_EXIT_IO},         {31, 32, VM_EXIT_MSR},
    {33, 33, VM_EXIT_INVALID},    {36, 36, VM_EXIT_PRIVILEGED}, {39, 39, VM_EXIT_PRIVILEGED},
    {41, 41, VM_EXIT_EXCEPTION},  {48, 48, VM_EXIT_MEM},        {50, 50, VM_EXIT_PRIVILEGED},
    {53, 53, VM_EXIT_PRIVILEGED}, {54, 54, VM_EXIT_WBINVD},     {55, 55, VM_EXIT_XSETBV},
    {56, 56, VM_EXIT_WINDOW},
};

static enum vm_exit_kind expect(uint64_t reason)
{
    for (unsigned i = 0; i < ARRAY_SIZE(expected); i++)
        if (reason >= expected[i].first && reason <= expected[i].last)
            return expected[i].kind;
    return VM_EXIT_UNKNOWN;
}

TEST(exit_reasons)
{
    for (uint64_t reason = 0; reason < 0x1000; reason++) {
        struct vm_exit e = decode(reason, 0);

        if (e.kind != expect(reason))
            printf("    reason %llu\n", (unsigned long long)reason);
        CHECK_EQ(e.kind, expect(reason));
        if (e.kind == VM_EXIT_UNKNOWN || e.kind == VM_EXIT_INVALID)
            CHECK_EQ(e.code, reason);
    }
}

TEST(the_length_is_that_of_instructions)
{
    vmptrld(hpa(0x1000));
    vmwrite(EXIT_INSN_LENGTH, 3);
    CHECK_EQ(decode(REASON_CPUID, 0).len, 3);
    CHECK_EQ(decode(REASON_EPT, 0).len, 0);
}

TEST(io)
{
    struct vm_exit e = decode(REASON_IO, 0x3f8ull << 16 | 8);

    CHECK_EQ(e.io.port, 0x3f8);
    CHECK_EQ(e.io.size, 1);
    CHECK(e.io.in && !e.io.string);
    e = decode(REASON_IO, 0xcfcull << 16 | 0x30 | 3);
    CHECK_EQ(e.io.port, 0xcfc);
    CHECK_EQ(e.io.size, 4);
    CHECK(!e.io.in && e.io.string);
}

TEST(msr)
{
    v.gpr[RCX] = 0xffffffffc0000080;
    CHECK_EQ(decode(REASON_RDMSR, 0).msr.index, 0xc0000080);
    CHECK(!decode(REASON_RDMSR, 0).msr.write);
    CHECK(decode(REASON_WRMSR, 0).msr.write);
}

TEST(control_registers)
{
    struct vm_exit e = decode(REASON_CR, 0x504); /* MOV to CR4 from RBP */

    CHECK(e.cr.decoded);
    CHECK_EQ(e.cr.num, 4);
    CHECK_EQ(e.cr.gpr, RBP);
    e = decode(REASON_CR, 0x10030); /* LMSW */
    CHECK(!e.cr.decoded);
    CHECK_EQ(e.cr.num, 0);
}

TEST(ept_violations)
{
    struct vm_exit e;

    vmptrld(hpa(0x1000));
    vmwrite(GUEST_PHYSICAL, 0xfec00010);
    e = decode(REASON_EPT, 0x182);
    CHECK_EQ(e.mem.addr.a, 0xfec00010);
    CHECK(e.mem.write && !e.mem.fetch && !e.mem.in_walk);
    e = decode(REASON_EPT, 0x184);
    CHECK(!e.mem.write && e.mem.fetch && !e.mem.in_walk);
    e = decode(REASON_EPT, 0x081);
    CHECK(e.mem.in_walk);
    e = decode(REASON_EPT, 0x001); /* no linear address: loading the four top entries of PAE paging */
    CHECK(!e.mem.in_walk);
}

TEST(exceptions)
{
    struct vm_exit e;

    vmptrld(hpa(0x1000));
    fake_vmx.dr6 = 0xffff0ff1;
    vmwrite(GUEST_DR7, 0x2402);
    vmwrite(EXIT_EVENT, EVENT_VALID | 3 << 8 | 1);
    e = decode(REASON_EXCEPTION, BIT(14) | BIT(1));
    CHECK_EQ(e.exception.vector, 1);
    CHECK_EQ(fake_vmx.dr6, 0xffff4ff2);
    CHECK_EQ(vmread(GUEST_DR7), 0x402);
    vmwrite(EXIT_EVENT, EVENT_VALID | EVENT_ERROR_VALID | 3 << 8 | 17);
    vmwrite(EXIT_EVENT_ERROR, 0);
    e = decode(REASON_EXCEPTION, 0);
    CHECK_EQ(e.exception.vector, 17);
    CHECK_EQ(e.exception.error, 0);
    CHECK_EQ(decode(REASON_RDPMC, 0).exception.vector, 13);
    CHECK_EQ(decode(REASON_ENTRY_MC, 0).exception.vector, 18);
}

TEST(an_nmi_is_the_hosts)
{
    vmptrld(hpa(0x1000));
    vmwrite(EXIT_EVENT, EVENT_VALID | 2 << 8 | 2);
    CHECK_EQ(decode(REASON_EXCEPTION, 0).kind, VM_EXIT_HOST_INTR);
    CHECK_EQ(fake_vmx.nmis, 1);
    vmwrite(EXIT_EVENT, 0);
}

/* 28.2.3: the fault of an IRET that had unblocked NMIs, unless something was being delivered. */
TEST(an_iret_that_faults_leaves_nmis_blocked)
{
    vmptrld(hpa(0x1000));
    vmwrite(INTERRUPTIBILITY, 0);
    decode(REASON_EPT, 0x1000);
    CHECK_EQ(vmread(INTERRUPTIBILITY), 8);
    vmwrite(INTERRUPTIBILITY, 0);
    vmwrite(EXIT_EVENT, EVENT_VALID | EVENT_NMI_UNBLOCK | 3 << 8 | 17);
    decode(REASON_EXCEPTION, 0);
    CHECK_EQ(vmread(INTERRUPTIBILITY), 8);
    vmwrite(INTERRUPTIBILITY, 0);
    vmwrite(IDT_VECTORING, EVENT_VALID | 0x30);
    decode(REASON_EPT, 0x1000);
    CHECK_EQ(vmread(INTERRUPTIBILITY), 0);
    vmwrite(IDT_VECTORING, 0);
}

TEST(cut_short_delivery)
{
    struct vm_exit e;

    vmptrld(hpa(0x1000));
    vmwrite(IDT_VECTORING, EVENT_VALID | 0x51);
    e = decode(REASON_EPT, 0);
    CHECK(e.redo.valid && !e.redo.has_error);
    CHECK_EQ(e.redo.type, VM_EVENT_INTR);
    CHECK_EQ(e.redo.vector, 0x51);
    for (unsigned type = 4; type <= 6; type++) { /* INT n, INT1, INT3 and INTO */
        vmwrite(IDT_VECTORING, EVENT_VALID | type << 8 | 3);
        CHECK(!decode(REASON_EPT, 0).redo.valid);
    }
    vmwrite(IDT_VECTORING, 0x51);
    CHECK(!decode(REASON_EPT, 0).redo.valid);
}

TEST_MAIN()
