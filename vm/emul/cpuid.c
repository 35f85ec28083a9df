/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guests' CPUID: what the host has, cut to what guests may use (AMD APM 3 appendix E, Intel SDM 2A
 * CPUID). What depends on the vCPU or on what it does is put in by patch(). All that is not
 * named here is zero.
 */
#include "vm/emul/cpuid.h"
#include "kernel/cpu/x86.h"
#include "vm/emul/emul.h"
#include "vm/emul/regs.h"
#include "vm/hvm.h"
#include "vm/vcpu.h"
#include "vm/vm.h"

#define LEAF_FEATURES 0x07
#define LEAF_TOPOLOGY 0x0b
#define LEAF_XSTATE   0x0d
#define LEAF_EXTENDED 0x80000001
#define LEAF_SIZES    0x80000008

/* Leaf 1 */
#define F1_ECX_OSXSAVE BIT32(27)
#define F1_ECX_XSAVE   BIT32(26)
#define F1_ECX_TSC_DEADLINE BIT32(24)
#define F1_ECX_SET          (BIT32(31) | F1_ECX_TSC_DEADLINE | BIT32(21)) /* hypervisor, x2APIC: emulated */
/* SSE3 PCLMUL SSSE3 FMA CX16 SSE4.1 SSE4.2 MOVBE POPCNT AES XSAVE AVX F16C RDRAND */
#define F1_ECX_ALLOW                                                                                         \
    (GENMASK32(1, 0) | BIT32(9) | GENMASK32(13, 12) | GENMASK32(20, 19) | GENMASK32(23, 22) |                \
     GENMASK32(26, 25) | GENMASK32(30, 28))
/* FPU VME DE PSE TSC MSR PAE MCE CX8 APIC SEP MTRR PGE MCA CMOV PAT PSE36 CLFSH MMX FXSR SSE SSE2 */
#define F1_EDX_ALLOW (GENMASK32(9, 0) | GENMASK32(17, 11) | BIT32(19) | GENMASK32(26, 23))
#define F1_EDX_HTT   BIT32(28)
#define F1_EBX_COUNT GENMASK32(23, 16)
#define F1_EBX_ID    GENMASK32(31, 24)

/* Leaf 7: FSGSBASE BMI1 AVX2 SMEP BMI2 ERMS, AVX-512 F DQ, RDSEED ADX SMAP, IFMA, CLFLUSHOPT CLWB, PF ER CD,
 * SHA, BW VL */
#define F7_EBX_FSGSBASE BIT32(0)
#define F7_EBX_SMEP     BIT32(7)
#define F7_EBX_SMAP     BIT32(20)
#define F7_EBX_ALLOW                                                                                         \
    (BIT32(0) | BIT32(3) | BIT32(5) | GENMASK32(9, 7) | GENMASK32(21, 16) | GENMASK32(24, 23) |              \
     GENMASK32(31, 26))
/* VBMI UMIP VBMI2 GFNI VAES VPCLMULQDQ VNNI BITALG VPOPCNTDQ RDPID MOVDIRI */
#define F7_ECX_UMIP BIT32(2)
#define F7_ECX_ALLOW                                                                                         \
    (GENMASK32(2, 1) | GENMASK32(6, 6) | GENMASK32(12, 8) | BIT32(14) | BIT32(22) | BIT32(27))

#define XSTATE1_XSAVEC BIT32(1)
#define XSTATE1_ALLOW  GENMASK32(2, 0) /* XSAVEOPT, XSAVEC, XGETBV with ECX 1; not XSAVES */

/* Leaf 80000001: LAHF CR8 ABM SSE4A misaligned-SSE prefetch XOP FMA4 TBM; SYSCALL NX MMX+ FXSR+ 1G RDTSCP LM
 * 3DNow */
#define E1_ECX_CMP_LEGACY BIT32(1)
#define E1_ECX_ALLOW      (BIT32(0) | GENMASK32(8, 4) | BIT32(11) | BIT32(16) | BIT32(21))
#define E1_EDX_NX         BIT32(20)
#define E1_EDX_FXSR_OPT   BIT32(25)
#define E1_EDX_ALLOW                                                                                         \
    (F1_EDX_DUPLICATED | BIT32(11) | BIT32(20) | BIT32(22) | GENMASK32(27, 25) | GENMASK32(31, 29))
#define F1_EDX_DUPLICATED (GENMASK32(9, 0) | GENMASK32(17, 12) | GENMASK32(24, 23)) /* AMD only */

#define E8_ECX_NC      GENMASK32(7, 0)
#define E8_ECX_ID_SIZE GENMASK32(15, 12)

#define ALL 0xffffffff

