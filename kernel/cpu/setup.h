/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of kernel/cpu need from one another while CPUs come up, and nobody else. */
#ifndef KERNEL_CPU_SETUP_H
#define KERNEL_CPU_SETUP_H

#include "kernel/cpu/cpu.h"

/*
 * Control registers, GDT, TSS, IDT, GS and local APIC of the CPU that runs this, which becomes number `id`.
 */
void cpu_init_this(unsigned id);

/* From here on NMI, #DF and #MC of this CPU run on their own stacks, which are mapped. */
void cpu_set_stacks(unsigned id);

/* Counts a CPU in; in the order of their numbers. */
void cpu_set_online(struct cpu *c);

/* entry.S */
void cpu_load_gdt(const void *gdtr);

/* entry.S: leaves this stack for good. */
_Noreturn void cpu_call_on_stack(uint64_t top, void (*fn)(void));

/* Sets the local APIC's timer up on this CPU; after time_init(). */
void time_init_this(void);

/* What VECTOR_TIMER does: runs the timers that are due. */
void time_interrupt(void);

#endif
