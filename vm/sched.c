/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A queue per CPU, ordered by virtual run time. A CPU's `floor` only grows, with the least run time of those
 * it serves; who wakes up is put at most one slice before it, so sleep earns a quick start but no store of
 * time.
 *
 * A vCPU's state changes hands like this: only the CPU that runs it takes it from RUNNING to READY, BLOCKED
 * or OFF; whoever wins the compare-and-swap takes it from BLOCKED or OFF to READY and queues it; whoever
 * takes it off a queue makes it RUNNING. Queue locks are leaves.
 */
#include "vm/sched.h"
#include "kernel/cpu/cpu.h"
#include "kernel/lib/spinlock.h"
#include "vm/vcpu.h"
#include "vm/vm.h"

#define SLICE_NS  (5 * NS_PER_MS)
#define MARGIN_NS (1 * NS_PER_MS) /* a wake-up preempts one that has had so much more */

struct runq {
    struct spinlock lock;
    struct list ready; /* of vcpu->runq, least vruntime first */
    struct vcpu *current;
    uint64_t start_ns; /* when current began */
    uint64_t floor;
    unsigned homes;     /* vCPUs that were placed here when they were made */
    bool preempt;       /* somebody who deserves the CPU more has come */
    struct timer slice; /* its interrupt brings the CPU out of the guest; sched_must_yield() decides */
};

static struct runq runqs[CPU_MAX];
static uint64_t idle_cpus; /* atomic mask: CPUs that found nothing to run */

static void slice_over(UNUSED struct timer *t)
{
}

void sched_init(void)
{
    for (struct runq *q = runqs; q < runqs + CPU_MAX; q++) {
        list_init(&q->ready);
        timer_init(&q->slice, slice_over);
    }
}

/* It begins where the fewest were placed before. */
void sched_vcpu_init(struct vcpu *v)
{
    list_init(&v->runq);
    v->state = VCPU_OFF;
    v->cpu = (unsigned)__builtin_ctzll(v->cpus);
    for (unsigned i = v->cpu + 1; i < cpu_count(); i++)
        if ((v->cpus & BIT(i)) && runqs[i].homes < runqs[v->cpu].homes)
            v->cpu = i;
    runqs[v->cpu].homes++;
    v->vruntime_ns = __atomic_load_n(&runqs[v->cpu].floor, __ATOMIC_RELAXED);
}

/* Run times are compared by their distance: floors start anywhere. */
static bool less(uint64_t a, uint64_t b)
{
    return (int64_t)(a - b) < 0;
}

static void insert(struct runq *q, struct vcpu *v)
{
    struct list *pos = q->ready.next;

    while (pos != &q->ready && !less(v->vruntime_ns, container_of(pos, struct vcpu, runq)->vruntime_ns))
        pos = pos->next;
    list_add_before(&v->runq, pos);
}

/* With a vCPU on the CPU. */
static void raise_floor(struct runq *q)
{
    const struct vcpu *first = container_of(q->ready.next, struct vcpu, runq);
    uint64_t least = q->current->vruntime_ns;

    if (!list_empty(&q->ready) && less(first->vruntime_ns, least))
        least = first->vruntime_ns;
    if (less(q->floor, least))
        __atomic_store_n(&q->floor, least, __ATOMIC_RELAXED);
}

/* Run time that means on CPU `to` what it meant on the vCPU's last one. */
static void move_to(struct vcpu *v, unsigned to)
{
    if (v->cpu == to)
        return;
    v->vruntime_ns += __atomic_load_n(&runqs[to].floor, __ATOMIC_RELAXED) -
                      __atomic_load_n(&runqs[v->cpu].floor, __ATOMIC_RELAXED);
    v->cpu = to;
}

/* Takes one CPU out of the idle mask; false if somebody else was faster. */
static bool claim_idle(unsigned cpu)
{
    return __atomic_fetch_and(&idle_cpus, ~BIT(cpu), __ATOMIC_SEQ_CST) & BIT(cpu);
}

/* An idle CPU that the vCPU may use, its last one first; otherwise its last one. */
static unsigned choose_cpu(const struct vcpu *v)
{
    uint64_t idle = __atomic_load_n(&idle_cpus, __ATOMIC_SEQ_CST) & v->cpus;

    if ((idle & BIT(v->cpu)) && claim_idle(v->cpu))
        return v->cpu;
    for (; idle != 0; idle &= idle - 1) {
        unsigned cpu = (unsigned)__builtin_ctzll(idle);

        if (claim_idle(cpu))
            return cpu;
    }
    return v->cpu;
}

