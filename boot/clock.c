/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/clock.h"
#include "boot/regs.h"
#include "kernel/cpu/x86.h"

#define PM_TIMER_HZ   3579545 /* ACPI 6.5 section 4.8.3.3 */
#define PM_TIMER_MASK GENMASK32(23, 0)
#define TSC_PATIENCE  2000000000 /* ticks: several times the measurement on any processor */
#define MEASURE_PER_S 20         /* the measurement takes a 20th of a second */
#define BRACKETS      8          /* tries for a sample that nothing interrupted */
#define SVR_NOTHING   0xff       /* the vector of spurious interrupts */
#define NS_PER_S      1000000000
#define NS_PER_MS     1000000

/* The local APIC's registers, or NULL in x2APIC mode (SDM 3A 11.4.1 and table 11-6). */
static volatile uint32_t *apic_page;

static uint32_t apic_read(uint32_t msr)
{
    return apic_page ? apic_page[4 * (msr - MSR_X2APIC_FIRST)] : (uint32_t)rdmsr(msr);
}

static void apic_write(uint32_t msr, uint32_t v)
{
    if (apic_page)
        apic_page[4 * (msr - MSR_X2APIC_FIRST)] = v;
    else
        wrmsr(msr, v);
}

/* In the mode that it is in, with its timer counting down from the top and interrupting nobody. */
static void start_apic(void)
{
    uint64_t base = rdmsr(MSR_APIC_BASE) | APIC_BASE_EN;

    wrmsr(MSR_APIC_BASE, base);
    apic_page = base & APIC_BASE_EXTD ? NULL : (volatile uint32_t *)(uintptr_t)(base & APIC_BASE_ADDRESS);
    apic_write(MSR_X2APIC_SVR, SVR_ENABLE | SVR_NOTHING);
    apic_write(MSR_X2APIC_TIMER_DIVIDE, TIMER_DIVIDE_BY_1);
    apic_write(MSR_X2APIC_LVT_TIMER, LVT_MASKED);
    apic_write(MSR_X2APIC_TIMER_INIT, UINT32_MAX);
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
        s.apic = apic_read(MSR_X2APIC_TIMER_COUNT);
        if (s.tsc - before < shortest) {
            shortest = s.tsc - before;
            s.tsc = before + shortest / 2;
            best = s;
        }
    }
    return best;
}

void clock_measure(uint16_t port, struct bootinfo *info)
{
    struct sample start, end;
    uint64_t ticks;

    start_apic();
    start = take_sample(port);
    while (((inl(port) - start.pm) & PM_TIMER_MASK) < PM_TIMER_HZ / MEASURE_PER_S)
        if (rdtsc() - start.tsc > TSC_PATIENCE)
            return;
    end = take_sample(port);
    apic_write(MSR_X2APIC_TIMER_INIT, 0);
    ticks = (end.pm - start.pm) & PM_TIMER_MASK;
    info->tsc_khz = (uint32_t)((end.tsc - start.tsc) * PM_TIMER_HZ / ticks / 1000);
    info->apic_khz = (uint32_t)((uint64_t)(start.apic - end.apic) * PM_TIMER_HZ / ticks / 1000);
}

void clock_set_wall(uint64_t seconds, uint64_t tsc, struct bootinfo *info)
{
    uint32_t khz = info->tsc_khz;

    if (seconds && khz)
        info->wall_base_ns = seconds * NS_PER_S - tsc / khz * NS_PER_MS - tsc % khz * NS_PER_MS / khz;
}
