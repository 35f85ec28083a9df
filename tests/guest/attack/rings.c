/* SPDX-License-Identifier: BSD-2-Clause */
/* Do registers of the rings that say nonsense take the NIC out of the guest's memory, or down for the others? */
#include "tests/guest/attack/attack.h"

#define ROUNDS 300

static const uint32_t registers[] = {VF_RDBAL, VF_RDBAH, VF_RDLEN, VF_RDH, VF_RDT, VF_SRRCTL, VF_RXDCTL,
                                     VF_TDBAL, VF_TDBAH, VF_TDLEN, VF_TDH, VF_TDT, VF_TXDCTL};

verdict attack_rings(struct kit *k)
{
    static const uint32_t values[] = {0,       1,        0x7f,       0x80,       0xffff,
                                      0x10000, 0xffff80, 0x80000000, 0xffffffff, 0xfee00000};

    for (unsigned i = 0; i < ROUNDS; i++) {
        uint64_t r = kit_random(k);

        if (i % 16 == 0)
            vf_start(&k->vf);
        vf_write(&k->vf, registers[r % (sizeof(registers) / sizeof(registers[0]))],
                 r >> 8 & 1 ? values[(r >> 16) % (sizeof(values) / sizeof(values[0]))] : (uint32_t)(r >> 32));
    }
    if (!k->is_pf && !vf_reset(&k->vf))
        return "the function is gone";
    return kit_works(k) ? BLOCKED : "the function does not work any more";
}
