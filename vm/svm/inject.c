/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Events into the guest (APM 2 15.20, 15.21). All go through EVENTINJ; a virtual interrupt (V_IRQ) is only
 * ever pended to find out, by its intercept, when the guest can take one.
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

void svm_nmi_injected(struct vcpu *v)
{
    v->hw->nmi_blocked = true;
    v->hw->vmcb->control.intercept1 |= INTERCEPT_IRET;
    v->hw->vmcb->control.clean &= ~CLEAN_INTERCEPT;
}

void svm_nmi_iret(struct vcpu *v)
{
    v->hw->nmi_blocked = false;
    v->hw->nmi_iret = v->rip;
    v->hw->vmcb->control.intercept1 &= ~INTERCEPT_IRET;
    v->hw->vmcb->control.clean &= ~CLEAN_INTERCEPT;
}

void svm_want_window(struct vcpu *v, bool on)
{
    struct vmcb_control *c = &v->hw->vmcb->control;

    if (v->hw->window == on)
        return;
    v->hw->window = on;
    c->v_intr &= ~(V_IRQ | V_IGN_TPR | V_INTR_PRIO);
    c->intercept1 &= ~INTERCEPT_VINTR;
    if (on) {
        c->v_intr |= V_IRQ | V_IGN_TPR | FIELD_PREP(V_INTR_PRIO, 0xf);
        c->intercept1 |= INTERCEPT_VINTR;
    }
    c->clean &= ~(CLEAN_INTERCEPT | CLEAN_TPR);
}

void svm_clear_shadow(struct vcpu *v)
{
    v->hw->vmcb->control.int_state &= ~INTERRUPT_SHADOW;
}
