/* SPDX-License-Identifier: BSD-2-Clause */
/* Hypercalls of guests (vm/abi/hypercall.h): one row of a const table per number says who may call it. */
#pragma once

#include "vm/exit.h"

/* Decodes number and arguments from the vCPU's registers, checks the permission, acts, and leaves the result
 * in RAX; a row of vm/exit.c. */
enum then hypercall_handle(struct vcpu *v, const struct vm_exit *e);
