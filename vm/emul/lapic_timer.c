/* SPDX-License-Identifier: BSD-2-Clause */
/* The timer of a local APIC (SDM 3A 11.5.4). Its host timer may fire on another CPU than the one that runs
 * the vCPU. */
#include "kernel/cpu/x86.h"
#include "vm/emul/apic.h"
#include "vm/emul/lapic.h"
#include "vm/vcpu.h"

/* Ticks that a deadline is looked ahead at most: some years, short of any overflow in the conversion. */
#define DEADLINE_MAX ((uint64_t)1 << 60)

static uint64_t timer_mode(const struct lapic *l)
{
    return FIELD_GET(LVT_TIMER_MODE, apic_get(l, APIC_LVTT));
}

static void expire(struct lapic *l)
{
    uint32_t lvt = apic_get(l, APIC_LVTT);

    if (!(lvt & LVT_MASKED))
        lapic_raise(l->v, (uint8_t)lvt, false);
}

/* The first end of a period after `now`: periods that nobody saw are lost, as they are in a masked APIC. */
static uint64_t next_expiry(uint64_t expiry, uint64_t period, uint64_t now)
{
    if (expiry <= now)
        expiry += ((now - expiry) / period + 1) * period;
    return expiry;
}

void apic_timer_fired(struct timer *t)
{
    struct lapic *l = container_of(t, struct lapic, timer);
    uint64_t period = __atomic_load_n(&l->period_ns, __ATOMIC_RELAXED);

    if (timer_mode(l) == LVT_TIMER_PERIODIC && period != 0) {
        uint64_t next = next_expiry(t->deadline_ns, period, time_ns());

        __atomic_store_n(&l->expiry_ns, next, __ATOMIC_RELAXED);
        timer_arm(t, next);
    }
    expire(l);
}

void apic_timer_stop(struct lapic *l)
{
    timer_cancel(&l->timer);
    l->reg[APIC_TMICT] = 0;
    l->tsc_deadline = 0;
    l->period_ns = 0;
    l->expiry_ns = 0;
}

/* A write of the initial count. The handler re-arms a periodic timer, so it must be known to have ended
 * first. */
void apic_timer_start(struct lapic *l, uint32_t initial_count, uint32_t remaining)
{
    uint32_t divide = (l->reg[APIC_TDCR] & 3) | (l->reg[APIC_TDCR] & 8) >> 1;
    uint64_t ns;

    if (timer_mode(l) == LVT_TIMER_TSC_DEADLINE)
        return;
    apic_timer_stop(l);
    l->reg[APIC_TMICT] = initial_count;
    if (initial_count == 0)
        return;
    l->timer_shift = (divide + 1) & 7;
    ns = time_apic_to_ns((uint64_t)initial_count << l->timer_shift);
    l->period_ns = MAX(ns, APIC_PERIOD_MIN_NS); /* the guest may go over to periodic mode later */
    if (remaining == 0 && timer_mode(l) != LVT_TIMER_PERIODIC)
        return;
    if (timer_mode(l) != LVT_TIMER_PERIODIC)
        ns = time_apic_to_ns((uint64_t)remaining << l->timer_shift);
    else
        ns = l->period_ns;
    l->expiry_ns = time_ns() + ns;
    timer_arm(&l->timer, l->expiry_ns);
}

uint32_t apic_timer_count(const struct lapic *l)
{
    uint64_t now = time_ns(), expiry = __atomic_load_n(&l->expiry_ns, __ATOMIC_RELAXED);

    if (l->reg[APIC_TMICT] == 0)
        return 0;
    if (timer_mode(l) == LVT_TIMER_PERIODIC)
        expiry = next_expiry(expiry, l->period_ns, now);
    return expiry > now ? (uint32_t)(time_ns_to_apic(expiry - now) >> l->timer_shift) : 0;
}

/* Going to or from TSC-deadline mode disarms (SDM 3A 11.5.4.1). */
void apic_timer_set_lvt(struct lapic *l, uint32_t lvt)
{
    bool deadline = FIELD_GET(LVT_TIMER_MODE, lvt) == LVT_TIMER_TSC_DEADLINE;

    if (deadline != (timer_mode(l) == LVT_TIMER_TSC_DEADLINE))
        apic_timer_stop(l);
    apic_set(l, APIC_LVTT, lvt);
}

/* The most frequent write of a guest that is otherwise left alone: kept short. */
void apic_timer_set_deadline(struct lapic *l, uint64_t guest_tsc)
{
    uint64_t tsc = rdtsc(), now = tsc + l->v->tsc_offset;

    if (timer_mode(l) != LVT_TIMER_TSC_DEADLINE)
        return;
    l->tsc_deadline = guest_tsc;
    if (guest_tsc > now) {
        timer_arm(&l->timer, time_tsc_to_ns(tsc + MIN(guest_tsc - now, DEADLINE_MAX)));
        return;
    }
    timer_cancel(&l->timer);
    if (guest_tsc != 0)
        expire(l);
}

/* Reads 0 once it has passed, so that the handler need not write what the vCPU writes. */
uint64_t apic_timer_deadline(const struct lapic *l)
{
    return l->tsc_deadline > rdtsc() + l->v->tsc_offset ? l->tsc_deadline : 0;
}

void lapic_tsc_changed(struct vcpu *v)
{
    struct lapic *l = v->lapic;

    if (timer_mode(l) == LVT_TIMER_TSC_DEADLINE && l->timer.armed)
        apic_timer_set_deadline(l, l->tsc_deadline);
}
