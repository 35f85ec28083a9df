/* SPDX-License-Identifier: BSD-2-Clause */
/* Instructions that only this back end uses; unit tests replace this header. */
#ifndef VM_SVM_INSN_H
#define VM_SVM_INSN_H

#include "kernel/lib/types.h"

static inline void vmsave(hpa_t vmcb)
{
    __asm__ volatile("vmsave %0" : : "a"(vmcb.a) : "memory");
}

/* Nothing interrupts between these two: not even an NMI. */
static inline void clgi(void)
{
    __asm__ volatile("clgi" : : : "memory");
}

static inline void stgi(void)
{
    __asm__ volatile("stgi" : : : "memory");
}

#endif
