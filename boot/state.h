/* SPDX-License-Identifier: BSD-2-Clause */
/* Registers that a guest's vCPU begins with. Knows no EFI type. */
#pragma once

#include "boot/bootinfo.h"

/* Selectors that the GDT of a start has; its limit is that of STATE_DS. */
#define STATE_CS 0x10
#define STATE_DS 0x18

/* After power-up (SDM 3A table 10-1): real mode, at the reset vector. `signature` is EAX of CPUID leaf 1. */
void state_reset(struct boot_vcpu *s, uint32_t signature);

/* What registers may hold of a guest that was saved; the rest of `cpu` is known. */
void state_limits(struct boot_limit limit[VM_REGS], const struct boot_cpu *cpu);

/*
 * Completes the state in which a kernel starts; RIP and the general registers are set already. Interrupts off, flat segments of 4 GiB, the GDT at `gdt`:
 * in 64-bit mode on the page tables at `cr3`, or if that is 0 without paging in 32-bit mode.
 */
void state_start(struct boot_vcpu *s, uint64_t gdt, uint64_t cr3);