/* Queues a vCPU that was asleep, and makes the CPU look. */
static void enqueue_woken(struct vcpu *v)
{
    unsigned cpu = choose_cpu(v);
    struct runq *q = &runqs[cpu];

    spin_lock(&q->lock);
    move_to(v, cpu);
    if (less(v->vruntime_ns, q->floor - SLICE_NS))
        v->vruntime_ns = q->floor - SLICE_NS;
    insert(q, v);
    if (q->current)
        q->preempt |= less(v->vruntime_ns + MARGIN_NS, q->current->vruntime_ns + (time_ns() - q->start_ns));
    spin_unlock(&q->lock);
    /* Also to this very CPU: its vCPU then leaves the guest at once and sched_must_yield() is asked. */
    cpu_kick(cpu);
}

static bool become_ready(struct vcpu *v, enum vcpu_state from)
{
    return __atomic_compare_exchange_n(&v->state, &from, VCPU_READY, false, __ATOMIC_SEQ_CST,
                                       __ATOMIC_SEQ_CST);
}

void sched_wake(struct vcpu *v)
{
    if (become_ready(v, VCPU_BLOCKED) || become_ready(v, VCPU_OFF))
        enqueue_woken(v);
}

bool sched_must_yield(const struct vcpu *v)
{
    struct runq *q = &runqs[v->cpu];
    uint64_t now = time_ns();
    spin_guard(&q->lock);

    if (list_empty(&q->ready))
        return false;
    if (q->preempt || now >= v->slice_end_ns)
        return true;
    if (!q->slice.armed)
        timer_arm(&q->slice, v->slice_end_ns);
    return false;
}

/* Takes the next vCPU for this CPU off a queue; NULL if there is none that may run here. */
static struct vcpu *take(struct runq *q, unsigned cpu)
{
    spin_guard(&q->lock);

    list_for_each(pos, &q->ready)
    {
        struct vcpu *v = container_of(pos, struct vcpu, runq);

        if (v->cpus & BIT(cpu)) {
            list_del(&v->runq);
            return v;
        }
    }
    return NULL;
}

/* From this CPU's own queue, or from the next one that has somebody for it. */
static struct vcpu *find(unsigned cpu)
{
    struct vcpu *v = NULL;

    for (unsigned i = 0; i < cpu_count() && !v; i++)
        v = take(&runqs[(cpu + i) % cpu_count()], cpu);
    return v;
}

static void begin(struct runq *q, struct vcpu *v, unsigned cpu)
{
    spin_guard(&q->lock);

    move_to(v, cpu);
    q->current = v;
    q->preempt = false;
    q->start_ns = time_ns();
    raise_floor(q);
    v->slice_end_ns = q->start_ns + SLICE_NS;
    __atomic_store_n(&v->state, VCPU_RUNNING, __ATOMIC_SEQ_CST);
    if (!list_empty(&q->ready))
        timer_arm(&q->slice, v->slice_end_ns);
}

/* Charges the time, and lets the vCPU go into its new state; from then on others may run it. */
static void end(struct runq *q, struct vcpu *v, enum vcpu_state next)
{
    uint64_t ran = time_ns() - q->start_ns;
    spin_guard(&q->lock);

    v->run_ns += ran;
    v->vruntime_ns += ran;
    raise_floor(q);
    q->current = NULL;
    __atomic_store_n(&v->state, next, __ATOMIC_SEQ_CST);
    if (next == VCPU_READY)
        insert(q, v);
}

uint64_t sched_run_ns(const struct vcpu *v)
{
    struct runq *q = &runqs[v->cpu];
    spin_guard(&q->lock);

    return v->run_ns + (q->current == v ? time_ns() - q->start_ns : 0);
}

void sched_forgive(struct vcpu *v)
{
    struct runq *q = &runqs[v->cpu];
    spin_guard(&q->lock);

    v->vruntime_ns -= time_ns() - q->start_ns;
}

/* One turn of a CPU's life. */
static void sched_turn(unsigned cpu)
{
    struct runq *q = &runqs[cpu];
    enum vcpu_state next;
    struct vcpu *v = find(cpu);

    if (!v) {
        /* Announce first, then look again: who queued before the mask was seen did not know that this CPU is
         * free. */
        __atomic_fetch_or(&idle_cpus, BIT(cpu), __ATOMIC_SEQ_CST);
        v = find(cpu);
    }
    if (!v) {
        cpu_idle();
        return;
    }
    claim_idle(cpu);
    begin(q, v, cpu);
    next = vcpu_run(v);
    end(q, v, next);
    if (next == VCPU_OFF)
        vm_vcpu_left(v);
    else if (next == VCPU_BLOCKED && __atomic_load_n(&v->requests, __ATOMIC_SEQ_CST) != 0)
        sched_wake(v); /* a request that came before the state was announced saw RUNNING, and woke nobody */
}

_Noreturn void sched_loop(void)
{
    for (;;)
        sched_turn(cpu_id());
}
