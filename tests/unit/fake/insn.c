/* SPDX-License-Identifier: BSD-2-Clause */
/* Stands in for vm/insn.h: include before the files under test. */
#define VM_INSN_H

#include "kernel/lib/types.h"
#include <string.h>

static struct {
    uint64_t xcr0, dr[4];
    unsigned xsaves, xsaveopts, xrstors;
} fake_insn __attribute__((unused));

static inline uint64_t xgetbv0(void)
{
    return fake_insn.xcr0;
}

static inline void xsave(void *area)
{
    (void)area;
    fake_insn.xsaves++;
}

static inline void xsaveopt(void *area)
{
    (void)area;
    fake_insn.xsaveopts++;
}

static inline void xrstor(const void *area)
{
    (void)area;
    fake_insn.xrstors++;
}

static inline void read_dr(uint64_t dr[4])
{
    memcpy(dr, fake_insn.dr, sizeof(fake_insn.dr));
}

static inline void write_dr(const uint64_t dr[4])
{
    memcpy(fake_insn.dr, dr, sizeof(fake_insn.dr));
}
