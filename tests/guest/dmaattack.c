/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Can a guest reach foreign memory with the DMA of its VF? It asks for lines `NAME ADDRESS ADDRESS...` on its
 * console: what is there, and where in the machine (0x...); an empty line ends them. At each address
 * it reads by sending what is there to itself, writes by receiving there, and has its descriptor rings there.
 * What it learns it prints; whether memory changed the test that started it looks up from outside. Before
 * and after it sends itself a frame in the regular way; the line `again` has it start its VF anew and do so. `pf=1`: on a machine without IOMMU, where it sets the
 * PF up itself; then every attack must succeed, which shows that it would notice.
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

static void read_attack(struct vf *vf, const char *name, uint64_t target)
{
    uint64_t sum = 0;
    unsigned n;

    vf_start(vf);
    memset(in, 0, sizeof(in));
    n = loop(vf, target, (uint64_t)in);
    for (unsigned i = 14; i < 14 + PAYLOAD; i++)
        sum |= in[i];
    if (n && sum)
        print("dmaattack: %s read %lx LEAKED\n", name, target);
    else
        print("dmaattack: %s read %lx %s\n", name, target, n ? "zeros" : "nothing");
}

static void write_attack(struct vf *vf, const char *name, uint64_t target)
{
    uint64_t secret = SECRET;

    vf_start(vf);
    for (unsigned i = 0; i < PAYLOAD; i += 8)
        memcpy(out + i, &secret, 8);
    print("dmaattack: %s write %lx %s\n", name, target,
          loop(vf, (uint64_t)out, target) ? "taken" : "nothing");
}

static void ring_attack(struct vf *vf, const char *name, uint64_t target)
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
    print("dmaattack: %s ring %lx heads %x %x\n", name, target, vf_read(vf, VF_TDH), vf_read(vf, VF_RDH));
}

static bool is(const char *word, const char *what)
{
    while (*word && *word == *what)
        word++, what++;
    return *word == *what;
}

/* Cuts the word at *text off and moves on behind it. */
static const char *next_word(char **text)
{
    char *word = *text, *end = word;

    while (*end && *end != ' ')
        end++;
    *text = *end ? end + 1 : end;
    *end = 0;
    return word;
}

/* False at the empty line that ends the attack. */
static bool attack_line(struct vf *vf)
{
    char line[256], *rest = line;
    const char *name;

    print("dmaattack: what and where?\n");
    read_line(line, sizeof(line));
    name = next_word(&rest);
    if (is(name, "again"))
        print("dmaattack: own traffic %s\n", vf_reset(vf) && own_traffic(vf) ? "works again" : "fails still");
    while (*rest) {
        uint64_t target = number(next_word(&rest), NULL);

        read_attack(vf, name, target);
        write_attack(vf, name, target);
        ring_attack(vf, name, target);
    }
    return *name;
}

int main(const char *cmdline)
{
    struct vf vf;
    bool found = option(cmdline, "pf", 0) ? pf_start(&vf) : vf_find(&vf) && vf_reset(&vf);

    if (!found || !vf_wait_link(&vf)) {
        print("dmaattack: no VF\n");
        return 1;
    }
    vf_header(&vf, header);
    print("dmaattack: VF at %x, own traffic %s\n", vf.bdf, own_traffic(&vf) ? "works" : "fails");
    while (attack_line(&vf))
        ;
    print("dmaattack: own traffic %s\n", own_traffic(&vf) ? "works" : "fails");
    print("dmaattack: done\n");
    return 0;
}
