/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Exceptions and interrupts of the hypervisor itself, and the end of the machine when one of them is fatal.
 */
#ifndef KERNEL_CPU_TRAP_H
#define KERNEL_CPU_TRAP_H

#include "kernel/lib/types.h"

/* What trap_common in entry.S and the processor leave on the stack (SDM 3A 6.14). */
struct trap_frame {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
    uint64_t vector, error;
    uint64_t rip, cs, rflags, rsp, ss;
};

_Static_assert(offsetof(struct trap_frame, rip) == 136, "entry.S takes RIP from there");

/* Loads the IDT, which all CPUs share. */
void trap_init_this(void);

/* Sorts one interrupt or exception to its handler; called by entry.S. */
void trap_handle(const struct trap_frame *f);

/* Called on each NMI: parks this CPU if a panic is on, else returns. */
void panic_nmi(void);

/* The panic of an exception: the same as panic(), with the interrupted registers. */
_Noreturn void panic_trap(const struct trap_frame *f);

#endif
