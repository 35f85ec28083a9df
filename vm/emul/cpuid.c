/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guests' CPUID: what the host has, cut to what guests may use (AMD APM 3 appendix E, Intel SDM 2A
 * CPUID). A leaf is found by its number; whatever depends on the vCPU or on what it does is put in by the
 * row's patch function. All that is not named here is zero.
 */
#include "vm/emul/cpuid.h"
#include "kernel/cpu/x86.h"
#include "kernel/lib/bits.h"
#include "vm/emul/emul.h"
#include "vm/emul/regs.h"
#include "vm/hvm.h"
#include "vm/vcpu.h"
#include "vm/vm.h"

#define LEAF_CACHES   0x04
#define LEAF_FEATURES 0x07
#define LEAF_TOPOLOGY 0x0b
#define LEAF_XSTATE   0x0d

#define BASIC_LEAVES (LEAF_XSTATE + 1)
#define HV_LEAVES    2
#define EXT_LEAVES   9

/* Leaf 1 */
#define F1_ECX_OSXSAVE BIT32(27)
#define F1_ECX_XSAVE   BIT32(26)
#define F1_ECX_SET     (BIT32(31) | BIT32(24) | BIT32(21)) /* hypervisor, TSC deadline, x2APIC: emulated */
/* SSE3 PCLMUL SSSE3 FMA CX16 SSE4.1 SSE4.2 MOVBE POPCNT AES XSAVE AVX F16C RDRAND */
#define F1_ECX_ALLOW                                                                                         \
    (GENMASK32(1, 0) | BIT32(9) | GENMASK32(13, 12) | GENMASK32(20, 19) | GENMASK32(23, 22) |                \
     GENMASK32(26, 25) | GENMASK32(30, 28))
/* FPU VME DE PSE TSC MSR PAE MCE CX8 APIC SEP MTRR PGE MCA CMOV PAT PSE36 CLFSH MMX FXSR SSE SSE2 */
#define F1_EDX_ALLOW (GENMASK32(9, 0) | GENMASK32(17, 11) | BIT32(19) | GENMASK32(26, 23))
#define F1_EDX_HTT   BIT32(28)
#define F1_EBX_COUNT GENMASK32(23, 16)
#define F1_EBX_ID    GENMASK32(31, 24)

#define F6_EAX_ARAT BIT32(2) /* the timer never stops: it is emulated */

/* Leaf 7: FSGSBASE BMI1 AVX2 SMEP BMI2 ERMS, AVX-512 F DQ, RDSEED ADX SMAP, IFMA, CLFLUSHOPT CLWB, PF ER CD,
 * SHA, BW VL */
#define F7_EBX_FSGSBASE BIT32(0)
#define F7_EBX_SMEP     BIT32(7)
#define F7_EBX_SMAP     BIT32(20)
#define F7_EBX_ALLOW                                                                                         \
    (BIT32(0) | BIT32(3) | BIT32(5) | GENMASK32(9, 7) | GENMASK32(21, 16) | GENMASK32(24, 23) |              \
     GENMASK32(31, 26))
/* VBMI UMIP VBMI2 GFNI VAES VPCLMULQDQ VNNI BITALG VPOPCNTDQ RDPID MOVDIRI */
#define F7_ECX_UMIP  BIT32(2)
#define F7_ECX_RDPID BIT32(22)
#define F7_ECX_ALLOW                                                                                         \
    (GENMASK32(2, 1) | GENMASK32(6, 6) | GENMASK32(12, 8) | BIT32(14) | BIT32(22) | BIT32(27))
#define F7_EDX_ALLOW BIT32(4) /* fast short REP MOV */

#define XSTATE1_ALLOW GENMASK32(2, 0) /* XSAVEOPT, XSAVEC, XGETBV with ECX 1; not XSAVES */

/* Leaf 80000001: LAHF CR8 ABM SSE4A misaligned-SSE prefetch XOP FMA4 TBM; SYSCALL NX MMX+ FXSR+ 1G RDTSCP LM
 * 3DNow */
