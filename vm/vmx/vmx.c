/* SPDX-License-Identifier: BSD-2-Clause */
/* Intel's back end as vm/hvm.h sees it. Section numbers in this folder are of the SDM, volume 3. */
#include "vm/vmx/vmx.h"
#include "kernel/cpu/cpu.h"
#include "vm/vmx/insn.h"

static void vmx_run(struct vcpu *v, struct vm_exit *e)
{
    struct vcpu_hw *hw = v->hw;

    if (hw->flush)
        invept(hw->eptp);
    hw->flush = false;
    vmx_write_event(v);
    vmwrite(GUEST_RSP, v->gpr[RSP]);
    vmwrite(GUEST_RIP, v->rip);
    vmwrite(GUEST_RFLAGS, v->rflags);
    write_cr2(hw->cr2);
    if (!vmx_enter(v->gpr, hw->launched)) {
        vmx_decode_refusal(e);
        return;
    }
    hw->launched = true;
    hw->cr2 = read_cr2();
    v->gpr[RSP] = vmread(GUEST_RSP);
    v->rip = vmread(GUEST_RIP);
    v->rflags = vmread(GUEST_RFLAGS);
    vmx_decode_exit(v, e);
    if (e->kind == VM_EXIT_HOST_INTR)
        cpu_take_interrupts();
}

const struct hvm_ops vmx_ops = {
    .name = "VMX",
    .cpu_on = vmx_cpu_on,
    .p2m_init = vmx_ept_init,
    .vcpu_create = vmx_vcpu_create,
    .vcpu_destroy = vmx_vcpu_destroy,
    .reset = vmx_reset,
    .load = vmx_load,
    .put = vmx_put,
    .run = vmx_run,
    .reg = vmx_reg,
    .set_reg = vmx_set_reg,
    .segment = vmx_segment,
    .set_segment = vmx_set_segment,
    .can_take_intr = vmx_can_take_intr,
    .can_take_nmi = vmx_can_take_nmi,
    .want_window = vmx_want_window,
    .queue_intr = vmx_queue_intr,
    .intr_delivered = vmx_intr_delivered,
    .clear_shadow = vmx_clear_shadow,
    .flush = vmx_flush,
    .lend_apic = vmx_lend_apic,
};
