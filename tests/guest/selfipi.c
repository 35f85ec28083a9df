/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * With a CPU of its own: requests in its local APIC, with interrupts off, every vector from 16 on, so those that an exception has, too; then switches the
 * APIC off, so that the hypervisor gets it with all of that pending. Does both sides survive it, and is the APIC the guest's again afterwards?
 */
#include "tests/guest/lib/lib.h"

#define X2APIC_TPR  0x808u
#define X2APIC_SVR  0x80fu
#define X2APIC_SELF 0x83fu
#define SVR_ENABLE  0x100u
#define VECTOR      0x51
#define ROUNDS      100

static volatile unsigned taken;

static void on_self(void)
{
    taken++;
    wrmsr(0x80b, 0);
}

int main(const char *cmdline)
{
    (void)cmdline;
    on_vector(VECTOR, on_self);
    wrmsr(X2APIC_SVR, SVR_ENABLE | 0xff);
    for (unsigned round = 0; round < ROUNDS; round++) {
        wrmsr(X2APIC_TPR, round % 16 << 4);
        for (unsigned vector = 16; vector < 32; vector++)
            wrmsr(X2APIC_SELF, vector);
        wrmsr(X2APIC_SELF, VECTOR);
        wrmsr(X2APIC_SVR, 0xff);
        wrmsr(X2APIC_SVR, SVR_ENABLE | 0xff);
    }
    wrmsr(X2APIC_TPR, 0x40); /* lets nothing in but what has a handler */
    __asm__ volatile("sti");
    for (unsigned i = 0; i < 1000 && !taken; i++)
        cpuid(0, 0);
    __asm__ volatile("cli");
    print("selfipi: taken %u\n", taken);
    print("selfipi: done\n");
    return 0;
}
