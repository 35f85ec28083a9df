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

bool svm_supported(const char **why)
{
    struct svm_features *f = &svm_features;
    uint32_t edx;

    *why = "the CPU has no SVM";
    if (cpuid(0x80000000, 0).eax < CPUID_SVM || !(cpuid(CPUID_EXT, 0).ecx & CPUID_EXT_ECX_SVM))
        return false;
    *why = "SVM is disabled by the firmware (VM_CR.SVMDIS)";
    if (rdmsr(MSR_VM_CR) & VM_CR_SVMDIS)
        return false;
    if (!cpustate_supported(why))
        return false;
    edx = cpuid(CPUID_SVM, 0).edx;
    *why = "the CPU has no nested paging";
    if (!(edx & CPUID_SVM_EDX_NP))
        return false;
    f->asids = cpuid(CPUID_SVM, 0).ebx;
    *why = "the CPU has no address space ids for guests";
    if (f->asids < ASIDS_MIN)
        return false;
    f->nrips = edx & CPUID_SVM_EDX_NRIPS;
    f->clean = edx & CPUID_SVM_EDX_CLEAN;
    f->flush_by_asid = edx & CPUID_SVM_EDX_FLUSH;
    f->decode_assists = edx & CPUID_SVM_EDX_DECODE;
    f->leaf_1g = cpuid(CPUID_EXT, 0).edx & CPUID_80000001_EDX_1G;
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
