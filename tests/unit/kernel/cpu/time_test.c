/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/test.h"

#include "tests/unit/fake/cpu.c"
#include "tests/unit/fake/log.c"

#include "kernel/cpu/time.c"

static uint32_t apic_init; /* what was last written to the APIC timer */

static void board_wrmsr(uint32_t msr, uint64_t v)
{
    if (msr == MSR_X2APIC_TIMER_INIT)
        apic_init = (uint32_t)v;
}

static void board(uint32_t tsc_khz, uint32_t apic_khz)
{
    const struct bootinfo bi = {.tsc_khz = tsc_khz, .apic_khz = apic_khz, .wall_base_ns = 995 * NS_PER_S};

    fake_wrmsr = board_wrmsr;
    fake_tsc = 123456789;
    fake_this_cpu(0);
    time_init(&bi);
}

static uint64_t distance(uint64_t a, uint64_t b)
{
    return a > b ? a - b : b - a;
}

TEST(before_its_start_the_clock_only_lags)
{
    fake_tsc = 8000000000;
    CHECK_EQ(time_ns(), 2 * NS_PER_S);
}

TEST(what_was_not_measured_panics)
{
    static const struct bootinfo none = {.tsc_khz = 0}, no_apic = {.tsc_khz = 1000000},
                                 slow = {.tsc_khz = TSC_KHZ_MIN - 1, .apic_khz = 1};

    CHECK(FAKE_EXPECT_PANIC(time_init(&none)));
    CHECK(FAKE_EXPECT_PANIC(time_init(&no_apic)));
    CHECK(FAKE_EXPECT_PANIC(time_init(&slow)));
    CHECK(strstr(fake_panic_text, "249999 kHz") != NULL);
}

TEST(what_boot_says_is_taken_over)
{
    board(2445423, 1000000);
    CHECK_EQ(time_tsc_khz(), 2445423);
    CHECK_EQ(time_wall_base_ns(), 995 * NS_PER_S);
    fake_tsc = 2445423;
    CHECK(distance(time_ns(), NS_PER_MS) < 4);
    for (unsigned i = 0; i < CPU_MAX; i++)
        CHECK(list_empty(&queues[i].armed));
}

static const uint64_t rates[] = {800000, 999999, 1000000, 2445423, 3000001, 4999999};

TEST(conversions_are_exact_to_4_ns_for_a_century)
{
    const uint64_t century = 100ull * 366 * 86400 * NS_PER_S;

    for (unsigned i = 0; i < ARRAY_SIZE(rates); i++) {
        clock.ns_per_tick = ns_per_tick((uint32_t)rates[i]);
        for (uint64_t ns = 1; ns < century; ns = ns * 3 + 1) {
            uint64_t tsc = (uint64_t)((unsigned __int128)ns * rates[i] / 1000000);

            CHECK(distance(time_tsc_to_ns(tsc), (uint64_t)((unsigned __int128)tsc * 1000000 / rates[i])) <=
                  4);
        }
    }
}

static struct timer timers[40];
static unsigned order[64], fired;
static void (*in_timer)(struct timer *t);

static void note(struct timer *t)
{
    CHECK(!t->armed);
    order[fired++ % 64] = (unsigned)(t - timers);
    if (in_timer)
        in_timer(t);
}

/* 1 GHz, so that the TSC is the time in nanoseconds. */
static void timers_start(void)
{
    board(1000000, 1000000);
    fake_tsc = 1000;
    fired = 0;
    in_timer = NULL;
    for (unsigned i = 0; i < 40; i++)
        timer_init(&timers[i], note);
}

TEST(timers_fire_in_order_and_not_early)
{
    static const unsigned at[] = {500, 100, 300, 300, 200, 400};

    timers_start();
    for (unsigned i = 0; i < 6; i++)
        timer_arm(&timers[i], 1000 + at[i]);
    CHECK_EQ(apic_init, 100 + 1);
    fake_tsc = 1099;
    time_interrupt();
    CHECK_EQ(fired, 0);
    fake_tsc = 1300;
    time_interrupt();
    CHECK_EQ(fired, 4);
    CHECK(order[0] == 1 && order[1] == 4 && order[2] == 2 && order[3] == 3);
    CHECK_EQ(apic_init, 100 + 1);
    fake_tsc = 9999;
    time_interrupt();
    CHECK_EQ(fired, 6);
    CHECK(order[4] == 5 && order[5] == 0);
}

TEST(a_deadline_in_the_past_fires_at_once)
{
    timers_start();
    timer_arm(&timers[0], 5);
    CHECK_EQ(apic_init, 1);
    timer_arm(&timers[1], 3);
    CHECK_EQ(apic_init, 1);
    time_interrupt();
    CHECK_EQ(fired, 2);
    CHECK_EQ(order[0], 1);
}

TEST(far_deadlines_stay_in_the_counter)
{
    timers_start();
    timer_arm(&timers[0], 1000 * NS_PER_S);
    CHECK_EQ(apic_init, NS_PER_S + 1);
    clock.apic_khz = 40000000;
    timer_arm(&timers[0], 1000 * NS_PER_S);
    CHECK_EQ(apic_init, UINT32_MAX);
    timer_arm(&timers[0], UINT64_MAX);
    CHECK_EQ(apic_init, UINT32_MAX);
}

