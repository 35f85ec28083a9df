/* SPDX-License-Identifier: BSD-2-Clause */
/* Does CPUID show what guests do not have, in any leaf? */
#include "tests/guest/attack/attack.h"

#define ROUNDS 1000

static bool is_zero(struct cpuid_regs r)
{
    return !(r.eax | r.ebx | r.ecx | r.edx);
}

static const struct {
    uint32_t leaf;
    struct cpuid_regs hidden;
    const char *what;
} hidden[] = {
    {1,
     {0, 0, 1u << 3 | 1u << 5 | 1u << 6 | 1u << 15 | 1u << 17, 1u << 22},
     "MONITOR, VMX, SMX, PDCM, PCID or ACPI"},
    {7,
     {0, 1u << 2 | 1u << 10, 1u << 3 | 1u << 16, 1u << 26 | 1u << 27},
     "SGX, INVPCID, PKU, LA57 or speculation control"},
    {0x80000001,
     {0, 0, 1u << 2 | 1u << 9 | 1u << 10 | 1u << 12 | 1u << 15, 0},
     "SVM, OSVW, IBS, SKINIT or LWP"},
    {0x80000008, {0, 1u << 3 | 1u << 12 | 1u << 14, 0, 0}, "INVLPGB, IBPB or IBRS"},
};

verdict attack_cpuid(struct kit *k)
{
    verdict v = BLOCKED;

    for (unsigned i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++) {
        struct cpuid_regs r = cpuid(hidden[i].leaf, 0), h = hidden[i].hidden;

        if ((r.eax & h.eax) | (r.ebx & h.ebx) | (r.ecx & h.ecx) | (r.edx & h.edx))
            v = hidden[i].what;
    }
    for (uint32_t leaf = 0x80000009; leaf < 0x80000030; leaf++)
        if (!is_zero(cpuid(leaf, 0)))
            v = "an extended leaf beyond the last";
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint32_t leaf = (uint32_t)kit_random(k) | 0x1000;

        if (!is_zero(cpuid(leaf, (uint32_t)kit_random(k))))
            v = "a leaf beyond the last";
    }
    return v;
}
