/* SPDX-License-Identifier: BSD-2-Clause */
/* One virtual CPU: neutral state, requests from other CPUs, the run loop. */
#pragma once

#include "kernel/cpu/time.h"
#include "kernel/lib/list.h"
#include "kernel/lib/types.h"
#include "vm/exit.h"

struct vm;
struct vcpu_hw; /* the back end's part: VMCB or VMCS and what belongs to it */
struct lapic;

enum vcpu_state {
    VCPU_OFF,     /* waits for INIT/SIPI, or its VM is stopped */
    VCPU_READY,   /* in a run queue */
    VCPU_RUNNING, /* on a CPU */
    VCPU_BLOCKED, /* halted; vcpu_wake() makes it ready */
};

/* Bits of vcpu->requests, set from any CPU with vcpu_request(), handled before the next entry. */
#define VCPU_REQ_STOP  0x1u /* leave the guest for good */
#define VCPU_REQ_FLUSH 0x2u /* nested translations changed */
#define VCPU_REQ_EVENT 0x4u /* an interrupt may have become pending */
#define VCPU_REQ_INIT  0x8u
#define VCPU_REQ_SIPI  0x10u

struct vcpu {
    struct vm *vm;
    unsigned id;        /* index in the VM; also its APIC id */
    uint64_t gpr[GPRS]; /* valid between an exit and the next entry, as are rip and rflags */
    uint64_t rip, rflags;
    struct vcpu_hw *hw;
    struct lapic *lapic;
    uint32_t requests; /* VCPU_REQ_*, atomic */
    uint8_t sipi_vector;
    bool nmi_pending;
    struct vm_event inject; /* to be delivered at the next entry (exception, or a re-injection); .valid */
    uint8_t queued; /* vector that the CPU delivers by itself, 0: none; only from an entry to its exit */
    bool halted;    /* executed HLT; ends with the next deliverable event */
    bool wait_sipi; /* after INIT: VCPU_OFF until a SIPI comes */
    bool own_cpu;   /* nobody else ever runs on its CPU, which is set apart */
    bool
        delegated; /* own CPU: its APIC's requests and what is in service are the CPU's, which delivers and ends them */
    bool lent;               /* it has its CPU's local APIC; written by its own CPU, atomic */
    bool recheck;            /* own CPU: what is pending must be looked at before the next entry */
    uint64_t p2m_generation; /* of the nested translations that its CPU may have cached */
    /* scheduling: owned by sched.c */
    enum vcpu_state state;
    struct list runq;
    uint64_t cpus; /* mask */
    unsigned cpu;  /* where it runs, or last ran */
    uint64_t vruntime_ns, run_ns, slice_end_ns;
    /* platform state */
    uint64_t pvclock_gpa, wallclock_gpa; /* MSR values, 0: off */
    uint64_t pv_eoi_gpa;                 /* MSR value, 0: off */
    bool pv_eoi_armed;                   /* an EOI may come through memory (lapic_pv_eoi_sync()) */
    uint64_t tsc_offset;                 /* guest TSC = TSC + this */
    uint64_t exits[VM_EXIT_KINDS];
};

/* -ENOMEM. The vCPU is VCPU_OFF in its reset state and in vm->vcpu[]; the loader sets vCPU 0's start state.
 */
MUST_USE int vcpu_create(struct vm *vm, unsigned id);

/* State after power-up, APIC and paravirtual MSRs included. The vCPU is VCPU_OFF. */
void vcpu_reset(struct vcpu *v);

/* Sets request bits and makes the vCPU notice: wakes it if it is blocked, kicks its CPU if it is in a guest.
 * Any CPU. */
void vcpu_request(struct vcpu *v, uint32_t bits);

/*
 * Runs the vCPU on this CPU until it blocks, its slice ends, or it stops; returns its new state (VCPU_READY,
 * VCPU_BLOCKED, VCPU_OFF). Called by the scheduler only.
 */
enum vcpu_state vcpu_run(struct vcpu *v);

/* Queues an exception for the next entry (APM 2 8.2): has_error says whether `error` is pushed. #DF rules are
 * applied. */
void vcpu_exception(struct vcpu *v, uint8_t vector, bool has_error, uint32_t error);
#define VEC_UD 6
#define VEC_GP 13
#define VEC_PF 14

/* Moves RIP past the instruction that caused the exit: `len` as the CPU gave it, or 0: decode it. Clears the
 * interrupt shadow. */
void vcpu_skip(struct vcpu *v, const struct vm_exit *e);

/* The registers into the log, as errors. Own CPU, or nothing runs it. */
void vcpu_log(const struct vcpu *v);