/* What guests get: the bits of the host's that stand in `host`, and `always`. */
static const struct {
    uint32_t first, last;
    struct cpuid_regs host, always;
} rules[] = {
    {0, 0, {0, ALL, ALL, ALL}, {LEAF_XSTATE, 0, 0, 0}},
    {1, 1, {ALL, GENMASK32(15, 0), F1_ECX_ALLOW, F1_EDX_ALLOW}, {0, 0, F1_ECX_SET, 0}},
    {6, 6, {0, 0, 0, 0}, {BIT32(2), 0, 0, 0}}, /* ARAT: the timer never stops, emulated or not: nobody puts the CPU into a deep sleep */
    /* EDX: fast short REP MOV */
    {LEAF_FEATURES, LEAF_FEATURES, {0, F7_EBX_ALLOW, F7_ECX_ALLOW, BIT32(4)}, {0, 0, 0, 0}},
    /* KVM's (Linux Documentation/virt/kvm/x86/cpuid.rst): its signature; no delays at ports, clock source, PV
     * EOI, stable clock */
    {0x40000000, 0x40000000, {0, 0, 0, 0}, {0x40000001, 0x4b4d564b, 0x564b4d56, 0x4d}},
    {0x40000001, 0x40000001, {0, 0, 0, 0}, {BIT32(1) | BIT32(3) | BIT32(6) | BIT32(24), 0, 0, 0}},
    {0x80000000, 0x80000000, {0, ALL, ALL, ALL}, {LEAF_SIZES, 0, 0, 0}},
    {LEAF_EXTENDED, LEAF_EXTENDED, {ALL, 0, E1_ECX_ALLOW, E1_EDX_ALLOW}, {0, 0, 0, 0}},
    {0x80000002, 0x80000006, {ALL, ALL, ALL, ALL}, {0, 0, 0, 0}}, /* name, AMD's caches and TLBs */
    {0x80000007, 0x80000007, {0, 0, 0, 0}, {0, 0, 0, BIT32(8)}},  /* invariant TSC */
    /* EBX: CLZERO, XSAVE of error pointers */
    {LEAF_SIZES, LEAF_SIZES, {GENMASK32(15, 0), BIT32(0) | BIT32(2), 0, 0}, {0, 0, 0, 0}},
};

/* By bits 31:30 of the leaf, the usual ones, the hypervisor's and the extended; and by its low bits. */
static struct cpuid_regs table[4][16];
#define RANGE(leaf) ((leaf) >> 30)
#define INDEX(leaf) ((leaf)&GENMASK32(29, 0))
#define ROW(leaf)   table[RANGE(leaf)][INDEX(leaf)]

/* The leaves that patch() changes, a bit for each INDEX. */
static const uint32_t patched[4] = {
    BIT32(1) | BIT32(LEAF_FEATURES) | BIT32(LEAF_TOPOLOGY) | BIT32(LEAF_XSTATE),
    0,
    BIT32(INDEX(LEAF_EXTENDED)) | BIT32(INDEX(LEAF_SIZES)),
    0,
};

/* log2 of the APIC ids that the package's cores take. */
static uint32_t id_bits(const struct vcpu *v)
{
    return v->vm->nvcpus > 1 ? 32 - (uint32_t)__builtin_clz(v->vm->nvcpus - 1) : 0;
}

/* One thread a core, all cores in one package. */
static struct cpuid_regs topology(const struct vcpu *v, uint32_t sub)
{
    const uint32_t type = sub + 1; /* 1: thread, 2: core */

    if (sub > 1)
        return (struct cpuid_regs){0, 0, sub, v->id};
    return (struct cpuid_regs){sub == 0 ? 0 : id_bits(v), sub == 0 ? 1 : v->vm->nvcpus, type << 8 | sub,
                               v->id};
}

/* Sizes come from the CPU itself, whose XCR0 is the guest's while the guest's exit is handled. */
static struct cpuid_regs xstate(uint32_t sub)
{
    uint64_t valid = cpuid_xcr0_valid();
    struct cpuid_regs host = cpuid(LEAF_XSTATE, sub);

    if (valid != 0 && sub == 0)
        return (struct cpuid_regs){(uint32_t)valid, host.ebx, host.ecx, (uint32_t)(valid >> 32)};
    if (valid != 0 && sub == 1)
        return (struct cpuid_regs){host.eax & XSTATE1_ALLOW, host.eax & XSTATE1_XSAVEC ? host.ebx : 0, 0, 0};
    if (sub < 64 && (valid & BIT(sub)))
        return (struct cpuid_regs){host.eax, host.ebx, host.ecx & 2, 0};
    return (struct cpuid_regs){0, 0, 0, 0};
}

