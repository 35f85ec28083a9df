/* SPDX-License-Identifier: BSD-2-Clause */
#include "kernel/cpu/time.h"
#include "kernel/console/log.h"
#include "kernel/cpu/irq.h"
#include "kernel/cpu/setup.h"
#include "kernel/lib/spinlock.h"

#define PM_TIMER_HZ    3579545 /* ACPI 6.5 section 4.8.3.3 */
#define PM_TIMER_MASK  GENMASK32(23, 0)
#define TSC_PATIENCE   2000000000 /* ticks: several times the measurement on any processor */
#define MEASURE_PER_S  20         /* the measurement takes a 20th of a second */
#define BRACKETS       8          /* tries for a sample that nothing interrupted */
#define TIMERS_AT_ONCE 16 /* per interrupt: a timer that always re-arms for now must not keep the CPU */

/* x * mult / 2^shift with mult's top bit set: exact to 1 in 2^63. */
struct scale {
    uint64_t mult;
    unsigned shift;
};

static struct {
    uint32_t tsc_khz;
    struct scale tsc_to_ns, ns_to_apic;
    uint64_t wall_base_ns;
} clock = {.tsc_to_ns = {(uint64_t)1 << 63, 65}}; /* 4 GHz until it is measured */

/* One CPU's armed timers. `running` is the one whose function is being called. */
static struct timer_queue {
    struct spinlock lock;
    struct list armed; /* ascending deadlines */
    struct timer *running;
} __attribute__((aligned(64))) queues[CPU_MAX];

static uint64_t scale_apply(struct scale s, uint64_t x)
{
    return (uint64_t)((unsigned __int128)x * s.mult >> s.shift);
}

/* The scale by num / den, rounded down; long division, as the TCB has no 128-bit one. den < 2^63. */
static struct scale scale_make(uint64_t num, uint64_t den)
{
    struct scale s = {num / den, 0};
    uint64_t rest = num % den;

    for (; !(s.mult & BIT(63)); s.shift++) {
        rest <<= 1;
        s.mult = s.mult << 1 | (rest >= den);
        rest -= rest >= den ? den : 0;
    }
    return s;
}

uint32_t time_tsc_khz(void)
{
    return clock.tsc_khz;
}

uint64_t time_tsc_to_ns(uint64_t ticks)
{
    return scale_apply(clock.tsc_to_ns, ticks);
}

uint64_t time_ns(void)
{
    return time_tsc_to_ns(rdtsc());
}

uint64_t time_wall_base_ns(void)
{
    return clock.wall_base_ns;
}

void time_set_wall(const struct bootinfo *bi)
{
    if (bi->wall_seconds)
        clock.wall_base_ns = bi->wall_seconds * NS_PER_S - time_tsc_to_ns(bi->tsc_wall);
}

/* The three clocks at one moment. */
struct sample {
    uint64_t tsc;
    uint32_t pm, apic;
};

/* Of some tries, the one during which least time passed: an SMI or a busy host falls between the reads of the
 * others. */
static struct sample take_sample(uint16_t port)
{
    struct sample best = {0};
    uint64_t shortest = UINT64_MAX;

    for (unsigned i = 0; i < BRACKETS; i++) {
        uint64_t before = rdtsc();
        struct sample s = {.pm = inl(port) & PM_TIMER_MASK};

        s.tsc = rdtsc();
        s.apic = (uint32_t)rdmsr(MSR_X2APIC_TIMER_COUNT);
        if (s.tsc - before < shortest) {
            shortest = s.tsc - before;
            s.tsc = before + shortest / 2;
            best = s;
        }
    }
    return best;
}

/* Lets a part of a second pass by the PM timer; a TSC that has gone on too far meanwhile tells that it stands
 * still. */
static void pm_timer_wait(uint16_t port, const struct sample *start)
{
    while (((inl(port) - start->pm) & PM_TIMER_MASK) < PM_TIMER_HZ / MEASURE_PER_S)
        if (rdtsc() - start->tsc > TSC_PATIENCE)
            panic("time: the ACPI PM timer at port %#x stands still", port);
}

void time_init(uint16_t pm_timer_port)
{
    struct sample start, end;
    uint64_t ticks, tsc_hz, apic_hz;

    if (!pm_timer_port)
        panic("time: there is no ACPI PM timer to measure the TSC against");
    wrmsr(MSR_X2APIC_TIMER_DIVIDE, TIMER_DIVIDE_BY_1);
    wrmsr(MSR_X2APIC_LVT_TIMER, LVT_MASKED);
    wrmsr(MSR_X2APIC_TIMER_INIT, UINT32_MAX);
    start = take_sample(pm_timer_port);
    pm_timer_wait(pm_timer_port, &start);
    end = take_sample(pm_timer_port);
    wrmsr(MSR_X2APIC_TIMER_INIT, 0);
    ticks = (end.pm - start.pm) & PM_TIMER_MASK;
    tsc_hz = (end.tsc - start.tsc) * PM_TIMER_HZ / ticks;
    apic_hz = (uint64_t)(start.apic - end.apic) * PM_TIMER_HZ / ticks;
    if (!apic_hz)
        panic("time: the local APIC's timer stands still");
    clock.tsc_khz = (uint32_t)(tsc_hz / 1000);
    clock.ns_to_apic = scale_make(apic_hz, NS_PER_S);
    clock.tsc_to_ns = scale_make(1000000, clock.tsc_khz);
    time_init_this();
    log_info("time: TSC %u kHz, APIC timer %lu kHz", clock.tsc_khz, apic_hz / 1000);
}

void time_init_this(void)
{
    list_init(&queues[cpu_id()].armed);
    wrmsr(MSR_X2APIC_TIMER_DIVIDE, TIMER_DIVIDE_BY_1);
    wrmsr(MSR_X2APIC_LVT_TIMER, VECTOR_TIMER); /* one-shot */
}

/* Sets this CPU's hardware timer; a deadline in the past fires at once. */
static void program(uint64_t deadline_ns)
{
    uint64_t now = time_ns();
    uint64_t count = deadline_ns > now ? scale_apply(clock.ns_to_apic, MIN(deadline_ns - now, NS_PER_S)) : 0;

    wrmsr(MSR_X2APIC_TIMER_INIT, MIN(count + 1, UINT32_MAX));
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
    struct timer_queue *q = &queues[cpu_id()];
    struct list *pos;

    disarm(t);
    spin_lock(&q->lock);
    t->cpu = cpu_id();
    t->deadline_ns = deadline_ns;
    for (pos = q->armed.prev; pos != &q->armed; pos = pos->prev) {
        if (container_of(pos, struct timer, link)->deadline_ns <= deadline_ns)
            break;
    }
    list_add_before(&t->link, pos->next);
    __atomic_store_n(&t->armed, true, __ATOMIC_RELEASE);
    /* During time_interrupt() the hardware is set once, at its end. */
    if (first_timer(q) == t && !q->running)
        program(deadline_ns);
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
