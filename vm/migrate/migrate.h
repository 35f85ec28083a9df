/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Moves of running guests from one VF to another (vm/abi/migrate.h says what each step does). The I/O domain drives them; here is what it must not be trusted
 * with: who owns which VF, that exactly one of source and destination is the guest's, and that the guest goes on whatever becomes of the I/O domain.
 */
#pragma once

#include "kernel/lib/types.h"
#include "vm/abi/migrate.h"

struct vf;
struct vm;

/* HC_MOVE. A guest stands still for 1 s at most, for one order: then the move is undone or, from MOVE_SWITCH on, completed. */
int64_t migrate_step(struct vm *caller, uint64_t step, gpa_t args);

/* HC_ORDER. -EFAULT: `to` is not all RAM; -EINVAL: no vector of a device. */
int migrate_fetch(struct vm *caller, gpa_t to, uint64_t vector);

/* An order of the operator's for the I/O domain. `to` may be NULL. -ENOENT: no guest that runs has `from`; -EBUSY: one waits already; -ENODEV: nobody takes orders. */
MUST_USE int migrate_order(enum move_op op, const struct vf *from, const struct vf *to);

/* A VM has been built again from its records, and stands still: has its VF restored, and lets it go on. What fails, or takes 10 s, stops it again. */
void migrate_load(struct vm *vm);

/* Before the functions of a VM are taken back: a move of its VF, or one that it drives, ends here. */
void migrate_end(const struct vm *vm);
