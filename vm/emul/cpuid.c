/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guests' CPUID (AMD APM 3 appendix E, Intel SDM 2A CPUID): the table that boot/cpu.c has made by its allow-list, and what depends on the
 * vCPU or on what it does.
 */
#include "kernel/cpu/x86.h"
#include "vm/emul/emul.h"
#include "vm/emul/regs.h"
#include "vm/hvm.h"
#include "vm/vcpu.h"
#include "vm/vm.h"

#define LEAF_FEATURES 0x07
#define LEAF_TOPOLOGY 0x0b
#define LEAF_XSTATE   0x0d

#define F1_EBX_ID           GENMASK32(31, 24)
#define F1_ECX_TSC_DEADLINE BIT32(24)
#define F1_ECX_OSXSAVE      BIT32(27)
#define TOPOLOGY_THREAD     BIT32(8) /* ECX: what the subleaf's number means */
#define XSTATE1_XSAVEC      BIT32(1)
#define XSTATE1_ALLOW       GENMASK32(2, 0) /* XSAVEOPT, XSAVEC, XGETBV with ECX 1; not XSAVES */

#define RANGE(leaf) ((leaf) >> 30)
#define INDEX(leaf) ((leaf)&GENMASK32(29, 0))

/* The leaves of the first range that patch() changes. */
#define PATCHED (BIT32(1) | BIT32(LEAF_FEATURES) | BIT32(LEAF_TOPOLOGY) | BIT32(LEAF_XSTATE))

/* Sizes come from the CPU itself, whose XCR0 is the guest's while the guest's exit is handled. */
static struct cpuid_regs xstate(uint32_t sub)
{
    uint64_t valid = hvm_cpu.xcr0_valid;
    struct cpuid_regs host = cpuid(LEAF_XSTATE, sub);

    if (sub == 0)
        return (struct cpuid_regs){(uint32_t)valid, host.ebx, host.ecx, (uint32_t)(valid >> 32)};
    if (sub == 1)
        return (struct cpuid_regs){host.eax & XSTATE1_ALLOW, host.eax & XSTATE1_XSAVEC ? host.ebx : 0, 0, 0};
    if (sub < 64 && (valid & BIT(sub)))
        return (struct cpuid_regs){host.eax, host.ebx, host.ecx & 2, 0};
    return (struct cpuid_regs){0, 0, 0, 0};
}

/* Out of line, so that the others save few registers. */
static __attribute__((noinline)) void patch(const struct vcpu *v, uint32_t leaf, uint32_t sub,
                                            struct cpuid_regs *r)
{
    switch (leaf) {
    case 1:
        if (v->own_cpu)
            r->ecx &= ~F1_ECX_TSC_DEADLINE; /* with which its CPU's own timer could not be lent */
        r->ebx |= (uint32_t)FIELD_PREP(F1_EBX_ID, v->id);
        if (hvm->reg(v, REG_CR4) & CR4_OSXSAVE)
            r->ecx |= F1_ECX_OSXSAVE;
        break;
    case LEAF_FEATURES:
        if (sub != 0)
            *r = (struct cpuid_regs){0, 0, 0, 0};
        break;
    case LEAF_TOPOLOGY: /* one thread a core; the table has subleaf 1, the cores */
        if (sub != 1)
            *r = (struct cpuid_regs){0, sub == 0, sub == 0 ? TOPOLOGY_THREAD : sub, 0};
        r->edx = v->id;
        break;
    case LEAF_XSTATE:
        *r = xstate(sub);
        break;
    }
}

enum then emul_cpuid(struct vcpu *v, UNUSED const struct vm_exit *e)
{
    uint32_t leaf = (uint32_t)v->gpr[RAX];
    struct cpuid_regs r = {0, 0, 0, 0};

    if (INDEX(leaf) < BOOT_CPUID_LEAVES) {
        __builtin_memcpy(&r, v->vm->cfg->cpuid[RANGE(leaf)][INDEX(leaf)],
                         sizeof(r)); /* two moves, not a call */
        if (RANGE(leaf) == 0 && (PATCHED >> INDEX(leaf) & 1))
            patch(v, leaf, (uint32_t)v->gpr[RCX], &r);
    }
    v->gpr[RAX] = r.eax;
    v->gpr[RBX] = r.ebx;
    v->gpr[RCX] = r.ecx;
    v->gpr[RDX] = r.edx;
    return THEN_SKIP;
}
