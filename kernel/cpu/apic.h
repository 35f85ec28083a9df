/* SPDX-License-Identifier: BSD-2-Clause */
/* This CPU's local APIC, always in x2APIC mode (Intel SDM 3A 10.12). */
#ifndef KERNEL_CPU_APIC_H
#define KERNEL_CPU_APIC_H

#include "kernel/cpu/regs.h"
#include "kernel/cpu/x86.h"
#include "kernel/lib/types.h"

/* Switches to x2APIC mode, enables it and masks what the firmware left on. The caller has checked CPUID. */
void apic_init_this(void);

static inline void apic_eoi(void)
{
    wrmsr(MSR_X2APIC_EOI, 0);
}

/* `icr` is everything but the destination. */
static inline void apic_send(uint32_t apic_id, uint64_t icr)
{
    wrmsr(MSR_X2APIC_ICR, FIELD_PREP(ICR_DEST, apic_id) | icr);
}

#endif
