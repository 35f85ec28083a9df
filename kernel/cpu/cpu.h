/* SPDX-License-Identifier: BSD-2-Clause */
/* Processors: numbering, per-CPU data, start of the others; interrupt vectors. */
#pragma once

#include "boot/bootinfo.h"
#include "kernel/cpu/x86.h"
#include "kernel/lib/types.h"

/* Bound of a cpus mask (uint64_t). Processors beyond it stay parked, with a warning. */
#define CPU_MAX BOOT_CPUS_MAX

/* One per processor; GS points to it. Index 0 is the boot CPU. */
struct cpu {
    struct cpu *self; /* first: read through gs:0 */
    unsigned id;      /* 0 .. cpu_count() - 1, the number that the configuration's `cpus` uses */
    uint32_t apic_id; /* of the local APIC, which is in x2APIC mode where there is one */
    bool apart;       /* cpu_set_apart() */
    bool nudged;      /* atomic: an NMI has come since cpu_nudged() last looked */
    void (*collect)(void *arg, uint8_t vector); /* whom its local APIC is lent to, or NULL */
    void *collect_arg;
} __attribute__((aligned(64)));

/* The CPU that executes this. */
static inline struct cpu *cpu_this(void)
{
    return (struct cpu *)read_gs_self();
}

static inline unsigned cpu_id(void)
{
    return cpu_this()->id;
}

/* CPUs online, and the CPU with an index below that. */
unsigned cpu_count(void);
struct cpu *cpu_get(unsigned id);

/* Boot CPU: finds out how local APICs are reached, and sets its own up; it is online from then on. After paging_init(). */
void apic_init_boot(void);

/*
 * Starts every other CPU that boot/ lists (INIT, SIPI, SIPI; Intel SDM 3A 9.4.4). Each one calls `entry`
 * on its own stack with interrupts off. CPUs that do not answer within a second are left out with a warning.
 * Returns the number online.
 */
unsigned smp_start(const struct bootinfo *bi, void (*entry)(void));

/* Makes a CPU leave its guest, or its halt: by a bare interrupt (VECTOR_KICK), or an NMI if it is set apart. May be called for this CPU. */
void cpu_kick(unsigned id);

/*
 * Sets a CPU apart, for good, before it has run anything: no device vector of it is given out, no timer runs there, and kicks come as NMIs. So the
 * hypervisor has no use for its local APIC, and can lend it to the one guest that runs there. Not the boot CPU, which runs this CPU's timers. False, and no effect, without x2APIC mode.
 */
bool cpu_set_apart(unsigned id);

/*
 * This CPU, which is set apart: its local APIC belongs to a guest until cpu_take_apic(). Every interrupt that the host takes meanwhile is handed to `collect`
 * and ended with an EOI; a kick only leaves a note.
 */
void cpu_lend_apic(void (*collect)(void *arg, uint8_t vector), void *arg);
void cpu_take_apic(void);

/* Whether this CPU has been kicked since the last call. With NMIs held off, so that the next one ends the guest. */
bool cpu_nudged(void);

/* Halts with interrupts on until one has been taken, then off again. The caller has seen no work with
 * interrupts off. */
void cpu_idle(void);

/* Opens the interrupt window for one instruction so that pending interrupts reach their handlers. */
void cpu_take_interrupts(void);

/*
 * Interrupt vectors. A (cpu, vector) pair has one handler, called with interrupts off and no lock held, after
 * which the kernel signals EOI. Fixed vectors are in 0xe0..0xff; the rest is given out for devices.
 */
#define VECTOR_DEVICE_LO 0x20
#define VECTOR_DEVICE_HI 0xdf
#define VECTOR_TIMER     0xe0
#define VECTOR_KICK      0xe1
#define VECTOR_SPURIOUS  0xff

typedef void irq_handler_t(void *arg);

/*
 * A free device vector on `cpu` with its handler. Returns the vector (0x20..0xdf) or -ENOSPC: all are taken, or the CPU is set apart. Own lock, any
 * CPU.
 */
MUST_USE int irq_alloc(unsigned cpu, irq_handler_t *handler, void *arg);

/*
 * Gives a vector back. The caller has stopped the source first (interrupt-remapping entry cleared and its
 * completion awaited); an interrupt that arrives later is dropped.
 * When this returns, the handler is not running on another CPU: the caller holds no lock that the handler
 * takes.
 */
void irq_free(unsigned cpu, unsigned vector);

/* Vectors that are given out, on all CPUs. */
unsigned irq_count(void);
