/* SPDX-License-Identifier: BSD-2-Clause */
/* Does a guest reach a model-specific register of the processor's own? Those that would hurt must be #GP; then noise on all of them. Left
 * alone: what would silence this guest itself (its APIC base, its own IPIs) or have its own memory written (the paravirtual clock). */
#include "tests/guest/attack/attack.h"

#define MSR_APIC_BASE 0x1bu
#define MSR_EFER      0xc0000080u
#define MSR_ICR       0x830u
#define MSR_SELF_IPI  0x83fu
#define X2APIC_BASE   0xfee00c00ull
#define SVR_ON        0x1ffu
#define MSR_SVR       0x80fu
#define ROUNDS        2500

static const struct {
    uint32_t msr;
    uint64_t value;
    const char *name;
} forbidden[] = {
    {MSR_EFER, 0x1d01, "EFER.SVME"},
    {MSR_EFER, ~0ull, "EFER's reserved bits"},
    {MSR_APIC_BASE, 0xfed00800, "APIC base elsewhere"},
    {MSR_APIC_BASE, 0x800, "APIC base over RAM"},
    {0xc0010114, 0, "VM_CR"},
    {0xc0010117, 0x100000, "VM_HSAVE_PA"},
    {0xc0010111, 0x30000, "SMM base"},
    {0xc0010113, 0, "SMM mask"},
    {0xc0010020, 0x100000, "microcode (AMD)"},
    {0x79, 0x100000, "microcode (Intel)"},
    {0xc0010058, 0xe0000001, "MMIO configuration base"},
    {0x3a, 5, "FEATURE_CONTROL"},
    {0x480, 0, "VMX_BASIC"},
    {0x48, 1, "SPEC_CTRL"},
    {0x49, 1, "PRED_CMD"},
    {0x200, 0, "MTRR"},
    {0x250, 0x0606060606060606, "fixed MTRR"},
    {0x277, 0x0606060606060602, "PAT with a bad type"},
    {0x186, 0x430076, "performance event select"},
    {0xc0010200, 0x430076, "performance event select (AMD)"},
    {0x1d9, ~0ull, "DEBUGCTL's reserved bits"},
    {0x400, ~0ull, "machine check bank"},
    {0xda0, 1, "XSS"},
    {0x600, 0x100000, "debug store"},
    {0xc0011030, ~0ull, "IBS"},
};

verdict attack_msr(struct kit *k)
{
    verdict v = BLOCKED;

    (void)k;
    for (unsigned i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++)
        if (kit_wrmsr(forbidden[i].msr, forbidden[i].value) != VEC_GP)
            v = forbidden[i].name;
    return v;
}

static const struct {
    uint32_t first, last;
} ranges[] = {
    {0, 0x7ff},
    {0x900, 0x1fff},
    {0x40000000, 0x400000ff},
    {0xc0000080, 0xc0000fff},
    {0xc0010000, 0xc0011fff},
    {0xc0020000, 0xc00200ff},
    {0, 0xffffffff},
};

/* What the CPU itself keeps for the guest, and what is the guest's life. */
static bool spared(uint32_t msr)
{
    return msr == MSR_APIC_BASE || (msr >= MSR_EFER && msr <= 0xc0000084) || (msr >= 0x800 && msr < 0x900) ||
           (msr >= 0x4b564d00 && msr <= 0x4b564d0f) || msr == 0x10;
}

verdict attack_msr_fuzz(struct kit *k)
{
    uint64_t old;

    for (unsigned i = 0; i < ROUNDS; i++) {
        unsigned r = (unsigned)(kit_random(k) % (sizeof(ranges) / sizeof(ranges[0])));
        uint32_t msr =
            ranges[r].first + (uint32_t)(kit_random(k) % ((uint64_t)ranges[r].last - ranges[r].first + 1));

        if (spared(msr) || kit_rdmsr(msr, &old) >= 0)
            (void)(spared(msr) ? 0 : kit_wrmsr(msr, kit_random(k)));
        else if (kit_wrmsr(msr, kit_random(k)) < 0)
            (void)kit_wrmsr(msr, old);
    }
    return BLOCKED;
}

/* Interrupts are off, so that what it raises for itself stays where it is. */
verdict attack_x2apic_fuzz(struct kit *k)
{
    verdict v = BLOCKED;
    uint64_t got;

    if (kit_wrmsr(MSR_APIC_BASE, (rdmsr(MSR_APIC_BASE) & 0x100) | X2APIC_BASE) >= 0)
        return "x2APIC cannot be switched on, so nothing was tried";
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint32_t msr = 0x800 + (uint32_t)(kit_random(k) & 0xff);

        if (msr != MSR_ICR && msr != MSR_SELF_IPI)
            (void)kit_wrmsr(msr, kit_random(k) >> (kit_random(k) & 63));
        (void)kit_rdmsr(msr, &got);
    }
    if (kit_wrmsr(MSR_SVR, 1ull << 32) != VEC_GP || kit_wrmsr(0x803, 0) != VEC_GP ||
        kit_wrmsr(0x8ff, 0) != VEC_GP)
        v = "reserved bits or registers of the APIC";
    (void)kit_wrmsr(MSR_SVR, SVR_ON);
    return v;
}
