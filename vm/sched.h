/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scheduler: a run queue per CPU ordered by the CPU time each vCPU has had; a slice is 5 ms; a halted vCPU
 * gives its CPU away at once and comes back to an idle CPU of its mask if there is one. Work-conserving: an
 * idle CPU takes a ready vCPU that may run on it.
 */
#pragma once

#include "kernel/lib/types.h"

struct vcpu;

/* Boot CPU, before the others enter sched_loop(). */
void sched_init(void);

/* The life of every CPU after boot: pick, run, put back, or idle. */
_Noreturn void sched_loop(void);

/* Sets the queues' side of a new vCPU up; v->cpus is set and names online CPUs only. Boot CPU. */
void sched_vcpu_init(struct vcpu *v);

/*
 * VCPU_OFF or VCPU_BLOCKED -> VCPU_READY on a CPU of its mask. No effect on one that is ready or running. Any
 * CPU. From VCPU_OFF only through vm_vcpu_enter(), which counts.
 */
void sched_wake(struct vcpu *v);

/* CPU time that the vCPU has had, its present turn too. Any CPU. */
uint64_t sched_run_ns(const struct vcpu *v);

/* True if the vCPU that runs on this CPU should come back to sched_loop(): slice over with others waiting. */
bool sched_must_yield(const struct vcpu *v);

/* What the vCPU has run in its present turn does not count against its share: it was work that must not make it wait afterwards. Its own CPU. */
void sched_forgive(struct vcpu *v);
