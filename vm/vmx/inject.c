/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Events into the guest (SDM 3 27.6, 27.7.5, 27.7.6). One goes in at each entry at most; the windows tell when the guest can take an
 * interrupt or an NMI.
 */
#include "vm/vmx/insn.h"
#include "vm/vmx/vmx.h"

#define RFLAGS_IF BIT(9)

static bool blocked(const struct vcpu *v, uint32_t by)
{
    return v->inject.valid || v->hw->queued || (vmread(INTERRUPTIBILITY) & by);
}

bool vmx_can_take_intr(const struct vcpu *v)
{
    return (v->rflags & RFLAGS_IF) && !blocked(v, BLOCKING_SHADOW);
}

bool vmx_can_take_nmi(const struct vcpu *v)
{
    return !blocked(v, BLOCKING_SHADOW | BLOCKING_NMI);
}

/* In real mode nothing is pushed (27.2.1.3). */
static uint64_t encode(const struct vm_event *ev)
{
    return EVENT_VALID | FIELD_PREP(EVENT_VECTOR, ev->vector) | FIELD_PREP(EVENT_TYPE, ev->type) |
           (ev->has_error && (vmread(GUEST_CR0) & CR0_PE) ? EVENT_ERROR_VALID : 0);
}

/* For the next entry; the CPU clears the valid bit at the exit. One NMI that goes in again is not blocked by itself (28.2.4). */
void vmx_write_event(struct vcpu *v)
{
    struct vm_event ev = v->inject;

    if (v->hw->queued)
        ev = (struct vm_event){true, false, VM_EVENT_INTR, v->hw->vector, 0};
    v->inject.valid = v->hw->queued = false;
    if (!ev.valid)
        return;
    if (ev.type == VM_EVENT_NMI)
        vmwrite(INTERRUPTIBILITY, vmread(INTERRUPTIBILITY) & ~(uint64_t)BLOCKING_NMI);
    vmwrite(ENTRY_EVENT_ERROR, ev.error);
    vmwrite(ENTRY_EVENT, encode(&ev));
}

void vmx_want_window(struct vcpu *v, bool on)
{
    uint32_t proc = hvm_cpu.vmx.proc;

    if (on)
        proc |= v->nmi_pending ? PROC_NMI_WINDOW : PROC_INTR_WINDOW;
    if (v->hw->proc == proc)
        return;
    v->hw->proc = proc;
    vmwrite(PROC_CONTROLS, proc);
}

bool vmx_queue_intr(struct vcpu *v, uint8_t vector)
{
    if (!vmx_can_take_intr(v))
        return false;
    vmx_want_window(v, false);
    v->hw->vector = vector;
    v->hw->queued = true;
    return true;
}

/* An exit in the middle of its delivery hands it back as an event to be done again. */
bool vmx_intr_delivered(UNUSED struct vcpu *v)
{
    return true;
}

void vmx_clear_shadow(UNUSED struct vcpu *v)
{
    vmwrite(INTERRUPTIBILITY, vmread(INTERRUPTIBILITY) & ~(uint64_t)BLOCKING_SHADOW);
}

/* An NMI that comes right before VMLAUNCH would not end the guest, and nothing holds it off. */
bool vmx_lend_apic(UNUSED struct vcpu *v, bool lend)
{
    return !lend;
}
