/* SPDX-License-Identifier: BSD-2-Clause */
/* Instructions that move a vCPU's state; unit tests replace this header. */
#ifndef VM_INSN_H
#define VM_INSN_H

#include "kernel/cpu/x86.h"
#include "kernel/lib/types.h"

static inline uint64_t xgetbv0(void)
{
    uint32_t lo, hi;

    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    return (uint64_t)hi << 32 | lo;
}

/* All that XCR0 enables. */
static inline void xsave(void *area)
{
    __asm__ volatile("xsave64 (%0)" : : "r"(area), "a"(~0), "d"(~0) : "memory");
}

static inline void xsaveopt(void *area)
{
    __asm__ volatile("xsaveopt64 (%0)" : : "r"(area), "a"(~0), "d"(~0) : "memory");
}

static inline void xrstor(const void *area)
{
    __asm__ volatile("xrstor64 (%0)" : : "r"(area), "a"(~0), "d"(~0) : "memory");
}

/* DR0 to DR3: the control blocks have the others. */
static inline void read_dr(uint64_t dr[4])
{
    __asm__ volatile("mov %%db0, %0; mov %%db1, %1; mov %%db2, %2; mov %%db3, %3"
                     : "=r"(dr[0]), "=r"(dr[1]), "=r"(dr[2]), "=r"(dr[3]));
}

static inline void write_dr(const uint64_t dr[4])
{
    __asm__ volatile("mov %0, %%db0; mov %1, %%db1; mov %2, %%db2; mov %3, %%db3"
                     :
                     : "r"(dr[0]), "r"(dr[1]), "r"(dr[2]), "r"(dr[3]));
}

#endif
