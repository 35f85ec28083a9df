/* SPDX-License-Identifier: BSD-2-Clause */
/* Time: the TSC, and one-shot timers on the local APIC. */
#pragma once

#include "boot/bootinfo.h"
#include "kernel/lib/list.h"
#include "kernel/lib/types.h"

#define NS_PER_US ((uint64_t)1000)
#define NS_PER_MS ((uint64_t)1000000)
#define NS_PER_S  ((uint64_t)1000000000)

/*
 * Takes over what boot/ has measured; panics if that cannot be. Boot CPU, once. Before it, time_ns() runs slow (it
 * takes the TSC for a fast one); it never steps back.
 */
void time_init(const struct bootinfo *bi);

/* TSC frequency in kHz. */
uint32_t time_tsc_khz(void);

/* Nanoseconds since this TSC's zero. Monotonic, all CPUs agree. */
uint64_t time_ns(void);

/* TSC ticks to nanoseconds; exact to 4 ns for intervals up to a century. */
uint64_t time_tsc_to_ns(uint64_t ticks);

/* Nanoseconds since 1970 at time_ns() == 0, from the firmware's clock; 0 if the firmware had none. */
uint64_t time_wall_base_ns(void);

/*
 * A one-shot timer. `fn` runs on the CPU that armed it (the boot CPU if that one is set apart), with interrupts off and no lock held, at or after
 * `deadline`. It may arm its own timer again. The struct belongs to the caller and must live until the timer
 * has fired or timer_cancel() returned.
 */
struct timer {
    struct list link; /* in the CPU's sorted list while armed */
    uint64_t deadline_ns;
    void (*fn)(struct timer *t);
    unsigned cpu; /* where it is armed */
    bool armed;
};

void timer_init(struct timer *t, void (*fn)(struct timer *t));

/* Ticks of the local APIC's timer, undivided, to nanoseconds and back, as it was measured at boot. Up to 2^39 ticks, which take nine minutes at 1 GHz. */
uint64_t time_apic_to_ns(uint64_t ticks);
uint64_t time_ns_to_apic(uint64_t ns);

/* (Re-)arms on this CPU for an absolute time_ns(). A deadline in the past fires at the next window. */
void timer_arm(struct timer *t, uint64_t deadline_ns);

/*
 * Disarms, from any CPU. When it returns, `fn` is not running on another CPU (it may be the caller itself)
 * and has not armed the timer again; so the caller holds no lock that `fn` takes.
 */
void timer_cancel(struct timer *t);
