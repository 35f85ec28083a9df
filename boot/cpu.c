/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/cpu.h"
#include "boot/msrs.h"
#include "boot/regs.h"
#include "boot/state.h"
#include "kernel/cpu/x86.h"
#include <string.h>

#define CR4_LA57 BIT(12)

/* --- AMD (APM 2 15.4, APM 3 appendix E.4) --- */

#define CPUID_EXT_ECX_SVM    BIT32(2)
#define CPUID_EXT_EDX_NX     BIT32(20)
#define CPUID_SVM            0x8000000a
#define CPUID_SVM_EDX_NP     BIT32(0)
#define CPUID_SVM_EDX_NRIPS  BIT32(3)
#define CPUID_SVM_EDX_CLEAN  BIT32(5)
#define CPUID_SVM_EDX_FLUSH  BIT32(6)
#define CPUID_SVM_EDX_DECODE BIT32(7)
#define MSR_VM_CR            0xc0010114
#define VM_CR_SVMDIS         BIT(4)

#define ASIDS_MIN 2 /* the host's 0, and one */

static void look_at_svm(struct boot_facts *f)
{
    struct cpuid_regs r = cpuid(CPUID_SVM, 0);

    f->machine.processor.virt = BOOT_VIRT_SVM;
    f->virt_locked = rdmsr(MSR_VM_CR) & VM_CR_SVMDIS;
    if (!(r.edx & CPUID_SVM_EDX_NP))
        f->cpu_lacks = "nested paging (NPT)";
    else if (r.ebx < ASIDS_MIN)
        f->cpu_lacks = "address space ids for guests";
    f->machine.processor.leaf_1g = cpuid(0x80000001, 0).edx & CPUID_80000001_EDX_1G ? 1 : 0;
    f->machine.processor.svm = (struct boot_svm){
        .asids = r.ebx,
        .nrips = r.edx & CPUID_SVM_EDX_NRIPS ? 1 : 0,
        .clean = r.edx & CPUID_SVM_EDX_CLEAN ? 1 : 0,
        .flush_by_asid = r.edx & CPUID_SVM_EDX_FLUSH ? 1 : 0,
        .decode_assists = r.edx & CPUID_SVM_EDX_DECODE ? 1 : 0,
    };
}

/* --- Intel (SDM 3 24.6, 24.7, appendix A). Of the capabilities of controls, the low half has what must be 1, the high half what may be. --- */

#define CPUID_1_ECX_VMX      BIT32(5)
#define MSR_FEATURE_CONTROL  0x3a
#define FEATURE_CONTROL_LOCK BIT(0)
#define FEATURE_CONTROL_VMX  BIT(2) /* outside SMX operation */
#define MSR_VMX_BASIC        0x480
#define VMX_BASIC_REVISION   GENMASK(30, 0)
#define VMX_BASIC_TRUE       BIT(55) /* the following five have their unrestricted forms at 48Dh on */
#define MSR_VMX_PROC2        0x48b
#define MSR_VMX_EPT_VPID     0x48c
#define EPT_WALK_4           BIT(6)
#define EPT_WRITE_BACK       BIT(14)
#define EPT_LEAF_2M          BIT(16)
#define EPT_LEAF_1G          BIT(17)
#define EPT_INVEPT           BIT(20)
#define EPT_INVEPT_SINGLE    BIT(25)
#define EPT_NEEDED           (EPT_WALK_4 | EPT_WRITE_BACK | EPT_LEAF_2M | EPT_INVEPT | EPT_INVEPT_SINGLE)
#define MSR_VMX_TRUE_PIN     0x48d
#define MSR_VMX_TRUE_PROC    0x48e
#define MSR_VMX_TRUE_EXIT    0x48f
#define MSR_VMX_TRUE_ENTRY   0x490

