/* SPDX-License-Identifier: BSD-2-Clause */
#include "kernel/cpu/apic.h"
#include "kernel/cpu/irq.h"

/*
 * xAPIC -> x2APIC needs EN set first (SDM 3A 10.12.5); LINT1 stays as the firmware routed the machine's NMI.
 */
void apic_init_this(void)
{
    uint64_t base = rdmsr(MSR_APIC_BASE) | APIC_BASE_EN;

    wrmsr(MSR_APIC_BASE, base);
    wrmsr(MSR_APIC_BASE, base | APIC_BASE_EXTD);
    wrmsr(MSR_X2APIC_SVR, SVR_ENABLE | VECTOR_SPURIOUS);
    wrmsr(MSR_X2APIC_TPR, 0);
    wrmsr(MSR_X2APIC_LVT_TIMER, LVT_MASKED);
    wrmsr(MSR_X2APIC_LVT_LINT0, LVT_MASKED);
    wrmsr(MSR_X2APIC_LVT_ERROR, LVT_MASKED);
}
