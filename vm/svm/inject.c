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

/* One that is not always on. */
static void intercept(struct vcpu *v, unsigned code, bool on)
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
    intercept(v, EXIT_IRET, true);
}

void svm_nmi_iret(struct vcpu *v)
{
    v->hw->nmi_blocked = false;
    v->hw->nmi_iret = v->rip;
    intercept(v, EXIT_IRET, false);
}

void svm_want_window(struct vcpu *v, bool on)
{
    struct vmcb_control *c = &v->hw->vmcb->control;

    if (v->hw->window == on)
        return;
    v->hw->window = on;
    intercept(v, EXIT_VINTR, on);
    c->v_intr &= ~(V_IRQ | V_IGN_TPR | V_INTR_PRIO);
    if (on)
        c->v_intr |= V_IRQ | V_IGN_TPR | V_INTR_PRIO;
    c->clean &= ~CLEAN_TPR;
}

void svm_clear_shadow(struct vcpu *v)
{
    v->hw->vmcb->control.int_state &= ~INTERRUPT_SHADOW;
}