/* Pin-based controls (table 25-5) */
#define PIN_INTR        BIT32(0)
#define PIN_NMI         BIT32(3)
#define PIN_VIRTUAL_NMI BIT32(5)
/* Primary processor-based controls (table 25-6) */
#define PROC_TSC_OFFSET  BIT32(3)
#define PROC_HLT         BIT32(7)
#define PROC_MWAIT       BIT32(10)
#define PROC_RDPMC       BIT32(11)
#define PROC_CR8_LOAD    BIT32(19)
#define PROC_TPR_SHADOW  BIT32(21)
#define PROC_IO          BIT32(24)
#define PROC_MSR_BITMAPS BIT32(28)
#define PROC_MONITOR     BIT32(29)
#define PROC_SECONDARY   BIT32(31)
/* Secondary processor-based controls (table 25-7) */
#define PROC2_EPT          BIT32(1)
#define PROC2_RDTSCP       BIT32(3)
#define PROC2_VPID         BIT32(5)
#define PROC2_WBINVD       BIT32(6)
#define PROC2_UNRESTRICTED BIT32(7)
/* The x2APIC's MSRs from the virtual-APIC page; interrupts delivered and ended from there */
#define PROC2_DELEGATE (BIT32(4) | BIT32(8) | BIT32(9))
/* VM-exit and VM-entry controls (tables 25-13 and 25-15) */
#define EXIT_SAVE_DEBUG  BIT32(2)
#define EXIT_HOST_64     BIT32(9)
#define EXIT_SAVE_PAT    BIT32(18)
#define EXIT_LOAD_PAT    BIT32(19)
#define EXIT_SAVE_EFER   BIT32(20)
#define EXIT_LOAD_EFER   BIT32(21)
#define ENTRY_LOAD_DEBUG BIT32(2)
#define ENTRY_LOAD_PAT   BIT32(14)
#define ENTRY_LOAD_EFER  BIT32(15)

/*
 * What must be 1 of each set of controls, and what is 1 where the CPU has it. vm/vmx/ is written for these. The preemption timer is not
 * among them: a slice ends with the APIC's timer, which ends the guest as well.
 */
static const struct {
    uint32_t msr, need, like;
    size_t value; /* in struct boot_vmx */
} controls[] = {
    {MSR_VMX_TRUE_PIN, PIN_INTR | PIN_NMI | PIN_VIRTUAL_NMI, 0, offsetof(struct boot_vmx, pin)},
    {MSR_VMX_TRUE_PROC,
     PROC_TSC_OFFSET | PROC_HLT | PROC_MWAIT | PROC_RDPMC | PROC_CR8_LOAD | PROC_TPR_SHADOW | PROC_IO |
         PROC_MSR_BITMAPS | PROC_MONITOR | PROC_SECONDARY,
     0, offsetof(struct boot_vmx, proc)},
    {MSR_VMX_PROC2, PROC2_EPT | PROC2_VPID | PROC2_WBINVD | PROC2_UNRESTRICTED, PROC2_RDTSCP | PROC2_DELEGATE,
     offsetof(struct boot_vmx, proc2)},
    {MSR_VMX_TRUE_EXIT,
     EXIT_SAVE_DEBUG | EXIT_HOST_64 | EXIT_SAVE_PAT | EXIT_LOAD_PAT | EXIT_SAVE_EFER | EXIT_LOAD_EFER, 0,
     offsetof(struct boot_vmx, exit)},
    {MSR_VMX_TRUE_ENTRY, ENTRY_LOAD_DEBUG | ENTRY_LOAD_PAT | ENTRY_LOAD_EFER, 0,
     offsetof(struct boot_vmx, entry)},
};

static bool choose_controls(struct boot_vmx *v)
{
    for (unsigned i = 0; i < ARRAY_SIZE(controls); i++) {
        uint64_t cap = rdmsr(controls[i].msr);
        uint32_t must = (uint32_t)cap, may = (uint32_t)(cap >> 32);

        if (controls[i].need & ~may)
            return false;
        *(uint32_t *)(void *)((char *)v + controls[i].value) =
            must | controls[i].need | (controls[i].like & may);
    }
    return true;
}

/* Nothing is read of a capability before what says that its register is there. */
static const char *vmx_lacks(struct boot_cpu *c)
{
    uint64_t basic = rdmsr(MSR_VMX_BASIC), ept;

    if (!(basic & VMX_BASIC_TRUE) || !choose_controls(&c->vmx))
        return "unrestricted guests with nested paging (EPT), VPID and virtual NMIs";
    ept = rdmsr(MSR_VMX_EPT_VPID);
    c->vmx.revision = (uint32_t)FIELD_GET(VMX_BASIC_REVISION, basic);
    c->leaf_1g = ept & EPT_LEAF_1G ? 1 : 0;
    c->delegates = (c->vmx.proc2 & PROC2_DELEGATE) == PROC2_DELEGATE;
    return (ept & EPT_NEEDED) == EPT_NEEDED
               ? NULL
               : "EPT with write-back memory, 2 MiB pages and INVEPT of one context";
}

