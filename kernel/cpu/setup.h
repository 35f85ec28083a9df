/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of kernel/cpu need from one another, and nobody else: start, traps, local APIC. */
#pragma once

#include "kernel/cpu/cpu.h"
#include "kernel/cpu/regs.h"

/* What VECTOR_TIMER does: runs the timers that are due. */
void time_interrupt(void);

/* What trap_common in entry.S and the processor leave on the stack (SDM 3A 6.14). */
struct trap_frame {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
    uint64_t vector, error;
    uint64_t rip, cs, rflags, rsp, ss;
};

_Static_assert(offsetof(struct trap_frame, rip) == 136, "entry.S takes RIP from there");

/* The HLT in cpu_idle(), of one byte. */
extern const char cpu_idle_hlt[];

/* Sorts one interrupt or exception to its handler; called by entry.S. */
void trap_handle(struct trap_frame *f);

/* Called on each NMI: parks this CPU if a panic is on, else returns. */
void panic_nmi(void);

/* The panic of an exception: the same as panic(), with the interrupted registers. */
_Noreturn void panic_trap(const struct trap_frame *f);

/* Sets the local APIC of the CPU that runs this up, and counts it in, in the order of their numbers. */
void apic_init_this(void);

/* The registers of this CPU's local APIC where there is no x2APIC mode (SDM 3A 11.4.1), otherwise NULL. */
extern volatile uint32_t *apic_page;
#define APIC_PAGE_REG(msr) (4 * ((msr)-MSR_X2APIC_FIRST)) /* 16 bytes each, by number */

/* Registers by the number of their MSR (table 11-6), but for the interrupt command: 32 bits. */
static inline uint32_t apic_read(uint32_t msr)
{
    return apic_page ? apic_page[APIC_PAGE_REG(msr)] : (uint32_t)rdmsr(msr);
}

static inline void apic_write(uint32_t msr, uint32_t v)
{
    if (apic_page)
        apic_page[APIC_PAGE_REG(msr)] = v;
    else
        wrmsr(msr, v);
}

/* `icr` is everything but the destination. Without x2APIC mode the second write sends; the CPU finishes one message before the next. */
static inline void apic_send(uint32_t apic_id, uint64_t icr)
{
    if (!apic_page) {
        wrmsr(MSR_X2APIC_ICR, FIELD_PREP(ICR_DEST, apic_id) | icr);
        return;
    }
    apic_page[APIC_PAGE_REG(MSR_X2APIC_ICR + 1)] = apic_id << 24;
    apic_page[APIC_PAGE_REG(MSR_X2APIC_ICR)] = (uint32_t)icr;
}
