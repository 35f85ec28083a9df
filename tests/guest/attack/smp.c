/* SPDX-License-Identifier: BSD-2-Clause */
/* Start-up messages at every address that there is, and processors that send each other interrupts without end: does it stay in this VM?
 * (Intel SDM 3A 9.4.4, 11.6.1.) */
#include "tests/guest/attack/attack.h"

#define MSR_APIC_BASE 0x1bu
#define MSR_ICR       0x830u
#define X2APIC_BASE   0xfee00d00ull /* also the bit of the first processor */
#define ICR_INIT      0xc4500ull    /* to all others */
#define ICR_SIPI      0xc4600ull
#define PAGES         0x100u
#define PAGE_BYTES    0x1000u
#define COUNTER       0x1f00u
#define PAGE_STORM    0x10u
#define PAGE_TRIPLE   0x11u
#define STORM_MS      1000
#define START_MS      3
#define LIFE_MS       20

extern const char smp_count[], smp_count_end[], smp_storm[], smp_storm_end[], smp_triple[], smp_triple_end[];

static void put_code(unsigned page, const char *code, const char *end)
{
    memcpy((void *)(uintptr_t)(page * PAGE_BYTES), code, (size_t)(end - code));
}

static bool x2apic(void)
{
    return kit_wrmsr(MSR_APIC_BASE, X2APIC_BASE) < 0 && kit_wrmsr(0x80f, 0x1ff) < 0;
}

static void start_others(unsigned page)
{
    wrmsr(MSR_ICR, ICR_INIT);
    wrmsr(MSR_ICR, ICR_SIPI | page);
}

static bool comes_to(const volatile uint32_t *counter, uint32_t n)
{
    uint64_t end = time_ms() + LIFE_MS;

    while (*counter < n && time_ms() < end)
        ;
    return *counter >= n;
}

/*
 * Below 1 MiB lie this guest's tables and the loader's data, which nobody needs any more; 1F00h counts who came to life. A second message is for
 * nobody, as all of them run: looked at where none of them can be late.
 */
verdict attack_ap_odd(struct kit *k)
{
    volatile uint32_t *counter = (uint32_t *)(uintptr_t)COUNTER;
    uint32_t others = k->vcpus - 1, before;
    bool again = false, all = false, were_all;

    if (k->vcpus < 2 || !x2apic())
        return "there is one processor, so nothing was tried";
    for (unsigned page = 0; page < PAGES; page++)
        put_code(page, smp_count, smp_count_end);
    *counter = 0;
    for (unsigned page = 0; page < PAGES; page++) {
        before = *counter;
        were_all = all;
        start_others(page);
        all = comes_to(counter, before + others);
        wrmsr(MSR_ICR, ICR_SIPI | (page ^ 1));
        pause_ms(START_MS);
        again |= were_all && all && *counter > before + others;
    }
    print("attack ap-odd: %u of %u came to life\n", *counter, PAGES * others);
    wrmsr(MSR_ICR, ICR_INIT);
    return !*counter ? "none started, so nothing was tried"
           : again   ? "a start-up message that nobody waited for"
                     : BLOCKED;
}

/* The others send NMIs, INITs and interrupts to all, themselves and numbers that nobody has. */
static bool storm_begins(const struct kit *k)
{
    if (k->vcpus < 3 || !x2apic())
        return false;
    put_code(PAGE_STORM, smp_storm, smp_storm_end);
    put_code(PAGE_TRIPLE, smp_triple, smp_triple_end);
    start_others(PAGE_STORM);
    return true;
}

verdict attack_ipi_storm(struct kit *k)
{
    if (!storm_begins(k))
        return "there are too few processors, so nothing was tried";
    pause_ms(STORM_MS);
    for (unsigned i = 0; i < 4; i++) {
        wrmsr(MSR_ICR, ICR_INIT);
        pause_ms(START_MS);
    }
    return BLOCKED;
}

/* The last processor's triple fault stops them all. */
verdict attack_triple_ipi(struct kit *k)
{
    if (!storm_begins(k))
        return "there are too few processors, so nothing was tried";
    pause_ms(100);
    wrmsr(MSR_ICR, (uint64_t)(k->vcpus - 1) << 32 | 0x4500);
    wrmsr(MSR_ICR, (uint64_t)(k->vcpus - 1) << 32 | 0x4600 | PAGE_TRIPLE);
    pause_ms(STORM_MS);
    return "it goes on";
}
