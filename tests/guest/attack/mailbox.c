/* SPDX-License-Identifier: BSD-2-Clause */
/* A VF that talks nonsense to the PF: random and malformed messages, some before any reset, some without waiting for the answer. Those that ask
 * for what a VF may not have get a NACK, and the reset handshake still works. */
#include "tests/guest/attack/attack.h"

#define COUNT       1500
#define FLOOD_MS    20000 /* or as many as went by then: on a busy emulator reads of registers are slow */
#define FLOOD_TURNS 5000  /* a flood does not wait for those who make it wait */

static void nonsense(struct kit *k, uint32_t words[MBX_WORDS])
{
    for (unsigned i = 0; i < MBX_WORDS; i++)
        words[i] = (uint32_t)(kit_random(k) >> 16);
    if (kit_random(k) & 1)
        words[0] = (words[1] & 7) | (words[2] & 0x00ff0000); /* a type that exists, with any count */
}

/* An address that nobody has: the configuration gives this VF another. */
static bool takes_mac(struct kit *k)
{
    uint32_t words[MBX_WORDS] = {MSG_SET_MAC, 0x00000002, 0x7700};

    return vf_mailbox_send(&k->vf, words, 3) && !(vf_mailbox_answer(&k->vf, words, 0) & MSG_NACK);
}

verdict attack_mailbox(struct kit *k)
{
    unsigned turns = k->vf.turns, nacks = 0;
    uint64_t end = time_ms() + FLOOD_MS;
    uint8_t mac[6];
    uint32_t words[MBX_WORDS];

    if (takes_mac(k))
        return "an address of its own choice";
    memcpy(mac, k->vf.mac, 6);
    k->vf.turns = FLOOD_TURNS;
    for (unsigned i = 0; i < COUNT && (!nacks || time_ms() < end); i++) {
        nonsense(k, words);
        if (kit_random(k) % 4 == 0) { /* rings the bell, whoever owns the buffer, and does not wait */
            vf_write(&k->vf, VF_VMBMEM, words[0]);
            vf_write(&k->vf, VF_MAILBOX, words[1] & 0xf);
        } else if (vf_mailbox_send(&k->vf, words, MBX_WORDS)) {
            nacks += (vf_mailbox_answer(&k->vf, words, 0) & MSG_NACK) != 0;
        }
    }
    k->vf.turns = turns;
    for (unsigned tries = 0; tries < 5; tries++)
        if (vf_reset(&k->vf))
            return !nacks                             ? "no NACK"
                   : !memory_equal(mac, k->vf.mac, 6) ? "another MAC"
                   : kit_works(k)                     ? BLOCKED
                                                      : "no traffic any more";
    return "the PF does not answer any more";
}
