/* SPDX-License-Identifier: BSD-2-Clause */
/* Hypercalls of guests (vm/abi/hypercall.h): one row of a const table per number says who may call it. */
#pragma once

struct vcpu;

/* Decodes number and arguments from the vCPU's registers, checks the permission, acts, and leaves the result
 * in RAX. */
void hypercall_handle(struct vcpu *v);
