/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/test.h"

#include "tests/unit/fake/x86.h"

#include "boot/clock.c"

/* A machine whose TSC moves by `step` at each access of a timer; PM and APIC timers follow it. */
static uint64_t tsc_hz, apic_hz, step, pm_reads, tsc_at_load, apic_base;
static bool pm_dead;
static uint32_t apic_init; /* what was last written to the APIC timer */
static struct bootinfo info;

static uint32_t board_in(uint16_t port, unsigned size)
{
    CHECK_EQ(port, 0x608);
    CHECK_EQ(size, 4);
    pm_reads++;
    fake_tsc += step;
    return pm_dead ? 7 : (uint32_t)((unsigned __int128)fake_tsc * PM_TIMER_HZ / tsc_hz) | 0xff000000;
}

static uint64_t board_rdmsr(uint32_t msr)
{
    if (msr == MSR_APIC_BASE)
        return apic_base;
    CHECK_EQ(msr, MSR_X2APIC_TIMER_COUNT);
    return apic_init - (uint32_t)((unsigned __int128)(fake_tsc - tsc_at_load) * apic_hz / tsc_hz);
}

static void board_wrmsr(uint32_t msr, uint64_t v)
{
    if (msr == MSR_APIC_BASE)
        CHECK_EQ(v, apic_base | APIC_BASE_EN);
    if (msr == MSR_X2APIC_TIMER_INIT) {
        apic_init = (uint32_t)v;
        tsc_at_load = fake_tsc;
    }
}

static void board(uint64_t tsc, uint64_t apic, uint64_t tsc_step)
{
    fake_in = board_in;
    fake_rdmsr = board_rdmsr;
    fake_wrmsr = board_wrmsr;
    tsc_hz = tsc;
    apic_hz = apic;
    step = tsc_step;
    pm_dead = false;
    pm_reads = 0;
    fake_tsc = 123456789;
    apic_base = 0xfee00000 | APIC_BASE_EXTD;
    info = (struct bootinfo){0};
}

static uint64_t distance(uint64_t a, uint64_t b)
{
    return a > b ? a - b : b - a;
}

TEST(frequencies_are_measured_against_the_pm_timer)
{
    static const uint64_t hz[] = {800000000, 1000000000, 2445423000, 4999999000};

    for (unsigned i = 0; i < 4; i++) {
        board(hz[i], 1000000000, 2000);
        clock_measure(0x608, &info);
        CHECK(distance(info.tsc_khz * 1000ull, hz[i]) < hz[i] / 50000);
        CHECK(distance(info.apic_khz, 1000000) < 30);
        CHECK_EQ(apic_init, 0);
    }
}

TEST(a_clock_that_counts_instructions_is_measured_too)
{
    board(1000000000, 1000000000, 10); /* many reads see the same PM timer value */
    clock_measure(0x608, &info);
    CHECK(distance(info.tsc_khz, 1000000) < 20);
}

TEST(a_dead_pm_timer_leaves_nothing)
{
    board(1000000000, 1000000000, 1000);
    pm_dead = true;
    clock_measure(0x608, &info);
    CHECK(!info.tsc_khz && !info.apic_khz);
    CHECK(pm_reads < 3000000);
}

TEST(an_apic_that_is_not_in_x2apic_mode_is_reached_by_its_page)
{
    static _Alignas(4096) uint32_t page[1024];

    board(1000000000, 1000000000, 1000);
    apic_base = (uintptr_t)page;
    page[0x390 / 4] = 5; /* the current count stands still */
    clock_measure(0x608, &info);
    CHECK(distance(info.tsc_khz, 1000000) < 20);
    CHECK_EQ(info.apic_khz, 0);
    CHECK_EQ(page[0xf0 / 4], 0x1ff);
    CHECK_EQ(page[0x320 / 4], 0x10000);
    CHECK_EQ(page[0x3e0 / 4], 0xb);
    CHECK_EQ(page[0x380 / 4], 0);
}

TEST(wall_clock)
{
    board(1000000000, 1000000000, 1000);
    info.tsc_khz = 1000000;
    clock_set_wall(0, 5000000000, &info);
    CHECK_EQ(info.wall_base_ns, 0);
    clock_set_wall(1000, 5000000000, &info);
    CHECK_EQ(info.wall_base_ns, 995ull * NS_PER_S);
    info = (struct bootinfo){.tsc_khz = 2500001};
    clock_set_wall(100, 25000010000ull + 2500, &info);
    CHECK(distance(info.wall_base_ns, 90ull * NS_PER_S - 1000) < 2);
    info = (struct bootinfo){0};
    clock_set_wall(1000, 5000000000, &info);
    CHECK_EQ(info.wall_base_ns, 0);
}

TEST_MAIN()
