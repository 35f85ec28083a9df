/* SPDX-License-Identifier: BSD-2-Clause */
/* Carries out the start plan of a guest, which the boot loader has made from its image (struct boot_start). */
#pragma once

#include "kernel/lib/types.h"

struct vm;

/*
 * Copies the next 2 MiB at most of the plan's pieces into the VM's RAM, which was zero at first; *done, 0 at
 * first, counts the bytes. 1: there may be more. 0: all is there, and vCPU 0 is set to its start. -EFAULT: a
 * piece is not in the VM's RAM.
 */
MUST_USE int loader_load(struct vm *vm, uint64_t *done);
