/* SPDX-License-Identifier: BSD-2-Clause */
/* vm/sched.c on a simulated clock: shares, wake-ups, stealing, and the orders in which a wake-up can meet a
 * vCPU that blocks. */
#include "tests/unit/test.h"

#include "tests/unit/fake/cpu.c"
#include "tests/unit/fake/time.c"

#include "vm/sched.c"

static struct vcpu v[4];

/* What a vCPU does when it runs: computes until it must yield, or for `burst_ns` and then blocks. */
static struct {
    uint64_t burst_ns; /* 0: never blocks */
    enum vcpu_state end;
    void (*before_return)(struct vcpu *v);
} plan[4];

static unsigned left[4], last_cpu[4];

void vm_vcpu_left(struct vcpu *x)
{
    left[x - v]++;
}

enum vcpu_state vcpu_run(struct vcpu *x)
{
    unsigned i = (unsigned)(x - v);
    uint64_t began = fake_now_ns;

    CHECK_EQ(x->state, VCPU_RUNNING);
    CHECK_EQ(x->cpu, cpu_id());
    last_cpu[i] = x->cpu;
    for (;;) {
        fake_time_advance(100 * NS_PER_US); /* to the next exit */
        if (plan[i].burst_ns && fake_now_ns - began >= plan[i].burst_ns) {
            if (plan[i].before_return)
                plan[i].before_return(x);
            return plan[i].end;
        }
        if (sched_must_yield(x))
            return VCPU_READY;
        if (fake_now_ns - began > 50 * NS_PER_MS)
            return VCPU_READY; /* alone: let the test look in */
    }
}

static void setup(unsigned cpus)
{
    memset(runqs, 0, sizeof(runqs));
    memset(v, 0, sizeof(v));
    memset(plan, 0, sizeof(plan));
    memset(left, 0, sizeof(left));
    memset(fake_kicks, 0, sizeof(fake_kicks));
    list_init(&fake_timers);
    idle_cpus = 0;
    fake_idles = 0;
    fake_cpu_count = cpus;
    fake_time_step_ns = 0;
    fake_this_cpu(0);
    sched_init();
    for (unsigned i = 0; i < 4; i++) {
        v[i].cpus = BIT(0);
        plan[i].end = VCPU_BLOCKED;
        sched_vcpu_init(&v[i]);
    }
}

static double share(unsigned i, uint64_t since)
{
    return (double)v[i].run_ns / (double)(fake_now_ns - since);
}

TEST(two_hogs_get_half_each)
{
    uint64_t since;

    setup(1);
    since = fake_now_ns;
    sched_wake(&v[0]);
    sched_wake(&v[1]);
    for (unsigned i = 0; i < 1000; i++)
        sched_turn(0);
    CHECK(share(0, since) > 0.45 && share(0, since) < 0.55);
    CHECK(share(1, since) > 0.45 && share(1, since) < 0.55);
}

TEST(who_had_less_goes_first)
{
    setup(1);
    plan[0].burst_ns = 3 * NS_PER_MS;
    plan[1].burst_ns = NS_PER_MS;
    for (unsigned i = 0; i < 2; i++) {
        sched_wake(&v[i]);
        sched_turn(0);
    }
    CHECK_EQ(v[0].vruntime_ns, 3 * NS_PER_MS);
    sched_wake(&v[0]);
    sched_wake(&v[1]);
    CHECK(runqs[0].ready.next == &v[1].runq);
}

TEST(a_slice_is_5_ms)
{
    uint64_t began;

    setup(1);
    sched_wake(&v[0]);
    sched_wake(&v[1]);
    began = fake_now_ns;
    sched_turn(0);
    CHECK(fake_now_ns - began >= 5 * NS_PER_MS && fake_now_ns - began < 6 * NS_PER_MS);
}

TEST(one_alone_is_not_interrupted)
{
    setup(1);
    sched_wake(&v[0]);
    sched_turn(0);
    CHECK(v[0].run_ns > 50 * NS_PER_MS);
    CHECK_EQ(fake_idles, 0);
}

TEST(after_a_monopoly_the_other_gets_no_more_than_a_slice_of_credit)
{
    uint64_t since, before;

    setup(1);
    sched_wake(&v[0]);
    for (unsigned i = 0; i < 40; i++)
        sched_turn(0); /* two seconds alone */
    sched_wake(&v[1]); /* slept all the time */
    since = fake_now_ns;
    before = v[0].run_ns;
    for (unsigned i = 0; i < 100; i++)
        sched_turn(0);
    CHECK(share(1, since) > 0.45 && share(1, since) < 0.55);
    CHECK(v[0].run_ns - before > 200 * NS_PER_MS);
}

static void wake_1_soon(struct timer *t)
{
    (void)t;
    sched_wake(&v[1]);
}

TEST(a_sleeper_preempts_a_hog)
{
    struct timer t;
    uint64_t woke;

    setup(1);
    plan[1].burst_ns = 100 * NS_PER_US;
    sched_wake(&v[0]);
    sched_turn(0);
    timer_init(&t, wake_1_soon);
    timer_arm(&t, fake_now_ns + 2 * NS_PER_MS);
    woke = fake_now_ns + 2 * NS_PER_MS;
    sched_turn(0); /* the hog, until the other wakes in the midst of its slice */
    CHECK(fake_now_ns - woke <= 200 * NS_PER_US);
    CHECK_EQ(fake_kicks[0], 2);
    sched_turn(0);
    CHECK(v[1].run_ns > 0);
    CHECK_EQ(v[1].state, VCPU_BLOCKED);
}

