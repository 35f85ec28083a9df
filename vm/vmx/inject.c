/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Events into the guest (SDM 3 27.6, 27.7.5, 27.7.6). One goes in at each entry at most; the windows tell when the guest can take an
 * interrupt or an NMI.
 */
#include "kernel/mm/paging.h"
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

/* --- interrupts that the CPU delivers by itself (chapter 30) --- */

/* A register of the virtual-APIC page, at its xAPIC offset. */
static uint32_t *apic_word(const struct vcpu *v, unsigned offset, unsigned nth)
{
    return (uint32_t *)hpa_to_ptr(v->hw->virtual_apic) + offset / sizeof(uint32_t) + 4ul * nth;
}

static uint64_t highest(const uint32_t bits[8])
{
    unsigned w = 8;

    while (w > 0 && bits[w - 1] == 0)
        w--;
    return w == 0 ? 0 : w * 32 - 1 - (unsigned)__builtin_clz(bits[w - 1]);
}

/* The entry computes the processor priority and looks what is pending (27.3.2.5). */
void vmx_delegate(struct vcpu *v, const struct vm_interrupts *i)
{
    for (unsigned w = 0; w < 8; w++) {
        *apic_word(v, APIC_PAGE_IRR, w) = i->requested[w];
        *apic_word(v, APIC_PAGE_ISR, w) = i->in_service[w];
    }
    vmwrite(INTERRUPT_STATUS, highest(i->in_service) << 8 | highest(i->requested));
    vmwrite(MSR_BITMAPS, hvm_cpu.maps + BOOT_MAPS_DELEGATED);
}

void vmx_recall(struct vcpu *v, struct vm_interrupts *i)
{
    for (unsigned w = 0; w < 8; w++) {
        i->requested[w] = *apic_word(v, APIC_PAGE_IRR, w);
        i->in_service[w] = *apic_word(v, APIC_PAGE_ISR, w);
    }
    vmwrite(INTERRUPT_STATUS, 0);
    vmwrite(MSR_BITMAPS, hvm_cpu.maps);
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
