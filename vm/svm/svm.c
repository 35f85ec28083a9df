/* SPDX-License-Identifier: BSD-2-Clause */
/* AMD's back end as vm/hvm.h sees it. Section numbers in this folder are of the APM, volume 2. */
#include "vm/svm/svm.h"
#include "kernel/cpu/cpu.h"
#include "vm/svm/insn.h"

/*
 * With a lent APIC a kick is an NMI, and one that came before now would be forgotten: it counts as an exit. From CLGI on it is VMRUN that lets the next
 * one in, which ends the guest.
 */
static bool may_enter(struct vm_exit *e)
{
    clgi();
    if (!cpu_nudged())
        return true;
    stgi();
    *e = (struct vm_exit){.kind = VM_EXIT_HOST_INTR};
    return false;
}

void svm_run(struct vcpu *v, struct vm_exit *e)
{
    struct vcpu_hw *hw = v->hw;
    struct vmcb *b = hw->vmcb;

    if (hw->lent && !may_enter(e))
        return;
    if (hw->tlb_flush)
        svm_flush_now(v);
    b->control.event_inj = 0;
    if (v->inject.valid) {
        b->control.event_inj = svm_encode_event(&v->inject);
        v->inject.valid = false;
        if (v->inject.type == VM_EVENT_NMI)
            svm_nmi_injected(v);
    }
    b->save.rax = v->gpr[RAX];
    b->save.rsp = v->gpr[RSP];
    b->save.rip = v->rip;
    b->save.rflags = v->rflags;
    svm_enter(v->gpr, hw->vmcb_hpa, hw->host_hpa);
    v->gpr[RAX] = b->save.rax;
    v->gpr[RSP] = b->save.rsp;
    v->rip = b->save.rip;
    v->rflags = b->save.rflags;
    b->control.tlb_control = 0;
    b->control.clean = hw->clean;
    svm_decode_exit(v, e);
    if (e->kind == VM_EXIT_HOST_INTR && !hw->lent)
        cpu_take_interrupts();
}

#define SLOT(result, op, parameters) .op = svm_##op,
const struct hvm_ops svm_ops = {.name = "SVM", HVM_OPS(SLOT)};
