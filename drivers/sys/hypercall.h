/* SPDX-License-Identifier: BSD-2-Clause */
/* What the trap handler must know of hypercall instructions: on a CPU of the other vendor they are #UD. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define HYPERCALL_LENGTH 3 /* VMMCALL 0f 01 d9, VMCALL 0f 01 c1 */

bool hypercall_at(uint64_t rip);
