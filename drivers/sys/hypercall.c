/* SPDX-License-Identifier: BSD-2-Clause */
/* vm/abi/hypercall.h: VMMCALL on AMD, VMCALL on Intel; which one answers is tried once. */
#include "drivers/sys/hypercall.h"
#include "drivers/sys/sys.h"
#include "vm/abi/hypercall.h"
#include <errno.h>
#include <stdio.h>

extern const char hypercall_vmmcall_insn[], hypercall_vmcall_insn[];
static enum { NONE, VMMCALL, VMCALL } answered_by;

static __attribute__((noinline)) long vmmcall(unsigned nr, uint64_t a, uint64_t b, uint64_t c)
{
    long r = (long)nr;

    __asm__ volatile("hypercall_vmmcall_insn: vmmcall" : "+a"(r) : "D"(a), "S"(b), "d"(c) : "memory");
    return r;
}

static __attribute__((noinline)) long vmcall(unsigned nr, uint64_t a, uint64_t b, uint64_t c)
{
    long r = (long)nr;

    __asm__ volatile("hypercall_vmcall_insn: vmcall" : "+a"(r) : "D"(a), "S"(b), "d"(c) : "memory");
    return r;
}

bool hypercall_at(uint64_t rip)
{
    return rip == (uintptr_t)hypercall_vmmcall_insn || rip == (uintptr_t)hypercall_vmcall_insn;
}

void hypercall_init(void)
{
    if (vmmcall(HC_VERSION, 0, 0, 0) == ABI_VERSION)
        answered_by = VMMCALL;
    else if (vmcall(HC_VERSION, 0, 0, 0) == ABI_VERSION)
        answered_by = VMCALL;
    else
        printf("iodom: no Lastmile with ABI version %d underneath: going on without hypercalls\n",
               ABI_VERSION);
}

long hypercall(unsigned nr, uint64_t a, uint64_t b, uint64_t c)
{
    if (answered_by == VMMCALL)
        return vmmcall(nr, a, b, c);
    if (answered_by == VMCALL)
        return vmcall(nr, a, b, c);
    return -ENOSYS;
}
