/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Events into the guest (APM 2 15.20, 15.21). Interrupts are virtual ones (V_IRQ), which the CPU delivers when the guest can take them; all else goes
 * through EVENTINJ. V_IRQ with its intercept tells when the guest can take one.
 */
#include "vm/svm/svm.h"

#define RFLAGS_IF BIT(9)

uint64_t svm_encode_event(const struct vm_event *ev)
{
    uint64_t x = EVENT_V | FIELD_PREP(EVENT_VECTOR, ev->vector) | FIELD_PREP(EVENT_TYPE, ev->type);

    return ev->has_error ? x | EVENT_EV | FIELD_PREP(EVENT_ERROR, ev->error) : x;
}

bool svm_can_take_intr(const struct vcpu *v)
{
    return !v->inject.valid && (v->rflags & RFLAGS_IF) &&
           !(v->hw->vmcb->control.int_state & INTERRUPT_SHADOW);
}

/* An NMI blocks the next until IRET has completed; the IRET intercept comes before, so RIP must have moved
 * on. */
bool svm_can_take_nmi(const struct vcpu *v)
{
    return !v->inject.valid && !v->hw->nmi_blocked && v->hw->nmi_iret != v->rip &&
           !(v->hw->vmcb->control.int_state & INTERRUPT_SHADOW);
}

/* One that is not always on. */
void svm_intercept(struct vcpu *v, unsigned code, bool on)
{
    struct vmcb_control *c = &v->hw->vmcb->control;

    c->intercept[code / 32] &= ~BIT32(code % 32);
    if (on)
        c->intercept[code / 32] |= BIT32(code % 32);
    c->clean &= ~CLEAN_INTERCEPT;
}

void svm_nmi_injected(struct vcpu *v)
{
    v->hw->nmi_blocked = true;
    svm_intercept(v, EXIT_IRET, true);
}

void svm_nmi_iret(struct vcpu *v)
{
    v->hw->nmi_blocked = false;
    v->hw->nmi_iret = v->rip;
    svm_intercept(v, EXIT_IRET, false);
}

static void set_virq(struct vmcb_control *c, uint64_t virq)
{
    c->v_intr = (c->v_intr & ~(V_IRQ | V_IGN_TPR | V_INTR_PRIO | V_INTR_VECTOR)) | virq;
    c->clean &= ~CLEAN_TPR;
}

void svm_want_window(struct vcpu *v, bool on)
{
    struct vmcb_control *c = &v->hw->vmcb->control;

    if (v->hw->window == on)
        return;
    v->hw->window = on;
    svm_intercept(v, EXIT_VINTR, on);
    set_virq(c, on ? V_IRQ | V_IGN_TPR | V_INTR_PRIO : 0);
}

/* lapic.c has compared it with the task priority, so the CPU need not (V_IGN_TPR). */
bool svm_queue_intr(struct vcpu *v, uint8_t vector)
{
    svm_want_window(v, false);
    set_virq(&v->hw->vmcb->control, V_IRQ | V_IGN_TPR | FIELD_PREP(V_INTR_VECTOR, vector));
    return true;
}

bool svm_intr_delivered(struct vcpu *v)
{
    struct vmcb_control *c = &v->hw->vmcb->control;
    bool delivered = !(c->v_intr & V_IRQ);

    set_virq(c, 0);
    return delivered;
}

/* AVIC is not used (hvm_cpu.delegates). */
void svm_delegate(UNUSED struct vcpu *v, UNUSED const struct vm_interrupts *i)
{
}

void svm_recall(UNUSED struct vcpu *v, UNUSED struct vm_interrupts *i)
{
}

void svm_clear_shadow(struct vcpu *v)
{
    v->hw->vmcb->control.int_state &= ~INTERRUPT_SHADOW;
}