static void look_at_vmx(struct boot_facts *f)
{
    uint64_t control = rdmsr(MSR_FEATURE_CONTROL);

    f->machine.processor.virt = BOOT_VIRT_VMX;
    f->virt_locked = (control & FEATURE_CONTROL_LOCK) && !(control & FEATURE_CONTROL_VMX);
    f->cpu_lacks = vmx_lacks(&f->machine.processor);
}

/* --- what moves with a vCPU --- */

#define CPUID_7_EDX_IBPB       BIT32(26)
#define CPUID_80000001_RDTSCP  BIT32(27) /* EDX */
#define CPUID_SIZES            0x80000008
#define CPUID_SIZES_EBX_IBPB   BIT32(12)
#define CPUID_XSTATE           0xd
#define CPUID_XSTATE1_XSAVEOPT BIT32(0)

static void look_at_state(struct boot_cpu *c)
{
    struct cpuid_regs r = cpuid(CPUID_XSTATE, 0);

    c->xstates = (uint64_t)r.edx << 32 | r.eax;
    c->xstate_size = r.ecx;
    c->xsaveopt = cpuid(CPUID_XSTATE, 1).eax & CPUID_XSTATE1_XSAVEOPT ? 1 : 0;
    c->tsc_aux = cpuid(0x80000001, 0).edx & CPUID_80000001_RDTSCP ? 1 : 0;
    c->ibpb =
        (cpuid(7, 0).edx & CPUID_7_EDX_IBPB) || (cpuid(CPUID_SIZES, 0).ebx & CPUID_SIZES_EBX_IBPB) ? 1 : 0;
}

/*
 * --- the guests' CPUID: what the host has, cut to what guests may use (AMD APM 3 appendix E, Intel SDM 2A CPUID) ---
 *
 * What depends on the number of vCPUs is put in by cpu_show(), what on the vCPU or on what it does by vm/emul/cpuid.c. All that is not named here is zero.
 */

#define LEAF_FEATURES 0x07
#define LEAF_XSTATE   0x0d
#define LEAF_EXTENDED 0x80000001
#define LEAF_SIZES    0x80000008

#define F1_ECX_TSC_DEADLINE BIT32(24)
#define F1_ECX_SET          (BIT32(31) | F1_ECX_TSC_DEADLINE | BIT32(21)) /* hypervisor, x2APIC: emulated */
/* SSE3 PCLMUL SSSE3 FMA CX16 SSE4.1 SSE4.2 MOVBE POPCNT AES XSAVE AVX F16C RDRAND */
#define F1_ECX_ALLOW                                                                                         \
    (GENMASK32(1, 0) | BIT32(9) | GENMASK32(13, 12) | GENMASK32(20, 19) | GENMASK32(23, 22) |                \
     GENMASK32(26, 25) | GENMASK32(30, 28))
/* FPU VME DE PSE TSC MSR PAE MCE CX8 APIC SEP MTRR PGE MCA CMOV PAT PSE36 CLFSH MMX FXSR SSE SSE2 */
#define F1_EDX_ALLOW (GENMASK32(9, 0) | GENMASK32(17, 11) | BIT32(19) | GENMASK32(26, 23))

/* Leaf 7: FSGSBASE BMI1 AVX2 SMEP BMI2 ERMS, AVX-512 F DQ, RDSEED ADX SMAP, IFMA, CLFLUSHOPT CLWB, PF ER CD, SHA, BW VL */
#define F7_EBX_FSGSBASE BIT32(0)
#define F7_EBX_ALLOW                                                                                         \
    (BIT32(0) | BIT32(3) | BIT32(5) | GENMASK32(9, 7) | GENMASK32(21, 16) | GENMASK32(24, 23) |              \
     GENMASK32(31, 26))
/* VBMI UMIP VBMI2 GFNI VAES VPCLMULQDQ VNNI BITALG VPOPCNTDQ RDPID MOVDIRI */
#define F7_ECX_ALLOW                                                                                         \
    (GENMASK32(2, 1) | GENMASK32(6, 6) | GENMASK32(12, 8) | BIT32(14) | BIT32(22) | BIT32(27))
#define F7_EDX_ALLOW BIT32(4) /* fast short REP MOV */

