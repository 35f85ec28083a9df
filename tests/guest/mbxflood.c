/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VF that talks nonsense to the PF: random and malformed messages `count=` times (default 20000), some
 * before any reset, some without waiting for the answer. Then a reset handshake, which must still work.
 */
#include "tests/guest/lib/vf.h"

#define FLOOD_TURNS 20000 /* a flood does not wait for those who make it wait */
#define RESET_TURNS 2000000

static uint64_t seed = 0x2545f4914f6cdd1dull;

static uint32_t random32(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 16);
}

static void nonsense(uint32_t words[MBX_WORDS])
{
    for (unsigned i = 0; i < MBX_WORDS; i++)
        words[i] = random32();
    if (random32() & 1)
        words[0] = (random32() & 7) | (random32() & 0x00ff0000); /* a type that exists, with any count */
}

int main(const char *cmdline)
{
    uint64_t count = option(cmdline, "count", 20000), acks = 0, nacks = 0, silent = 0, unasked = 0;
    uint32_t words[MBX_WORDS];
    struct vf vf;

    if (!vf_find(&vf)) {
        print("mbxflood: no VF\n");
        return 1;
    }
    print("mbxflood: starts\n");
    vf.turns = FLOOD_TURNS;
    for (uint64_t i = 0; i < count; i++) {
        nonsense(words);
        if (random32() % 4 == 0) { /* rings the bell, whoever owns the buffer, and does not wait */
            vf_write(&vf, VF_VMBMEM, words[0]);
            vf_write(&vf, VF_MAILBOX, random32() & 0xf);
            unasked++;
            continue;
        }
        if (!vf_mailbox_send(&vf, words, MBX_WORDS)) {
            silent++;
            continue;
        }
        uint32_t answer = vf_mailbox_answer(&vf, words, 0);
        acks += (answer & MSG_ACK) != 0;
        nacks += (answer & MSG_NACK) != 0;
    }
    vf.turns = RESET_TURNS;
    print("mbxflood: acks %lu nacks %lu silent %lu unasked %lu\n", acks, nacks, silent, unasked);
    for (unsigned tries = 0; tries < 5; tries++) {
        if (vf_reset(&vf)) {
            print("mbxflood: reset works, mac %02x:%02x:%02x:%02x:%02x:%02x\n", vf.mac[0], vf.mac[1],
                  vf.mac[2], vf.mac[3], vf.mac[4], vf.mac[5]);
            break;
        }
    }
    print("mbxflood: done\n");
    return 0;
}
