/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Can a guest reach foreign memory with the DMA of its VF? `targets=A,B,...` are addresses (host physical
 * ones as far as the guest can guess). At each: reads it by sending it to itself, writes it by receiving
 * there, and uses it as a descriptor ring. What it learns it prints; whether memory changed the test that
 * started it looks up from outside. Before and after it sends itself a frame in the regular way. `pf=1`: on a
 * machine of its own, where it sets the PF up itself; then every attack must succeed, which shows that it
 * would notice.
 */
#include "tests/guest/lib/vf.h"

#define PAYLOAD 128
#define SECRET  0x5ec2e7a77ac40000ull

static uint8_t out[PAYLOAD] __attribute__((aligned(4096)));
static uint8_t in[4096] __attribute__((aligned(4096)));
static uint8_t header[14];

/* Length of what arrived. The first frame after one whose memory was blocked may be lost: three tries. */
static unsigned loop(struct vf *vf, uint64_t payload, uint64_t buffer)
{
    unsigned n = 0;

    vf_give(vf, buffer);
    for (unsigned tries = 0; tries < 3 && !n; tries++) {
        vf_send(vf, header, payload, PAYLOAD);
        n = vf_received(vf);
    }
    return n;
}

static bool own_traffic(struct vf *vf)
{
    vf_start(vf);
    for (unsigned i = 0; i < PAYLOAD; i++)
        out[i] = (uint8_t)i;
    memset(in, 0, sizeof(in));
    return loop(vf, (uint64_t)out, (uint64_t)in) && memory_equal(in + 14, out, PAYLOAD);
}

static void read_attack(struct vf *vf, uint64_t target)
{
    uint64_t sum = 0;
    unsigned n;

    vf_start(vf);
    memset(in, 0, sizeof(in));
    n = loop(vf, target, (uint64_t)in);
    for (unsigned i = 14; i < 14 + PAYLOAD; i++)
        sum |= in[i];
    if (n && sum)
        print("dmaattack: read %lx LEAKED %08lx%08lx\n", target, *(uint64_t *)(in + 14),
              *(uint64_t *)(in + 22));
    else
        print("dmaattack: read %lx %s\n", target, n ? "zeros" : "nothing");
}

static void write_attack(struct vf *vf, uint64_t target)
{
    uint64_t secret = SECRET;

    vf_start(vf);
    for (unsigned i = 0; i < PAYLOAD; i += 8)
        memcpy(out + i, &secret, 8);
    print("dmaattack: write %lx %s\n", target, loop(vf, (uint64_t)out, target) ? "taken" : "nothing");
}

static void ring_attack(struct vf *vf, uint64_t target)
{
    vf_start(vf);
    vf_write(vf, VF_TXDCTL, 0);
    vf_write(vf, VF_TDBAL, (uint32_t)target);
    vf_write(vf, VF_TDBAH, (uint32_t)(target >> 32));
    vf_write(vf, VF_TXDCTL, DCTL_ENABLE);
    vf_write(vf, VF_TDT, 4);
    vf_write(vf, VF_RXDCTL, 0);
    vf_write(vf, VF_RDBAL, (uint32_t)target);
    vf_write(vf, VF_RDBAH, (uint32_t)(target >> 32));
    vf_write(vf, VF_RXDCTL, DCTL_ENABLE);
    vf_write(vf, VF_RDT, 8);
    vf_send(vf, header, (uint64_t)out, PAYLOAD);
    print("dmaattack: ring %lx heads %x %x\n", target, vf_read(vf, VF_TDH), vf_read(vf, VF_RDH));
}

int main(const char *cmdline)
{
    struct vf vf;
    const char *targets = option_text(cmdline, "targets");
    bool found = option(cmdline, "pf", 0) ? pf_start(&vf) : vf_find(&vf) && vf_reset(&vf);

    if (!found || !vf_wait_link(&vf)) {
        print("dmaattack: no VF\n");
        return 1;
    }
    vf_header(&vf, header);
    print("dmaattack: VF at %x, own traffic %s\n", vf.bdf, own_traffic(&vf) ? "works" : "fails");
    while (targets && *targets >= '0' && *targets <= '9') {
        uint64_t target = number(targets, &targets);
        read_attack(&vf, target);
        write_attack(&vf, target);
        ring_attack(&vf, target);
        targets += *targets == ',';
    }
    print("dmaattack: own traffic %s\n", own_traffic(&vf) ? "works" : "fails");
    print("dmaattack: done\n");
    return 0;
}