TEST(a_hog_that_wakes_another_hog_goes_on)
{
    setup(1);
    sched_wake(&v[0]);
    sched_wake(&v[1]);
    v[1].vruntime_ns = v[0].vruntime_ns;
    sched_turn(0);
    CHECK(v[0].run_ns >= 5 * NS_PER_MS); /* equals do not preempt each other */
}

static void request_late(struct vcpu *x)
{
    __atomic_fetch_or(&x->requests, VCPU_REQ_EVENT,
                      __ATOMIC_SEQ_CST); /* saw RUNNING: its kick finds nobody */
}

TEST(a_request_just_before_the_state_is_not_lost)
{
    setup(1);
    plan[0].burst_ns = 1;
    plan[0].before_return = request_late;
    sched_wake(&v[0]);
    sched_turn(0);
    CHECK_EQ(v[0].state, VCPU_READY);
    plan[0].before_return = NULL;
    v[0].requests = 0;
    sched_turn(0);
    CHECK_EQ(v[0].state, VCPU_BLOCKED);
    sched_wake(&v[0]); /* the other order: after the state */
    CHECK_EQ(v[0].state, VCPU_READY);
}

TEST(waking_twice_queues_once)
{
    setup(1);
    plan[0].burst_ns = 1;
    sched_wake(&v[0]);
    sched_wake(&v[0]);
    sched_turn(0);
    CHECK_EQ(v[0].state, VCPU_BLOCKED);
    sched_turn(0);
    CHECK_EQ(fake_idles, 1);
}

TEST(off_is_reported)
{
    setup(1);
    plan[0].burst_ns = 1;
    plan[0].end = VCPU_OFF;
    sched_wake(&v[0]);
    sched_turn(0);
    CHECK_EQ(v[0].state, VCPU_OFF);
    CHECK_EQ(left[0], 1);
}

static void idle(unsigned cpu)
{
    fake_this_cpu(cpu);
    sched_turn(cpu);
    CHECK(idle_cpus & BIT(cpu));
}

TEST(a_woken_one_goes_to_an_idle_cpu_of_its_mask)
{
    setup(4);
    v[0].cpus = BIT(0) | BIT(2);
    v[0].cpu = 0;
    idle(1);
    idle(2);
    sched_wake(&v[0]);
    CHECK_EQ(v[0].cpu, 2);
    CHECK_EQ(fake_kicks[2], 1);
    CHECK(!(idle_cpus & BIT(2)));
    plan[0].burst_ns = 1;
    fake_this_cpu(2);
    sched_turn(2);
    CHECK_EQ(last_cpu[0], 2);
}

TEST(an_idle_cpu_steals_what_it_may_run)
{
    setup(2);
    v[1].cpus = BIT(0) | BIT(1);
    v[1].cpu = 0;
    sched_wake(&v[0]);
    sched_wake(&v[1]);
    plan[1].burst_ns = 1;
    fake_this_cpu(1);
    sched_turn(1);
    CHECK_EQ(last_cpu[1], 1);
    CHECK(v[1].run_ns > 0);
    sched_turn(1); /* v[0] is pinned to CPU 0 */
    CHECK_EQ(v[0].run_ns, 0);
    CHECK_EQ(fake_idles, 1);
}

TEST(vcpus_are_spread_when_they_are_made)
{
    unsigned on[4] = {0};

    setup(4);
    memset(runqs, 0, sizeof(runqs));
    sched_init();
    for (unsigned i = 0; i < 4; i++) {
        v[i].cpus = 0xf;
        sched_vcpu_init(&v[i]);
        on[v[i].cpu]++;
    }
    for (unsigned i = 0; i < 4; i++)
        CHECK_EQ(on[i], 1);
}

TEST(run_time_moves_between_cpus_by_its_distance)
{
    setup(2);
    runqs[0].floor = 1000 * NS_PER_MS;
    runqs[1].floor = 10 * NS_PER_MS;
    v[0].cpu = 0;
    v[0].vruntime_ns = 1003 * NS_PER_MS;
    move_to(&v[0], 1);
    CHECK_EQ(v[0].vruntime_ns, 13 * NS_PER_MS);
}

TEST(the_present_turn_counts)
{
    setup(1);
    begin(&runqs[0], &v[0], 0);
    fake_now_ns += 3 * NS_PER_S;
    CHECK(sched_run_ns(&v[0]) >= 3 * NS_PER_S && sched_run_ns(&v[0]) < 3 * NS_PER_S + NS_PER_MS);
    CHECK_EQ(v[0].run_ns, 0);
    end(&runqs[0], &v[0], VCPU_BLOCKED);
    fake_now_ns += NS_PER_S;
    CHECK_EQ(sched_run_ns(&v[0]), v[0].run_ns);
    CHECK_EQ(sched_run_ns(&v[1]), 0);
}

TEST(what_is_forgiven_is_not_charged)
{
    setup(1);
    begin(&runqs[0], &v[0], 0);
    fake_now_ns += 300 * NS_PER_MS;
    sched_forgive(&v[0]);
    fake_now_ns += NS_PER_MS;
    end(&runqs[0], &v[0], VCPU_BLOCKED);
    CHECK_EQ(v[0].vruntime_ns, NS_PER_MS);
    CHECK_EQ(v[0].run_ns, 301 * NS_PER_MS);
}

TEST_MAIN()
