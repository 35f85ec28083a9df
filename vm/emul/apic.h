/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside of the local APIC, shared by lapic.c (registers), lapic_timer.c and lapic_message.c (who gets an
 * interrupt). Everybody else uses vm/emul/lapic.h. No lock: what other CPUs may touch is atomic and marked,
 * the rest belongs to the CPU that runs the vCPU.
 */
#pragma once

#include "kernel/cpu/time.h"
#include "kernel/lib/types.h"
#include "vm/emul/regs.h"

struct vcpu;
struct vm;

#define APIC_LVTS  6 /* registers 0x32..0x37 */
#define APIC_WORDS 8 /* 256 vectors */

/* The guest's APIC timer counts as fast as the CPU's own. Periods shorter than this are stretched to it. */
#define APIC_PERIOD_MIN_NS (100 * NS_PER_US)

/* The record (vm/migrate/state.h), and the end of a local APIC. */
struct lapic_state {
    uint32_t reg[APIC_REGS];
    uint64_t base, tsc_deadline;
    uint32_t left; /* ticks of the timer that is armed; in the record only */
    uint32_t pad;
};

/*
 * reg[] is what the guest reads, at the register's number, but for APIC_TMCCT. Any CPU writes IRR and TMR,
 * and reads TPR, PPR, LDR, DFR, SVR and the LVT; the rest is the own CPU's.
 */
struct lapic {
    struct vcpu *v;
    uint32_t irr_words; /* any CPU: bit n is set if APIC_IRR + n may have a bit set */
    uint32_t isr_words; /* bit n: APIC_ISR + n has a bit set */
    uint32_t *pv_eoi;   /* the guest's word for paravirtual EOI, or NULL */
    struct timer timer;
    uint32_t timer_shift; /* log2 of the divider when the count began */
    uint64_t period_ns;   /* any CPU: of the periodic timer */
    uint64_t expiry_ns;   /* any CPU: end of the count */
    uint32_t reg[APIC_REGS];
    uint64_t base; /* IA32_APIC_BASE; read by any CPU */
    uint64_t tsc_deadline;
    uint32_t left, pad;
};
_Static_assert(offsetof(struct lapic, reg) + sizeof(struct lapic_state) == sizeof(struct lapic) &&
                   offsetof(struct lapic, left) - offsetof(struct lapic, reg) ==
                       offsetof(struct lapic_state, left),
               "alike");

static inline uint32_t apic_get(const struct lapic *l, unsigned reg)
{
    return __atomic_load_n(&l->reg[reg], __ATOMIC_RELAXED);
}

static inline void apic_set(struct lapic *l, unsigned reg, uint32_t val)
{
    __atomic_store_n(&l->reg[reg], val, __ATOMIC_RELAXED);
}

/* What an interrupt message says, from the ICR, an I/O APIC entry or an MSI (SDM 3A 11.6.1, 11.11). */
struct apic_message {
    uint32_t dest; /* APIC_BROADCAST: all, in either destination mode */
    bool logical, lowest, level;
    uint8_t mode, vector; /* mode: ICR_MODE_* */
};

#define APIC_BROADCAST 0xffffffffu

static inline bool apic_x2(const struct lapic *l)
{
    return __atomic_load_n(&l->base, __ATOMIC_RELAXED) & APIC_BASE_EXTD;
}

/* lapic.c: the highest vector that is requested, or -1. */
int apic_highest_irr(struct lapic *l);
/* False: it was requested already, and whoever did it has seen to the rest. */
bool apic_request(struct lapic *l, uint8_t vector);
void apic_unrequest(struct lapic *l, uint8_t vector);
void apic_in_service(struct lapic *l, uint8_t vector);

/* lapic_message.c: what a write of the ICR sends. */
void apic_send_icr(struct lapic *l, uint64_t icr);

/* lapic_timer.c; all but the timer's own handler run on the vCPU's CPU. */
void apic_timer_fired(struct timer *t);
void apic_timer_stop(struct lapic *l);
/* A write of the initial count, with the count as far down as `remaining`; 0: one-shot, over. */
void apic_timer_start(struct lapic *l, uint32_t initial_count, uint32_t remaining);
uint32_t apic_timer_count(const struct lapic *l);
void apic_timer_set_lvt(struct lapic *l, uint32_t lvt);
void apic_timer_set_deadline(struct lapic *l, uint64_t guest_tsc);
uint64_t apic_timer_deadline(const struct lapic *l);
