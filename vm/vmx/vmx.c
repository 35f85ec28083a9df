/* SPDX-License-Identifier: BSD-2-Clause */
/* Intel's back end as vm/hvm.h sees it. Section numbers in this folder are of the SDM, volume 3. */
#include "vm/vmx/vmx.h"
#include "kernel/cpu/cpu.h"
#include "vm/vmx/insn.h"

void vmx_run(struct vcpu *v, struct vm_exit *e)
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

#define SLOT(result, op, parameters) .op = vmx_##op,
const struct hvm_ops vmx_ops = {.name = "VMX", HVM_OPS(SLOT)};
