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

static void svm_run(struct vcpu *v, struct vm_exit *e)
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

const struct hvm_ops svm_ops = {
    .name = "SVM",
    .cpu_on = svm_cpu_on,
    .p2m_init = svm_npt_init,
    .vcpu_create = svm_vcpu_create,
    .vcpu_destroy = svm_vcpu_destroy,
    .reset = svm_reset,
    .load = svm_load,
    .put = svm_put,
    .run = svm_run,
    .reg = svm_reg,
    .set_reg = svm_set_reg,
    .segment = svm_segment,
    .set_segment = svm_set_segment,
    .can_take_intr = svm_can_take_intr,
    .can_take_nmi = svm_can_take_nmi,
    .want_window = svm_want_window,
    .queue_intr = svm_queue_intr,
    .intr_delivered = svm_intr_delivered,
    .clear_shadow = svm_clear_shadow,
    .flush = svm_flush,
    .lend_apic = svm_lend_apic,
};