/* Leaf 80000001: LAHF CR8 ABM SSE4A misaligned-SSE prefetch XOP FMA4 TBM; SYSCALL NX MMX+ FXSR+ 1G RDTSCP LM 3DNow */
#define E1_ECX_ALLOW    (BIT32(0) | GENMASK32(8, 4) | BIT32(11) | BIT32(16) | BIT32(21))
#define E1_EDX_FXSR_OPT BIT32(25)
#define E1_EDX_ALLOW                                                                                         \
    (F1_EDX_DUPLICATED | BIT32(11) | BIT32(20) | BIT32(22) | GENMASK32(27, 25) | GENMASK32(31, 29))
#define F1_EDX_DUPLICATED (GENMASK32(9, 0) | GENMASK32(17, 12) | GENMASK32(24, 23)) /* AMD only */

#define EVERY 0xffffffff

/* What guests get: the bits of the host's that stand in `host`, and `always`. */
static const struct {
    uint32_t first, last;
    struct cpuid_regs host, always;
} rules[] = {
    {0, 0, {0, EVERY, EVERY, EVERY}, {LEAF_XSTATE, 0, 0, 0}},
    {1, 1, {EVERY, GENMASK32(15, 0), F1_ECX_ALLOW, F1_EDX_ALLOW}, {0, 0, F1_ECX_SET, 0}},
    /* ARAT: the timer never stops, emulated or not: nobody puts the CPU into a deep sleep */
    {6, 6, {0, 0, 0, 0}, {BIT32(2), 0, 0, 0}},
    {LEAF_FEATURES, LEAF_FEATURES, {0, F7_EBX_ALLOW, F7_ECX_ALLOW, F7_EDX_ALLOW}, {0, 0, 0, 0}},
    /* KVM's (Linux Documentation/virt/kvm/x86/cpuid.rst): its signature; no delays at ports, clock source, PV EOI, stable clock */
    {0x40000000, 0x40000000, {0, 0, 0, 0}, {0x40000001, 0x4b4d564b, 0x564b4d56, 0x4d}},
    {0x40000001, 0x40000001, {0, 0, 0, 0}, {BIT32(1) | BIT32(3) | BIT32(6) | BIT32(24), 0, 0, 0}},
    {0x80000000, 0x80000000, {0, EVERY, EVERY, EVERY}, {LEAF_SIZES, 0, 0, 0}},
    {LEAF_EXTENDED, LEAF_EXTENDED, {EVERY, 0, E1_ECX_ALLOW, E1_EDX_ALLOW}, {0, 0, 0, 0}},
    {0x80000002, 0x80000006, {EVERY, EVERY, EVERY, EVERY}, {0, 0, 0, 0}}, /* name, AMD's caches and TLBs */
    {0x80000007, 0x80000007, {0, 0, 0, 0}, {0, 0, 0, BIT32(8)}},          /* invariant TSC */
    /* EBX: CLZERO, XSAVE of error pointers */
    {LEAF_SIZES, LEAF_SIZES, {GENMASK32(15, 0), BIT32(0) | BIT32(2), 0, 0}, {0, 0, 0, 0}},
};

static uint32_t table[4][BOOT_CPUID_LEAVES][4]; /* of all guests */

static void fill_cpuid(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(rules); i++)
        for (uint32_t leaf = rules[i].first; leaf <= rules[i].last; leaf++) {
            const struct cpuid_regs *mask = &rules[i].host, *always = &rules[i].always;
            bool has = cpuid(leaf & GENMASK32(31, 30), 0).eax >= leaf;
            struct cpuid_regs host = has ? cpuid(leaf, 0) : (struct cpuid_regs){0, 0, 0, 0};
            uint32_t *to = table[leaf >> 30][leaf & GENMASK32(29, 0)];

            to[0] = (host.eax & mask->eax) | always->eax;
            to[1] = (host.ebx & mask->ebx) | always->ebx;
            to[2] = (host.ecx & mask->ecx) | always->ecx;
            to[3] = (host.edx & mask->edx) | always->edx;
        }
}

#define F1_EBX_COUNT      GENMASK32(23, 16)
#define F1_EDX_HTT        BIT32(28)
#define LEAF_TOPOLOGY     0x0b
#define TOPOLOGY_CORES    (2 << 8 | 1) /* ECX: subleaf 1 is of cores */
#define E1_ECX_CMP_LEGACY BIT32(1)
#define E8_ECX_NC         GENMASK32(7, 0)
#define E8_ECX_ID_SIZE    GENMASK32(15, 12)