#define E1_ECX_CMP_LEGACY BIT32(1)
#define E1_ECX_ALLOW      (BIT32(0) | GENMASK32(8, 4) | BIT32(11) | BIT32(16) | BIT32(21))
#define E1_EDX_NX         BIT32(20)
#define E1_EDX_FXSR_OPT   BIT32(25)
#define E1_EDX_RDTSCP     BIT32(27)
#define E1_EDX_ALLOW                                                                                         \
    (F1_EDX_DUPLICATED | BIT32(11) | BIT32(20) | BIT32(22) | GENMASK32(27, 25) | GENMASK32(31, 29))
#define F1_EDX_DUPLICATED (GENMASK32(9, 0) | GENMASK32(17, 12) | GENMASK32(24, 23)) /* AMD only */

#define E7_EDX_TSC_INVARIANT BIT32(8)
#define E8_EBX_ALLOW         (BIT32(0) | BIT32(2)) /* CLZERO, XSAVE of error pointers */
#define E8_ECX_NC            GENMASK32(7, 0)
#define E8_ECX_ID_SIZE       GENMASK32(15, 12)

/* KVM's leaves (Linux Documentation/virt/kvm/x86/cpuid.rst): no delays at ports, clock source, PV EOI, stable
 * clock */
#define KVM_FEATURES (BIT32(1) | BIT32(3) | BIT32(6) | BIT32(24))

struct row {
    struct cpuid_regs r;
    void (*patch)(const struct vcpu *v, uint32_t sub, struct cpuid_regs *r);
};

static struct row basic[BASIC_LEAVES], hypervisor[HV_LEAVES], extended[EXT_LEAVES];

/* By leaf bits 31:30. */
static const struct {
    struct row *rows;
    uint32_t count;
} ranges[4] = {{basic, BASIC_LEAVES}, {hypervisor, HV_LEAVES}, {extended, EXT_LEAVES}, {NULL, 0}};

/* log2 of the APIC ids that the package's cores take. */
static uint32_t id_bits(const struct vcpu *v)
{
    return v->vm->nvcpus > 1 ? 32 - (uint32_t)__builtin_clz(v->vm->nvcpus - 1) : 0;
}

/* --- what depends on the vCPU --- */

static void patch_1(const struct vcpu *v, uint32_t sub, struct cpuid_regs *r)
{
    (void)sub;
    r->ebx |= (uint32_t)(FIELD_PREP(F1_EBX_ID, v->id) | FIELD_PREP(F1_EBX_COUNT, v->vm->nvcpus));
    if (v->vm->nvcpus > 1)
        r->edx |= F1_EDX_HTT;
    if ((r->ecx & F1_ECX_XSAVE) && (hvm_reg(v, REG_CR4) & CR4_OSXSAVE))
        r->ecx |= F1_ECX_OSXSAVE;
}

/* Intel's caches: levels 1 and 2 belong to a core, the last to the package; a core is a vCPU (SDM 2A, leaf
 * 4). */
static void patch_caches(const struct vcpu *v, uint32_t sub, struct cpuid_regs *r)
{
    const uint32_t sharing = GENMASK32(25, 14), cores = GENMASK32(31, 26);
    uint32_t ids = BIT32(id_bits(v)) - 1;

    *r = cpuid(LEAF_CACHES, sub);
    if (FIELD_GET(GENMASK32(4, 0), r->eax) == 0)
        return;
    r->eax &= ~(sharing | cores);
    r->eax |= (uint32_t)FIELD_PREP(cores, ids);
    if (FIELD_GET(GENMASK32(7, 5), r->eax) > 2)
        r->eax |= (uint32_t)FIELD_PREP(sharing, ids);
}

static void patch_first_only(const struct vcpu *v, uint32_t sub, struct cpuid_regs *r)
{
    (void)v;
    if (sub != 0)
        *r = (struct cpuid_regs){0, 0, 0, 0};
}

