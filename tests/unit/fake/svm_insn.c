/* SPDX-License-Identifier: BSD-2-Clause */
/* Stands in for vm/svm/insn.h and for entry.S: include before the files under test. */
#define VM_SVM_INSN_H

#include "kernel/lib/types.h"
#include <string.h>

static struct {
    uint64_t xcr0, dr[4];
    unsigned xsaves, xsaveopts, xrstors, vmsaves;
} fake_svm __attribute__((unused));

static inline void vmsave(hpa_t vmcb)
{
    (void)vmcb;
    fake_svm.vmsaves++;
}

static inline uint64_t xgetbv0(void)
{
    return fake_svm.xcr0;
}

static inline void xsave(void *area)
{
    (void)area;
    fake_svm.xsaves++;
}

static inline void xsaveopt(void *area)
{
    (void)area;
    fake_svm.xsaveopts++;
}

static inline void xrstor(const void *area)
{
    (void)area;
    fake_svm.xrstors++;
}

static inline void read_dr(uint64_t dr[4])
{
    memcpy(dr, fake_svm.dr, sizeof(fake_svm.dr));
}

static inline void write_dr(const uint64_t dr[4])
{
    memcpy(fake_svm.dr, dr, sizeof(fake_svm.dr));
}
