/* SPDX-License-Identifier: BSD-2-Clause */
/* Stands in for vm/svm/insn.h and for entry.S: include before the files under test. */
#define VM_SVM_INSN_H

#include "kernel/lib/types.h"
#include "tests/unit/fake/insn.c"

static struct {
    unsigned vmsaves;
    bool no_gif;
} fake_svm __attribute__((unused));

static inline void vmsave(hpa_t vmcb)
{
    (void)vmcb;
    fake_svm.vmsaves++;
}

static inline void clgi(void)
{
    fake_svm.no_gif = true;
}

static inline void stgi(void)
{
    fake_svm.no_gif = false;
}