/* One thread a core, all cores in one package. */
void cpu_show(struct boot_guest *g)
{
    uint32_t n = g->vcpus, id_bits = n > 1 ? 32 - (uint32_t)__builtin_clz(n - 1) : 0;
    uint32_t *cores = g->cpuid[0][LEAF_TOPOLOGY];

    memcpy(g->cpuid, table, sizeof(table));
    g->cpuid[0][1][1] |= (uint32_t)FIELD_PREP(F1_EBX_COUNT, n);
    g->cpuid[0][1][3] |= n > 1 ? F1_EDX_HTT : 0;
    cores[0] = id_bits;
    cores[1] = n;
    cores[2] = TOPOLOGY_CORES;
    g->cpuid[2][LEAF_EXTENDED & 0xf][2] |= n > 1 ? E1_ECX_CMP_LEGACY : 0;
    g->cpuid[2][LEAF_SIZES & 0xf][2] =
        (uint32_t)(FIELD_PREP(E8_ECX_NC, n - 1) | FIELD_PREP(E8_ECX_ID_SIZE, id_bits));
}

/* --- what follows from it for the control registers --- */

#define CR4_VME     BIT(0)
#define CR4_PVI     BIT(1)
#define CR4_TSD     BIT(2)
#define CR4_DE      BIT(3)
#define CR4_PSE     BIT(4)
#define CR4_PCE     BIT(8)
#define XCR0_X87    BIT(0)
#define XCR0_SSE    BIT(1)
#define XCR0_AVX    BIT(2)
#define XCR0_AVX512 GENMASK(7, 5)
#define EFER_FFXSR  BIT(14)

static void fill_valid(struct boot_cpu *c)
{
    uint32_t f7_ebx = table[0][LEAF_FEATURES][1], f7_ecx = table[0][LEAF_FEATURES][2];
    uint32_t e1_edx = table[LEAF_EXTENDED >> 30][1][3];
    uint64_t always = CR4_PAE | CR4_MCE | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE;
    uint64_t guards = (f7_ebx & CPUID_7_EBX_SMEP ? CR4_SMEP : 0) |
                      (f7_ebx & CPUID_7_EBX_SMAP ? CR4_SMAP : 0) | (f7_ecx & CPUID_7_ECX_UMIP ? CR4_UMIP : 0);

    c->host_cr4 = always | guards;
    c->cr4_valid = CR4_VME | CR4_PVI | CR4_TSD | CR4_DE | CR4_PSE | CR4_PCE | always | guards |
                   (f7_ebx & F7_EBX_FSGSBASE ? CR4_FSGSBASE : 0);
    c->xcr0_valid = c->xstates & (XCR0_X87 | XCR0_SSE | XCR0_AVX | XCR0_AVX512);
    c->efer_valid = EFER_SCE | EFER_LME | EFER_LMA | (e1_edx & CPUID_EXT_EDX_NX ? EFER_NXE : 0) |
                    (e1_edx & E1_EDX_FXSR_OPT ? EFER_FFXSR : 0);
}

uint32_t cpu_apic_id(void)
{
    struct cpuid_regs topology = cpuid(LEAF_TOPOLOGY, 0);

    if (cpuid(0, 0).eax >= LEAF_TOPOLOGY && topology.ebx)
        return topology.edx;
    return cpuid(1, 0).ebx >> CPUID_1_EBX_APIC_SHIFT;
}

void cpu_look(struct boot_facts *f)
{
    uint32_t ecx = cpuid(1, 0).ecx;

    f->nx = cpuid(0x80000001, 0).edx & CPUID_EXT_EDX_NX;
    f->la57 = read_cr4() & CR4_LA57;
    if (ecx & CPUID_1_ECX_VMX)
        look_at_vmx(f);
    else if (cpuid(0x80000000, 0).eax >= CPUID_SVM && (cpuid(0x80000001, 0).ecx & CPUID_EXT_ECX_SVM))
        look_at_svm(f);
    if (!f->cpu_lacks && !(ecx & CPUID_1_ECX_XSAVE))
        f->cpu_lacks = "XSAVE";
    look_at_state(&f->machine.processor);
    state_reset(&f->machine.processor.reset, cpuid(1, 0).eax);
    fill_cpuid();
    fill_valid(&f->machine.processor);
    state_limits(f->machine.processor.limit, &f->machine.processor);
    msrs_fill(&f->machine.processor);
}
