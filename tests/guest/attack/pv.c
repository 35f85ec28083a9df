/* SPDX-License-Identifier: BSD-2-Clause */
/* Will the hypervisor write for a guest where the guest has no memory? The paravirtual clocks and EOI take addresses (Linux
 * Documentation/virt/kvm/x86/msr.rst); all of these must be #GP. */
#include "tests/guest/attack/attack.h"

#define MSR_WALL_CLOCK  0x4b564d00u
#define MSR_SYSTEM_TIME 0x4b564d01u
#define MSR_PV_EOI      0x4b564d04u

verdict attack_pv(struct kit *k)
{
    const uint64_t nowhere[] = {k->ram_end,  k->ram_end - 4,     0xbffffffc,    0xc0000000,
                                0xfebffffc,  0xfec00000,         0xfee00000,    0xfffffffc,
                                0x100000000, 0x7ffffffffffffffc, ~0ull & ~3ull, 1ull << 63};
    static const uint32_t msrs[] = {MSR_WALL_CLOCK, MSR_SYSTEM_TIME, MSR_PV_EOI};
    verdict v = BLOCKED;

    for (unsigned m = 0; m < 3; m++)
        for (unsigned i = 0; i < sizeof(nowhere) / sizeof(nowhere[0]); i++)
            /* The last word of the RAM is room for the EOI's four bytes. */
            if (!(m == 2 && i == 1) && kit_wrmsr(msrs[m], nowhere[i] | (m > 0)) != VEC_GP)
                v = m == 0 ? "the wall clock" : m == 1 ? "the clock" : "the EOI";
    return v;
}
