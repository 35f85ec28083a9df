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
#define LEAF_EXTENDED 0x80000001
#define LEAF_SIZES    0x80000008

#define F1_EBX_COUNT        GENMASK32(23, 16)
#define F1_EBX_ID           GENMASK32(31, 24)
#define F1_ECX_TSC_DEADLINE BIT32(24)
#define F1_ECX_OSXSAVE      BIT32(27)
#define F1_EDX_HTT          BIT32(28)
#define XSTATE1_XSAVEC      BIT32(1)
#define XSTATE1_ALLOW       GENMASK32(2, 0) /* XSAVEOPT, XSAVEC, XGETBV with ECX 1; not XSAVES */
#define E1_ECX_CMP_LEGACY   BIT32(1)
#define E8_ECX_NC           GENMASK32(7, 0)
#define E8_ECX_ID_SIZE      GENMASK32(15, 12)

#define RANGE(leaf) ((leaf) >> 30)
#define INDEX(leaf) ((leaf)&GENMASK32(29, 0))

/* The leaves that patch() changes, a bit for each INDEX. */
static const uint32_t patched[4] = {
    BIT32(1) | BIT32(LEAF_FEATURES) | BIT32(LEAF_TOPOLOGY) | BIT32(LEAF_XSTATE),
    0,
    BIT32(INDEX(LEAF_EXTENDED)) | BIT32(INDEX(LEAF_SIZES)),
    0,
};

/* log2 of the APIC ids that the package's cores take. */
static uint32_t id_bits(const struct vcpu *v)
{
    return v->vm->nvcpus > 1 ? 32 - (uint32_t)__builtin_clz(v->vm->nvcpus - 1) : 0;
}

/* One thread a core, all cores in one package. */
static struct cpuid_regs topology(const struct vcpu *v, uint32_t sub)
{
    const uint32_t type = sub + 1; /* 1: thread, 2: core */

    if (sub > 1)
        return (struct cpuid_regs){0, 0, sub, v->id};
    return (struct cpuid_regs){sub == 0 ? 0 : id_bits(v), sub == 0 ? 1 : v->vm->nvcpus, type << 8 | sub,
                               v->id};
}

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
    uint32_t n = v->vm->nvcpus;

    switch (leaf) {
    case 1:
        if (v->own_cpu)
            r->ecx &= ~F1_ECX_TSC_DEADLINE; /* with which its CPU's own timer could not be lent */
        r->ebx |= (uint32_t)(FIELD_PREP(F1_EBX_ID, v->id) | FIELD_PREP(F1_EBX_COUNT, n));
        r->edx |= n > 1 ? F1_EDX_HTT : 0;
        if (hvm->reg(v, REG_CR4) & CR4_OSXSAVE)
            r->ecx |= F1_ECX_OSXSAVE;
        break;
    case LEAF_FEATURES:
        if (sub != 0)
            *r = (struct cpuid_regs){0, 0, 0, 0};
        break;
    case LEAF_TOPOLOGY:
        *r = topology(v, sub);
        break;
    case LEAF_XSTATE:
        *r = xstate(sub);
        break;
    case LEAF_EXTENDED:
        r->ecx |= n > 1 ? E1_ECX_CMP_LEGACY : 0;
        break;
    case LEAF_SIZES:
        r->ecx = (uint32_t)(FIELD_PREP(E8_ECX_NC, n - 1) | FIELD_PREP(E8_ECX_ID_SIZE, id_bits(v)));
        break;
    }
}

enum then emul_cpuid(struct vcpu *v, UNUSED const struct vm_exit *e)
{
    uint32_t leaf = (uint32_t)v->gpr[RAX];
    struct cpuid_regs r = {0, 0, 0, 0};

    if (INDEX(leaf) < BOOT_CPUID_LEAVES) {
        __builtin_memcpy(&r, hvm_cpu.cpuid[RANGE(leaf)][INDEX(leaf)], sizeof(r)); /* two moves, not a call */
        if (patched[RANGE(leaf)] >> INDEX(leaf) & 1)
            patch(v, leaf, (uint32_t)v->gpr[RCX], &r);
    }
    v->gpr[RAX] = r.eax;
    v->gpr[RBX] = r.ebx;
    v->gpr[RCX] = r.ecx;
    v->gpr[RDX] = r.edx;
    return THEN_SKIP;
}
