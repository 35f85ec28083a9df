/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What moves with a vCPU whatever the vendor, beside what the control block holds: FPU and vector registers, DR0 to DR3,
 * TSC_AUX, and what a guest has taught the branch predictor. For the back ends.
 */
#pragma once

#include "kernel/lib/types.h"

struct boot_vcpu;
struct hvm_ops;
struct vcpu;
struct vm;

struct cpustate {
    void *xstate;  /* XSAVE area */
    uint64_t xcr0; /* the guest's, while the vCPU is on no CPU */
    uint64_t dr[4], tsc_aux;
};

/* -ENOMEM. */
MUST_USE int cpustate_create(struct cpustate *s);
/* As after power-up, and with it v's general, control and segment registers and PAT; the back end's others are 0. */
void cpustate_reset(struct cpustate *s, struct vcpu *v, const struct hvm_ops *ops);
/* v's general, control and segment registers, by its back end `ops`. */
void cpustate_set(struct vcpu *v, const struct boot_vcpu *state, const struct hvm_ops *ops);

/* Into this CPU, for a vCPU of `vm`, and back. */
void cpustate_load(const struct cpustate *s, const struct vm *vm);
void cpustate_put(struct cpustate *s);