/* One thread a core, all cores in one package. */
static void patch_topology(const struct vcpu *v, uint32_t sub, struct cpuid_regs *r)
{
    const uint32_t type = sub + 1; /* 1: thread, 2: core */

    *r = (struct cpuid_regs){0, 0, sub, v->id};
    if (sub > 1)
        return;
    r->eax = sub == 0 ? 0 : id_bits(v);
    r->ebx = sub == 0 ? 1 : v->vm->nvcpus;
    r->ecx |= type << 8;
}

/*
 * Sizes come from the CPU itself, whose XCR0 is the guest's while the guest's exit is handled; only the
 * largest size, over all that the guest may enable, is added up here.
 */
static void patch_xstate(const struct vcpu *v, uint32_t sub, struct cpuid_regs *r)
{
    uint64_t valid = cpuid_xcr0_valid();
    struct cpuid_regs host;

    (void)v;
    *r = (struct cpuid_regs){0, 0, 0, 0};
    if (valid == 0 || (sub > 1 && (sub > 63 || !(valid & BIT(sub)))))
        return;
    host = cpuid(LEAF_XSTATE, sub);
    if (sub > 1) {
        *r = (struct cpuid_regs){host.eax, host.ebx, host.ecx & 2, 0};
    } else if (sub == 1) {
        r->eax = host.eax & XSTATE1_ALLOW;
        r->ebx = r->eax & BIT32(1) ? host.ebx : 0;
    } else {
        *r = (struct cpuid_regs){(uint32_t)valid, host.ebx, 576, (uint32_t)(valid >> 32)};
        for (uint32_t i = 2; i < 63; i++) {
            struct cpuid_regs c = valid & BIT(i) ? cpuid(LEAF_XSTATE, i) : (struct cpuid_regs){0, 0, 0, 0};

            r->ecx = MAX(r->ecx, c.eax + c.ebx);
        }
    }
}

static void patch_ext_1(const struct vcpu *v, uint32_t sub, struct cpuid_regs *r)
{
    (void)sub;
    if (v->vm->nvcpus > 1)
        r->ecx |= E1_ECX_CMP_LEGACY;
}

static void patch_ext_8(const struct vcpu *v, uint32_t sub, struct cpuid_regs *r)
{
    (void)sub;
    r->ecx = (uint32_t)(FIELD_PREP(E8_ECX_NC, v->vm->nvcpus - 1) | FIELD_PREP(E8_ECX_ID_SIZE, id_bits(v)));
}

/* --- what the host has --- */

static bool is_intel(void)
{
    return basic[0].r.ebx == 0x756e6547; /* "Genu" */
}

static void init_basic(void)
{
    uint32_t host_max = cpuid(0, 0).eax;
    struct cpuid_regs r = cpuid(0, 0);

    r.eax = host_max >= LEAF_XSTATE ? LEAF_XSTATE : LEAF_TOPOLOGY;
    basic[0].r = r;
    r = cpuid(1, 0);
    basic[1].r = (struct cpuid_regs){r.eax, r.ebx & GENMASK32(15, 0), (r.ecx & F1_ECX_ALLOW) | F1_ECX_SET,
                                     r.edx & F1_EDX_ALLOW};
    basic[1].patch = patch_1;
    if (is_intel()) {
        basic[2].r = cpuid(2, 0);
        basic[LEAF_CACHES].patch = patch_caches;
    }
    basic[6].r.eax = F6_EAX_ARAT;
    if (host_max >= LEAF_FEATURES) {
        r = cpuid(LEAF_FEATURES, 0);
        basic[LEAF_FEATURES].r =
            (struct cpuid_regs){0, r.ebx & F7_EBX_ALLOW, r.ecx & F7_ECX_ALLOW, r.edx & F7_EDX_ALLOW};
        basic[LEAF_FEATURES].patch = patch_first_only;
    }
    basic[LEAF_TOPOLOGY].patch = patch_topology;
    basic[LEAF_XSTATE].patch = patch_xstate;
}

