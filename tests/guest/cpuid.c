/* SPDX-License-Identifier: BSD-2-Clause */
/* What does an exit cost? The least of 1,000 in TSC ticks, which under `-icount shift=0` are instructions;
 * `none` is the loop's own share. */
#include "tests/guest/lib/lib.h"
#include "vm/abi/hypercall.h"

#define ROUNDS         1000
#define IA32_APIC_BASE 0x1b
#define APIC_BASE_X2   0xc00u /* enabled, x2APIC mode */
#define X2APIC_EOI     0x80b
#define X2APIC_SVR     0x80f
#define X2APIC_LVT_TMR 0x832
#define X2APIC_TMICT   0x838

static void none(void)
{
}

static void one_cpuid(void)
{
    (void)cpuid(0, 0);
}

static void one_eoi(void)
{
    wrmsr(X2APIC_EOI, 0);
}

static void one_timer(void)
{
    wrmsr(X2APIC_TMICT, 0x7fffffff);
}

static void one_hypercall(void)
{
    uint64_t rax = HC_VERSION;
    __asm__ volatile("vmmcall" : "+a"(rax)::"memory");
}

static void measure(const char *name, void (*fn)(void))
{
    uint64_t least = ~0ull;

    for (unsigned i = 0; i < ROUNDS; i++) {
        uint64_t start = rdtsc();
        fn();
        uint64_t took = rdtsc() - start;
        least = took < least ? took : least;
    }
    print("bench: %s %lu\n", name, least);
}

static void start_x2apic(void *arg)
{
    (void)arg;
    wrmsr(IA32_APIC_BASE, rdmsr(IA32_APIC_BASE) | APIC_BASE_X2);
    wrmsr(X2APIC_SVR, 0x1ff);
    wrmsr(X2APIC_LVT_TMR, 0x10000); /* masked */
}

int main(const char *cmdline)
{
    (void)cmdline;
    measure("none", none);
    measure("cpuid", one_cpuid);
    if (hypercall(HC_VERSION, 0, 0, 0) == ABI_VERSION)
        measure("hypercall", one_hypercall);
    if (try(start_x2apic, NULL) < 0) {
        measure("x2apic-eoi", one_eoi);
        measure("x2apic-timer", one_timer);
    }
    print("bench: done\n");
    return 0;
}
