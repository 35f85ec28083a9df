/* SPDX-License-Identifier: BSD-2-Clause */
/* Registers as operands of 1, 2, 4 or 8 bytes. */
#pragma once

#include "vm/vcpu.h"

/* The low `size` bytes of `val`. */
static inline uint64_t low_bytes(uint64_t val, unsigned size)
{
    return val & (~(uint64_t)0 >> (64 - 8 * size));
}

/* A write of 4 bytes clears the upper half, of 1 or 2 leaves the rest (APM 1 3.1.2). */
static inline void gpr_set(struct vcpu *v, unsigned reg, unsigned size, uint64_t val)
{
    uint64_t kept = size >= 4 ? 0 : v->gpr[reg] & ~low_bytes(~(uint64_t)0, size);

    v->gpr[reg] = kept | low_bytes(val, size);
}
