/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interrupts that it sends itself: held back as long as interrupts are off and by the task priority, the higher one first, in service until their end; then
 * many of them, for somebody outside to count what they cost.
 */
#include "tests/guest/lib/lib.h"

#define X2APIC_TPR   0x808u
#define X2APIC_EOI   0x80bu
#define X2APIC_SVR   0x80fu
#define X2APIC_ISR   0x810u
#define X2APIC_IRR   0x820u
#define X2APIC_SELF  0x83fu
#define SVR_ENABLE   0x100u
#define LOW          0x51
#define HIGH         0x61
#define X2APIC_TMICT 0x838u
#define HELD_MS      20

static volatile unsigned low, high, before_high, bad_service;

static bool bit(uint32_t first, unsigned vector)
{
    return rdmsr(first + vector / 32) >> vector % 32 & 1;
}

static void on_low(void)
{
    low++;
    before_high += high == 0;
    wrmsr(X2APIC_EOI, 0);
}

static void on_high(void)
{
    high++;
    bad_service += !bit(X2APIC_ISR, HIGH) || bit(X2APIC_IRR, HIGH);
    wrmsr(X2APIC_EOI, 0);
    bad_service += bit(X2APIC_ISR, HIGH);
}

/* With interrupts off, as at the start: once they were on, Bochs 2.7 may let them in at an interrupt of the host (CAVEATS.md). */
static void held_back(void)
{
    wrmsr(X2APIC_SELF, LOW);
    wrmsr(X2APIC_SELF, HIGH);
    pause_ms(HELD_MS);
    print("ipis: held back %u\n", low + high == 0 && bit(X2APIC_IRR, LOW) && bit(X2APIC_IRR, HIGH));
    wrmsr(X2APIC_TPR, 0x50);
    __asm__ volatile("sti; nop; nop; cli");
    print("ipis: by priority %u\n", high == 1 && low == 0 && bad_service == 0);
    wrmsr(X2APIC_TPR, 0);
    __asm__ volatile("sti; nop; nop; cli");
    print("ipis: after it %u\n", high == 1 && low == 1 && before_high == 0);
}

int main(const char *cmdline)
{
    uint64_t rounds = option(cmdline, "rounds", 1000);

    on_vector(LOW, on_low);
    on_vector(HIGH, on_high);
    ticks_on(); /* for x2APIC mode */
    wrmsr(X2APIC_TMICT, 0);
    held_back();
    low = 0;
    wrmsr(X2APIC_SELF, 15); /* no such vector */
    for (uint64_t round = 0; round < rounds; round++) {
        wrmsr(X2APIC_SELF, LOW);
        __asm__ volatile("sti; nop; nop; cli");
    }
    print("ipis: taken %u of %lu\n", low, rounds);
    return 0;
}
