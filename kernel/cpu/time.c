/* SPDX-License-Identifier: BSD-2-Clause */
#include "kernel/cpu/time.h"
#include "kernel/console/log.h"
#include "kernel/cpu/setup.h"
#include "kernel/lib/spinlock.h"

#define TSC_KHZ_MIN    250000
#define TIMERS_AT_ONCE 16 /* per interrupt: a timer that always re-arms for now must not keep the CPU */

/* Nanoseconds per tick are kept in units of 2^-62: exact to 4 ns in a century at 5 GHz. */
#define NS_SHIFT 62

static struct {
    uint32_t tsc_khz, apic_khz;
    uint64_t ns_per_tick;
    uint64_t wall_base_ns;
} clock = {.ns_per_tick = BIT(NS_SHIFT - 2)}; /* 4 GHz before time_init() */

/* One CPU's armed timers. `running` is the one whose function is being called. */
static struct timer_queue {
    struct spinlock lock;
    struct list armed; /* ascending deadlines */
    struct timer *running;
} __attribute__((aligned(64))) queues[CPU_MAX];

/* Fits from TSC_KHZ_MIN on. */
static uint64_t ns_per_tick(uint32_t khz)
{
    return BIT(NS_SHIFT) / khz * NS_PER_MS + BIT(NS_SHIFT) % khz * NS_PER_MS / khz;
}

uint32_t time_tsc_khz(void)
{
    return clock.tsc_khz;
}

uint64_t time_tsc_to_ns(uint64_t ticks)
{
    return (uint64_t)((unsigned __int128)ticks * clock.ns_per_tick >> NS_SHIFT);
}

uint64_t time_ns(void)
{
    return time_tsc_to_ns(rdtsc());
}

uint64_t time_apic_to_ns(uint64_t ticks)
{
    return ticks * NS_PER_MS / clock.apic_khz;
}

uint64_t time_ns_to_apic(uint64_t ns)
{
    return ns * clock.apic_khz / NS_PER_MS;
}

uint64_t time_wall_base_ns(void)
{
    return clock.wall_base_ns;
}

void time_init(const struct bootinfo *bi)
{
    if (bi->tsc_khz < TSC_KHZ_MIN || !bi->apic_khz)
        panic(
            "time: TSC %u kHz, APIC timer %u kHz by the ACPI PM timer: it stands still, or they are too slow",
            bi->tsc_khz, bi->apic_khz);
    clock.tsc_khz = bi->tsc_khz;
    clock.apic_khz = bi->apic_khz;
    clock.ns_per_tick = ns_per_tick(bi->tsc_khz);
    clock.wall_base_ns = bi->wall_base_ns;
    for (unsigned i = 0; i < CPU_MAX; i++)
        list_init(&queues[i].armed);
    log_info("time: TSC %u kHz, APIC timer %u kHz", clock.tsc_khz, clock.apic_khz);
}

/* Sets this CPU's hardware timer; a deadline in the past fires at once. */
static void program(uint64_t deadline_ns)
{
    uint64_t now = time_ns();
    uint64_t count = deadline_ns > now ? time_ns_to_apic(MIN(deadline_ns - now, NS_PER_S)) : 0;

    apic_write(MSR_X2APIC_TIMER_INIT, (uint32_t)MIN(count + 1, UINT32_MAX));
}

static struct timer *first_timer(const struct timer_queue *q)
{
    return list_empty(&q->armed) ? NULL : container_of(q->armed.next, struct timer, link);
}

void timer_init(struct timer *t, void (*fn)(struct timer *t))
{
    *t = (struct timer){.fn = fn};
    list_init(&t->link);
}

/* Takes the timer out of whatever queue it is in. It may be moved on by another CPU while this one waits for
 * the lock. */
static void disarm(struct timer *t)
{
    while (__atomic_load_n(&t->armed, __ATOMIC_ACQUIRE)) {
        unsigned cpu = __atomic_load_n(&t->cpu, __ATOMIC_RELAXED);
        struct timer_queue *q = &queues[cpu];

        spin_lock(&q->lock);
        if (t->armed && t->cpu == cpu) {
            list_del(&t->link);
            __atomic_store_n(&t->armed, false, __ATOMIC_RELEASE);
        }
        spin_unlock(&q->lock);
    }
}

void timer_arm(struct timer *t, uint64_t deadline_ns)
{
    unsigned cpu = cpu_this()->apart ? 0 : cpu_id();
    struct timer_queue *q = &queues[cpu];
    struct list *pos;

    disarm(t);
    spin_lock(&q->lock);
    t->cpu = cpu;
    t->deadline_ns = deadline_ns;
    for (pos = q->armed.prev; pos != &q->armed; pos = pos->prev) {
        if (container_of(pos, struct timer, link)->deadline_ns <= deadline_ns)
            break;
    }
    list_add_before(&t->link, pos->next);
    __atomic_store_n(&t->armed, true, __ATOMIC_RELEASE);
    /* During time_interrupt() the hardware is set once, at its end. */
    if (first_timer(q) == t && !q->running) {
        if (cpu == cpu_id())
            program(deadline_ns);
        else
            apic_send(cpu_get(cpu)->apic_id, ICR_LEVEL_ASSERT | VECTOR_TIMER); /* it programs its own */
    }
    spin_unlock(&q->lock);
}

/* Until `fn` is seen neither armed nor running: while it ran, it may have armed the timer again. */
void timer_cancel(struct timer *t)
{
    do {
        disarm(t);
        for (unsigned i = 0; i < cpu_count(); i++) {
            while (i != cpu_id() && __atomic_load_n(&queues[i].running, __ATOMIC_ACQUIRE) == t)
                __builtin_ia32_pause();
        }
    } while (__atomic_load_n(&t->armed, __ATOMIC_ACQUIRE));
}

void time_interrupt(void)
{
    struct timer_queue *q = &queues[cpu_id()];
    uint64_t now = time_ns();
    struct timer *t;

    spin_lock(&q->lock);
    for (unsigned i = 0; i < TIMERS_AT_ONCE && (t = first_timer(q)) && t->deadline_ns <= now; i++) {
        __atomic_store_n(&q->running, t, __ATOMIC_RELEASE);
        list_del(&t->link);
        __atomic_store_n(&t->armed, false, __ATOMIC_RELEASE);
        spin_unlock(&q->lock);
        t->fn(t);
        spin_lock(&q->lock);
        __atomic_store_n(&q->running, NULL, __ATOMIC_RELEASE);
    }
    t = first_timer(q);
    if (t)
        program(t->deadline_ns);
    spin_unlock(&q->lock);
}