TEST(arming_again_moves_a_timer)
{
    timers_start();
    timer_arm(&timers[0], 2000);
    timer_arm(&timers[1], 3000);
    timer_arm(&timers[0], 4000);
    fake_tsc = 3500;
    time_interrupt();
    CHECK_EQ(fired, 1);
    CHECK_EQ(order[0], 1);
    fake_this_cpu(2);
    timer_arm(&timers[0], 4000); /* moves to this CPU */
    CHECK_EQ(timers[0].cpu, 2);
    fake_this_cpu(0);
    fake_tsc = 5000;
    time_interrupt();
    CHECK_EQ(fired, 1);
    fake_this_cpu(2);
    time_interrupt();
    CHECK_EQ(fired, 2);
}

TEST(cancelled_timers_do_not_fire)
{
    timers_start();
    for (unsigned i = 0; i < 5; i++)
        timer_arm(&timers[i], 2000 + i);
    fake_this_cpu(1);
    timer_cancel(&timers[0]);
    timer_cancel(&timers[3]);
    timer_cancel(&timers[3]);
    timer_cancel(&timers[9]);
    fake_this_cpu(0);
    fake_tsc = 3000;
    time_interrupt();
    CHECK_EQ(fired, 3);
    CHECK(order[0] == 1 && order[1] == 2 && order[2] == 4);
    timer_cancel(&timers[1]);
}

static void arm_now(struct timer *t)
{
    timer_arm(t, 1);
}

TEST(a_timer_that_always_re_arms_does_not_keep_the_cpu)
{
    timers_start();
    in_timer = arm_now;
    timer_arm(&timers[0], 1);
    time_interrupt();
    CHECK_EQ(fired, TIMERS_AT_ONCE);
    CHECK(timers[0].armed);
    CHECK_EQ(apic_init, 1); /* the rest comes with the next interrupt */
    timer_cancel(&timers[0]);
}

static void cancel_next(struct timer *t)
{
    timer_cancel(t + 1);
    timer_cancel(t);
}

TEST(a_timer_may_cancel_others_and_itself)
{
    timers_start();
    in_timer = cancel_next;
    timer_arm(&timers[0], 1);
    timer_arm(&timers[1], 2);
    timer_arm(&timers[2], 3);
    time_interrupt();
    CHECK_EQ(fired, 2);
    CHECK_EQ(order[1], 2);
}

TEST(random_arms_and_cancels_fire_what_is_left_sorted)
{
    uint64_t seed = 7;

    timers_start();
    for (unsigned round = 0; round < 300; round++) {
        uint64_t want = 0, last = 0;

        fired = 0;
        for (unsigned i = 0; i < 200; i++) {
            unsigned n = (unsigned)((seed = seed * 6364136223846793005 + 1442695040888963407) >> 33) % 40;

            if (seed >> 62)
                timer_arm(&timers[n], fake_tsc + 1 + (seed >> 40) % 1000);
            else
                timer_cancel(&timers[n]);
        }
        for (unsigned i = 0; i < 40; i++)
            want += timers[i].armed;
        fake_tsc += 2000;
        for (unsigned i = 0; i < 3; i++)
            time_interrupt();
        CHECK_EQ(fired, want);
        for (unsigned i = 0; i < fired; i++) {
            CHECK(timers[order[i]].deadline_ns >= last);
            last = timers[order[i]].deadline_ns;
        }
    }
}

static uint64_t sent_icr;

static void catch_icr(uint32_t msr, uint64_t v)
{
    if (msr == MSR_X2APIC_ICR)
        sent_icr = v;
    else
        board_wrmsr(msr, v);
}

static struct timer borrowed;
static unsigned borrowed_fired;

static void borrowed_fn(struct timer *t)
{
    CHECK(t == &borrowed);
    borrowed_fired++;
}

TEST(the_boot_cpu_runs_the_timers_of_one_that_is_set_apart)
{
    board(2000000, 1000000);
    fake_wrmsr = catch_icr;
    cpu_set_apart(2);
    timer_init(&borrowed, borrowed_fn);
    fake_this_cpu(2);
    apic_init = 0;
    timer_arm(&borrowed, time_ns() + NS_PER_MS);
    CHECK_EQ(apic_init, 0); /* that timer is not ours */
    CHECK_EQ(sent_icr, ICR_LEVEL_ASSERT | VECTOR_TIMER);
    CHECK_EQ(borrowed.cpu, 0);
    fake_this_cpu(0);
    time_interrupt(); /* it is early, and sets the boot CPU's own */
    CHECK_EQ(borrowed_fired, 0);
    CHECK(apic_init > 900000 && apic_init < 1000100);
    fake_tsc += 2000000;
    time_interrupt();
    CHECK_EQ(borrowed_fired, 1);
    fake_cpus[2].apart = false;
}

TEST(apic_ticks)
{
    board(2000000, 62500);
    CHECK(distance(time_apic_to_ns(62500), NS_PER_MS) < NS_PER_US);
    CHECK(distance(time_ns_to_apic(NS_PER_MS), 62500) < 63);
    CHECK(distance(time_apic_to_ns((uint64_t)1 << 39), ((uint64_t)1 << 39) * 16) < ((uint64_t)1 << 39) / 50);
}

TEST_MAIN()