/* Out of line, so that the others save few registers. */
static __attribute__((noinline)) void patch(const struct vcpu *v, uint32_t leaf, uint32_t sub,
                                            struct cpuid_regs *r)
{
    uint32_t n = v->vm->nvcpus;

    switch (leaf) {
    case 1:
        if (v->own_cpu)
            r->ecx &= ~F1_ECX_TSC_DEADLINE; /* with which its CPU's own timer could not be lent */
        r->ebx |= (uint32_t)(FIELD_PREP(F1_EBX_ID, v->id) | FIELD_PREP(F1_EBX_COUNT, n));
        r->edx |= n > 1 ? F1_EDX_HTT : 0;
        if ((r->ecx & F1_ECX_XSAVE) && (hvm->reg(v, REG_CR4) & CR4_OSXSAVE))
            r->ecx |= F1_ECX_OSXSAVE;
        break;
    case LEAF_FEATURES:
        if (sub != 0)
            *r = (struct cpuid_regs){0, 0, 0, 0};
        break;
    case LEAF_TOPOLOGY:
        *r = topology(v, sub);
        break;
    case LEAF_XSTATE:
        *r = xstate(sub);
        break;
    case LEAF_EXTENDED:
        r->ecx |= n > 1 ? E1_ECX_CMP_LEGACY : 0;
        break;
    case LEAF_SIZES:
        r->ecx = (uint32_t)(FIELD_PREP(E8_ECX_NC, n - 1) | FIELD_PREP(E8_ECX_ID_SIZE, id_bits(v)));
        break;
    }
}

void cpuid_init(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(rules); i++)
        for (uint32_t leaf = rules[i].first; leaf <= rules[i].last; leaf++) {
            const struct cpuid_regs *mask = &rules[i].host, *always = &rules[i].always;
            bool has = cpuid(leaf & GENMASK32(31, 30), 0).eax >= leaf;
            struct cpuid_regs host = has ? cpuid(leaf, 0) : (struct cpuid_regs){0, 0, 0, 0};

            ROW(leaf) = (struct cpuid_regs){
                (host.eax & mask->eax) | always->eax, (host.ebx & mask->ebx) | always->ebx,
                (host.ecx & mask->ecx) | always->ecx, (host.edx & mask->edx) | always->edx};
        }
}

enum then emul_cpuid(struct vcpu *v, UNUSED const struct vm_exit *e)
{
    uint32_t leaf = (uint32_t)v->gpr[RAX];
    struct cpuid_regs r = {0, 0, 0, 0};

    if (INDEX(leaf) < ARRAY_SIZE(table[0])) {
        r = ROW(leaf);
        if (patched[RANGE(leaf)] >> INDEX(leaf) & 1)
            patch(v, leaf, (uint32_t)v->gpr[RCX], &r);
    }
    v->gpr[RAX] = r.eax;
    v->gpr[RBX] = r.ebx;
    v->gpr[RCX] = r.ecx;
    v->gpr[RDX] = r.edx;
    return THEN_SKIP;
}

/* --- what follows from it --- */

uint64_t cpuid_cr4_valid(void)
{
    uint32_t f7_ebx = ROW(LEAF_FEATURES).ebx;

    return CR4_VME | CR4_PVI | CR4_TSD | CR4_DE | CR4_PSE | CR4_PAE | CR4_MCE | CR4_PGE | CR4_PCE |
           CR4_OSFXSR | CR4_OSXMMEXCPT | (ROW(1).ecx & F1_ECX_XSAVE ? CR4_OSXSAVE : 0) |
           (f7_ebx & F7_EBX_FSGSBASE ? CR4_FSGSBASE : 0) | (f7_ebx & F7_EBX_SMEP ? CR4_SMEP : 0) |
           (f7_ebx & F7_EBX_SMAP ? CR4_SMAP : 0) | (ROW(LEAF_FEATURES).ecx & F7_ECX_UMIP ? CR4_UMIP : 0);
}

uint64_t cpuid_xcr0_valid(void)
{
    struct cpuid_regs r;

    if (!(ROW(1).ecx & F1_ECX_XSAVE))
        return 0;
    r = cpuid(LEAF_XSTATE, 0);
    return ((uint64_t)r.edx << 32 | r.eax) & (XCR0_X87 | XCR0_SSE | XCR0_AVX | XCR0_AVX512);
}

uint64_t cpuid_efer_valid(void)
{
    return EFER_SCE | EFER_LME | EFER_LMA | (ROW(LEAF_EXTENDED).edx & E1_EDX_NX ? EFER_NXE : 0) |
           (ROW(LEAF_EXTENDED).edx & E1_EDX_FXSR_OPT ? EFER_FFXSR : 0);
}
