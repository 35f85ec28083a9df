/* SPDX-License-Identifier: BSD-2-Clause */
/* Switches SVM on (APM 2 15.4, 15.30). */
#include "kernel/cpu/cpu.h"
#include "kernel/cpu/x86.h"
#include "kernel/mm/frame.h"
#include "vm/svm/insn.h"
#include "vm/svm/svm.h"

static struct svm_cpu svm_cpus[CPU_MAX];

struct svm_cpu *svm_this_cpu(void)
{
    return &svm_cpus[cpu_id()];
}

int svm_cpu_on(void)
{
    struct svm_cpu *c = svm_this_cpu();
    hpa_t save = frame_alloc(FRAME_ORDER_4K);

    c->host_vmcb = frame_alloc(FRAME_ORDER_4K);
    if (save.a == 0 || c->host_vmcb.a == 0)
        return -ENOMEM;
    wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SVME);
    wrmsr(MSR_VM_HSAVE_PA, save.a);
    /* The host's GS and TR never change again on this CPU, so one VMSAVE serves all exits. */
    vmsave(c->host_vmcb);
    return 0;
}