static void init_extended(void)
{
    uint32_t host_max = cpuid(0x80000000, 0).eax;
    struct cpuid_regs r = cpuid(0x80000000, 0);

    extended[0].r = (struct cpuid_regs){0x80000000 + EXT_LEAVES - 1, r.ebx, r.ecx, r.edx};
    r = cpuid(0x80000001, 0);
    extended[1].r = (struct cpuid_regs){r.eax, 0, r.ecx & E1_ECX_ALLOW, r.edx & E1_EDX_ALLOW};
    extended[1].patch = patch_ext_1;
    for (uint32_t leaf = 2; leaf <= 6; leaf++) /* name, AMD's caches and TLBs */
        if (0x80000000 + leaf <= host_max)
            extended[leaf].r = cpuid(0x80000000 + leaf, 0);
    extended[7].r.edx = E7_EDX_TSC_INVARIANT;
    if (host_max >= 0x80000008) {
        r = cpuid(0x80000008, 0);
        extended[8].r = (struct cpuid_regs){r.eax & GENMASK32(15, 0), r.ebx & E8_EBX_ALLOW, 0, 0};
    }
    extended[8].patch = patch_ext_8;
}

void cpuid_init(void)
{
    init_basic();
    init_extended();
    /* "KVMKVMKVM" */
    hypervisor[0].r = (struct cpuid_regs){0x40000000 + HV_LEAVES - 1, 0x4b4d564b, 0x564b4d56, 0x4d};
    hypervisor[1].r = (struct cpuid_regs){KVM_FEATURES, 0, 0, 0};
}

void emul_cpuid(struct vcpu *v)
{
    uint32_t leaf = (uint32_t)v->gpr[RAX], index = leaf & GENMASK32(29, 0);
    struct cpuid_regs r = {0, 0, 0, 0};

    if (index < ranges[leaf >> 30].count) {
        const struct row *row = &ranges[leaf >> 30].rows[index];

        r = row->r;
        if (row->patch)
            row->patch(v, (uint32_t)v->gpr[RCX], &r);
    }
    v->gpr[RAX] = r.eax;
    v->gpr[RBX] = r.ebx;
    v->gpr[RCX] = r.ecx;
    v->gpr[RDX] = r.edx;
}

/* --- what follows from it --- */

uint64_t cpuid_cr4_valid(void)
{
    uint32_t f7_ebx = basic[LEAF_FEATURES].r.ebx;

    return CR4_VME | CR4_PVI | CR4_TSD | CR4_DE | CR4_PSE | CR4_PAE | CR4_MCE | CR4_PGE | CR4_PCE |
           CR4_OSFXSR | CR4_OSXMMEXCPT | (basic[1].r.ecx & F1_ECX_XSAVE ? CR4_OSXSAVE : 0) |
           (f7_ebx & F7_EBX_FSGSBASE ? CR4_FSGSBASE : 0) | (f7_ebx & F7_EBX_SMEP ? CR4_SMEP : 0) |
           (f7_ebx & F7_EBX_SMAP ? CR4_SMAP : 0) | (basic[LEAF_FEATURES].r.ecx & F7_ECX_UMIP ? CR4_UMIP : 0);
}

uint64_t cpuid_xcr0_valid(void)
{
    struct cpuid_regs r;

    if (!(basic[1].r.ecx & F1_ECX_XSAVE))
        return 0;
    r = cpuid(LEAF_XSTATE, 0);
    return ((uint64_t)r.edx << 32 | r.eax) & (XCR0_X87 | XCR0_SSE | XCR0_AVX | XCR0_AVX512);
}

uint64_t cpuid_efer_valid(void)
{
    return EFER_SCE | EFER_LME | EFER_LMA | (extended[1].r.edx & E1_EDX_NX ? EFER_NXE : 0) |
           (extended[1].r.edx & E1_EDX_FXSR_OPT ? EFER_FFXSR : 0);
}

bool cpuid_has_tsc_aux(void)
{
    return (extended[1].r.edx & E1_EDX_RDTSCP) || (basic[LEAF_FEATURES].r.ecx & F7_ECX_RDPID);
}
