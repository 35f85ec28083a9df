/* SPDX-License-Identifier: BSD-2-Clause */
/* kernel/cpu/time.h with a clock that stands still until a test moves it. Include once, before the file under
 * test. */
#include "kernel/cpu/time.h"

static uint64_t fake_now_ns __attribute__((unused)) = NS_PER_S;
/* Added at each time_ns(), so that a bounded wait ends: one microsecond by default. */
static uint64_t fake_time_step_ns __attribute__((unused)) = NS_PER_US;
static uint32_t fake_tsc_khz __attribute__((unused)) = 1000000; /* 1 GHz: a tick is a nanosecond */
static uint64_t fake_wall_base_ns __attribute__((unused));
static struct list fake_timers = {&fake_timers, &fake_timers};

uint32_t time_tsc_khz(void)
{
    return fake_tsc_khz;
}

uint64_t time_ns(void)
{
    return fake_now_ns += fake_time_step_ns;
}

uint64_t time_tsc_to_ns(uint64_t ticks)
{
    return (uint64_t)((unsigned __int128)ticks * 1000000 / fake_tsc_khz);
}

/* As fast as the TSC's default. */
uint64_t time_apic_to_ns(uint64_t ticks)
{
    return ticks;
}

uint64_t time_ns_to_apic(uint64_t ns)
{
    return ns;
}

uint64_t time_wall_base_ns(void)
{
    return fake_wall_base_ns;
}

void timer_init(struct timer *t, void (*fn)(struct timer *t))
{
    *t = (struct timer){.fn = fn};
    list_init(&t->link);
}

void timer_cancel(struct timer *t)
{
    list_del(&t->link);
    t->armed = false;
}

void timer_arm(struct timer *t, uint64_t deadline_ns)
{
    struct list *pos;

    timer_cancel(t);
    pos = fake_timers.next;
    t->deadline_ns = deadline_ns;
    t->armed = true;
    while (pos != &fake_timers && container_of(pos, struct timer, link)->deadline_ns <= deadline_ns)
        pos = pos->next;
    list_add_before(&t->link, pos);
}

/* Moves the clock to `ns` from now, running each timer at its own time. */
static inline void fake_time_advance(uint64_t ns)
{
    uint64_t end = fake_now_ns + ns;

    while (!list_empty(&fake_timers)) {
        struct timer *t = container_of(fake_timers.next, struct timer, link);

        if (t->deadline_ns > end)
            break;
        if (fake_now_ns < t->deadline_ns)
            fake_now_ns = t->deadline_ns;
        timer_cancel(t);
        t->fn(t);
    }
    if (fake_now_ns < end)
        fake_now_ns = end;
}
