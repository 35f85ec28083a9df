/* SPDX-License-Identifier: BSD-2-Clause */
/* Switches SVM on (APM 2 15.4, 15.30). */
#include "kernel/cpu/cpu.h"
#include "kernel/cpu/x86.h"
#include "kernel/mm/frame.h"
#include "vm/svm/insn.h"
#include "vm/svm/svm.h"

#define ASIDS_MIN 2 /* the host's 0, and one */

struct svm_features svm_features;
static struct svm_cpu svm_cpus[CPU_MAX];

struct svm_cpu *svm_this_cpu(void)
{
    return &svm_cpus[cpu_id()];
}

static void find_xstate(struct svm_features *f)
{
    struct cpuid_regs r = cpuid(CPUID_XSTATE, 0);

    f->xcr0 = (uint64_t)r.edx << 32 | r.eax;
    f->xstate_size = r.ecx;
    f->xsaveopt = cpuid(CPUID_XSTATE, 1).eax & CPUID_XSTATE1_EAX_OPT;
}

bool svm_supported(const char **why)
{
    struct svm_features *f = &svm_features;
    uint32_t edx, ext_edx = 0;

    *why = "the CPU has no SVM";
    if (cpuid(0x80000000, 0).eax < CPUID_SVM || !(cpuid(CPUID_EXT, 0).ecx & CPUID_EXT_ECX_SVM))
        return false;
    *why = "SVM is disabled by the firmware (VM_CR.SVMDIS)";
    if (rdmsr(MSR_VM_CR) & VM_CR_SVMDIS)
        return false;
    *why = "the CPU has no XSAVE";
    if (!(cpuid(1, 0).ecx & CPUID_1_ECX_XSAVE))
        return false;
    edx = cpuid(CPUID_SVM, 0).edx;
    *why = "the CPU has no nested paging";
    if (!(edx & CPUID_SVM_EDX_NP))
        return false;
    f->asids = cpuid(CPUID_SVM, 0).ebx;
    *why = "the CPU has no address space ids for guests";
    if (f->asids < ASIDS_MIN)
        return false;
    ext_edx = cpuid(CPUID_EXT, 0).edx;
    f->nrips = edx & CPUID_SVM_EDX_NRIPS;
    f->clean = edx & CPUID_SVM_EDX_CLEAN;
    f->flush_by_asid = edx & CPUID_SVM_EDX_FLUSH;
    f->decode_assists = edx & CPUID_SVM_EDX_DECODE;
    f->rdtscp = ext_edx & CPUID_EXT_EDX_RDTSCP;
    f->ibpb = cpuid(CPUID_EXT8, 0).ebx & CPUID_EXT8_EBX_IBPB;
    f->leaf_1g = ext_edx & CPUID_80000001_EDX_1G;
    find_xstate(f);
    return true;
}

int svm_cpu_on(void)
{
    struct svm_cpu *c = svm_this_cpu();
    hpa_t save = frame_alloc(FRAME_ORDER_4K);

    c->host_vmcb = frame_alloc(FRAME_ORDER_4K);
    if (save.a == 0 || c->host_vmcb.a == 0)
        return -ENOMEM;
    c->next_asid = 1;
    c->asid_generation = 1;
    wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SVME);
    wrmsr(MSR_VM_HSAVE_PA, save.a);
    /* The host's GS and TR never change again on this CPU, so one VMSAVE serves all exits. */
    vmsave(c->host_vmcb);
    /* FPU and vector registers belong to guests; the host only swaps them. */
    write_cr0((read_cr0() | CR0_MP | CR0_NE) & ~(CR0_EM | CR0_TS));
    write_cr4(read_cr4() | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE);
    return 0;
}
