/* SPDX-License-Identifier: BSD-2-Clause */
/* An exit in neutral terms: back ends decode into this, vm/exit.c acts on it. */
#pragma once

#include "kernel/lib/types.h"

enum vm_exit_kind {
    VM_EXIT_UNKNOWN,   /* .code */
    VM_EXIT_HOST_INTR, /* a physical interrupt or NMI; already taken when the back end returns */
    VM_EXIT_WINDOW,    /* the guest can take an interrupt now */
    VM_EXIT_CPUID,
    VM_EXIT_HLT,
    VM_EXIT_MSR, /* .msr */
    VM_EXIT_IO,  /* .io */
    VM_EXIT_MEM, /* nested page fault: .mem */
    VM_EXIT_CR,  /* .cr */
    VM_EXIT_HYPERCALL,
    VM_EXIT_XSETBV,
    VM_EXIT_WBINVD,    /* also INVD: nothing is done, guests' memory and DMA are coherent */
    VM_EXIT_EXCEPTION, /* .exception: one that the hypervisor intercepts, or what an instruction always raises
                        */
    VM_EXIT_PRIVILEGED, /* an instruction that guests do not have (VMRUN, SKINIT, MONITOR ...): #UD */
    VM_EXIT_SHUTDOWN,   /* triple fault */
    VM_EXIT_INVALID,    /* the CPU refused the guest's state: .code says why, or is the exit's */
    VM_EXIT_KINDS
};

enum vm_event_type { VM_EVENT_INTR = 0, VM_EVENT_NMI = 2, VM_EVENT_EXCEPTION = 3, VM_EVENT_SOFT = 4 };

struct vm_event {
    bool valid, has_error;
    uint8_t type, vector; /* enum vm_event_type */
    uint32_t error;
};

struct vm_exit {
    enum vm_exit_kind kind;
    uint8_t len;          /* of the instruction, 0 if the CPU did not say */
    struct vm_event redo; /* an event whose delivery the exit cut short: injected again unless the exit's
                             handler replaces it */
    union {
        struct {
            uint32_t index;
            bool write;
        } msr;
        struct {
            uint16_t port;
            uint8_t size; /* 1, 2, 4 */
            bool in, string;
        } io;
        struct {
            gpa_t addr;
            bool write, fetch, in_walk; /* in_walk: the fault was on a guest page-table page */
        } mem;
        struct {
            uint8_t num;
            bool decoded; /* decoded: gpr is valid; otherwise the instruction must be decoded */
            uint8_t gpr;
        } cr;
        struct {
            uint8_t vector;
            uint32_t error;
        } exception;
        uint64_t code;
    };
};

struct vcpu;

/* What is to become of the instruction that exited: executed again, behind us, or an exception. */
enum then { THEN_STAY, THEN_SKIP, THEN_GP, THEN_UD };

/* Acts on an exit: one row of a const table per kind. Sets v->recheck if it may have changed what is pending.
 */
void exit_handle(struct vcpu *v, struct vm_exit *e);

/* Name of a kind, for logs and counters. */
const char *exit_name(enum vm_exit_kind kind);
