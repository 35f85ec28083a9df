/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Is a VF handed over clean? Looks at everything that it can reach of its VF for a trace of who had it before:
 * registers of both queues, vectors, mailbox, MSI-X table, and by frames to itself the filters that only the PF
 * sees. Then it leaves as many traces as it can, proves by the same frames that they are there, and sleeps until
 * it is stopped. One line in the hypervisor's log says what came of it: `handover: clean` or `handover: FOUND ...`.
 */
#include "tests/guest/lib/vf.h"
#include "vm/abi/hypercall.h"

#define CAP_MSIX     0x11
#define MSIX_VECTORS 3
#define MSIX_BAR     0x1c /* BAR 3 */
#define MSIX_ON      0x8000
#define PBA          0x2000

#define MSG_SET_MAC       0x2u
#define MSG_SET_MULTICAST 0x3u
#define MSG_SET_VLAN      0x4u
#define MSG_SET_LPE       0x5u
#define MSG_SET_PROMISC   0x6u
#define MSG_INFO(n)       ((uint32_t)(n) << 16)

#define VLAN      7
#define ETH_VLAN  0x8100
#define ETH_LOCAL 0x88b5
#define PAYLOAD   64
#define SECRET    0x5ec2e7a7u

/*
 * What a VF reads and writes (datasheet 8.26). `value` is what it leaves there; where a register's value after a
 * reset is not zero, `look` leaves those bits out.
 */
static const struct {
    const char *name;
    uint32_t reg, step; /* from queue to queue, or vector to vector, or 0 */
    unsigned n;
    uint32_t value, look;
} regs[] = {
    {"eims", 0x1524, 0, 1, 7, ~0u},
    {"eiac", 0x152c, 0, 1, 7, ~0u},
    {"eiam", 0x1530, 0, 1, 7, ~0u},
    {"eicr", 0x1580, 0, 1, 7, ~0u},
    {"eitr", 0x1680, 4, 3, 0x1234, ~0u},
    {"ivar", 0x1700, 0, 1, 0x83828180, ~0u},
    {"ivar-misc", 0x1740, 0, 1, 0x82, ~0u},
    {"psrtype", 0x0f0c, 0, 1, 0x10, ~0u},
    {"rxdctl", 0x2828, 0x100, 2, DCTL_ENABLE | 0x10101, ~0u},
    {"rdbal", 0x2800, 0x100, 2, 0x300000, ~0u},
    {"rdbah", 0x2804, 0x100, 2, SECRET, ~0u},
    {"rdlen", 0x2808, 0x100, 2, 0x100, ~0u},
    {"srrctl", 0x280c, 0x100, 2, SRRCTL_ONEBUF | 0x400, ~0u},
    {"rdh", 0x2810, 0x100, 2, 3, ~0u},
    {"rdt", 0x2818, 0x100, 2, 3, ~0u},
    {"rxctl", 0x2814, 0x100, 2, 0x5a0000e0, ~0xaa00u},
    {"txdctl", 0x3828, 0x100, 2, 0x10101, ~0u}, /* not enabled: then TDT would send */
    {"tdbal", 0x3800, 0x100, 2, 0x301000, ~0u},
    {"tdbah", 0x3804, 0x100, 2, SECRET, ~0u},
    {"tdlen", 0x3808, 0x100, 2, 0x100, ~0u},
    {"tdh", 0x3810, 0x100, 2, 5, ~0u},
    {"tdt", 0x3818, 0x100, 2, 5, ~0u},
    {"txctl", 0x3814, 0x100, 2, 0x5a0000e0, ~0xaa00u},
    {"tdwbal", 0x3838, 0x100, 2, 0x302000, ~0u},
    {"tdwbah", 0x383c, 0x100, 2, SECRET, ~0u},
    {"vmbmem", VF_VMBMEM, 4, MBX_WORDS, SECRET, ~0u},
};

static char text[256];
static unsigned used;

static void say(const char *what, uint32_t value)
{
    while (*what && used < sizeof(text) - 12)
        text[used++] = *what++;
    text[used++] = ' ';
    for (int shift = 28; shift >= 0; shift -= 4)
        text[used++] = "0123456789abcdef"[value >> shift & 15];
    text[used++] = ' ';
}

/* Notes what is there and should not be. */
static unsigned look(const char *name, uint32_t value)
{
    if (value && used < sizeof(text) - 40)
        say(name, value);
    return value != 0;
}

static unsigned find_registers(const struct vf *vf)
{
    unsigned found = 0;

    for (unsigned r = 0; r < sizeof(regs) / sizeof(regs[0]); r++)
        for (unsigned i = 0; i < regs[r].n; i++)
            found += look(regs[r].name, vf_read(vf, regs[r].reg + i * regs[r].step) & regs[r].look);
    found += look("mailbox", vf_read(vf, VF_MAILBOX) & (MBX_VFU | MBX_PFU | MBX_PFSTS | MBX_PFACK));
    return found;
}

static void leave_registers(const struct vf *vf)
{
    for (unsigned r = 0; r < sizeof(regs) / sizeof(regs[0]); r++)
        for (unsigned i = 0; i < regs[r].n; i++)
            vf_write(vf, regs[r].reg + i * regs[r].step, regs[r].value);
}

static unsigned msix_cap(const struct vf *vf)
{
    unsigned cap = pci_read(vf->bdf, 0x34, 1);

    while (cap && pci_read(vf->bdf, cap, 1) != CAP_MSIX)
        cap = pci_read(vf->bdf, cap + 1, 1);
    return cap;
}

static unsigned find_msix(const struct vf *vf, uint64_t table)
{
    unsigned found = look("msix-control", pci_read(vf->bdf, msix_cap(vf) + 2, 2) & 0xc000);

    for (unsigned i = 0; i < 4 * MSIX_VECTORS; i++)
        found += look("msix-table", mmio_read(table + 4 * i) ^ (i % 4 == 3));
    return found + look("msix-pending", mmio_read(table + PBA));
}

/* All three to this CPU, unmasked; nobody takes them. */
static void leave_msix(const struct vf *vf, uint64_t table)
{
    unsigned cap = msix_cap(vf);

    for (unsigned i = 0; i < MSIX_VECTORS; i++) {
        mmio_write(table + 16 * i, 0xfee00000);
        mmio_write(table + 16 * i + 8, 0x50 + i);
        mmio_write(table + 16 * i + 12, 0);
    }
    pci_write(vf->bdf, cap + 2, 2, MSIX_ON);
}

/* --- filters, seen by frames to oneself --- */

static uint8_t in[4096] __attribute__((aligned(4096)));
static uint8_t out[PAYLOAD], header[14];
static const uint8_t left_mac[6] = {2, 0xaa, 0xbb, 0, 0, 1}, left_extra[6] = {2, 0xaa, 0xbb, 0, 0, 2};
static const uint8_t left_group[6] = {1, 0, 0x5e, 0, 0x12, 0x34};

/* Whether a frame to that address arrives. */
static unsigned arrives(struct vf *vf, const uint8_t *to, unsigned vlan)
{
    memcpy(header, to, 6);
    memcpy(header + 6, vf->mac, 6);
    header[12] = (uint8_t)((vlan ? ETH_VLAN : ETH_LOCAL) >> 8);
    header[13] = (uint8_t)(vlan ? ETH_VLAN : ETH_LOCAL);
    out[0] = 0;
    out[1] = (uint8_t)vlan;
    out[2] = ETH_LOCAL >> 8;
    out[3] = (uint8_t)ETH_LOCAL;
    vf_start(vf);
    vf_give(vf, (uint64_t)in);
    vf_send(vf, header, (uint64_t)out, PAYLOAD);
    return vf_received(vf) != 0;
}

/* A bit for each way that a frame came in. */
static unsigned ways_in(struct vf *vf, const uint8_t *own)
{
    return arrives(vf, own, 0) | arrives(vf, left_mac, 0) << 1 | arrives(vf, left_extra, 0) << 2 |
           arrives(vf, left_group, 0) << 3 | arrives(vf, own, VLAN) << 4;
}

#define WAYS_CLEAN 0x01u
#define WAYS_DIRTY 0x1fu /* `own` is left_mac by then */

static bool ask(struct vf *vf, uint32_t w0, uint32_t w1, uint32_t w2)
{
    const uint32_t words[] = {w0, w1, w2};
    bool taken = vf_mailbox_send(vf, words, 3);
    uint32_t answer = taken ? vf_mailbox_answer(vf, NULL, 0) : 0;

    if (!(answer & MSG_ACK))
        say(taken ? "the PF answers" : "the PF does not take", taken ? answer : w0);
    return answer & MSG_ACK;
}

static bool ask_mac(struct vf *vf, uint32_t type, const uint8_t *mac)
{
    uint32_t words[2] = {0};

    memcpy(words, mac, 6);
    return ask(vf, type, words[0], words[1]);
}

static bool leave_filters(struct vf *vf)
{
    /* The hash of left_group: bits 47:36 of the address (datasheet 8.10.15, MO 0). */
    uint32_t hash = (uint32_t)(left_group[4] >> 4 | left_group[5] << 4);

    return ask_mac(vf, MSG_SET_MAC, left_mac) && ask_mac(vf, MSG_SET_MAC | MSG_INFO(2), left_extra) &&
           ask(vf, MSG_SET_MULTICAST | MSG_INFO(1), hash, 0) &&
           ask(vf, MSG_SET_VLAN | MSG_INFO(1), VLAN, 0) && ask(vf, MSG_SET_LPE, 9000, 0) &&
           ask(vf, MSG_SET_PROMISC | MSG_INFO(2), 0, 0);
}

static bool handshake(struct vf *vf)
{
    uint32_t message = MSG_RESET, answer[3];

    if (!vf_mailbox_send(vf, &message, 1) || !(vf_mailbox_answer(vf, answer, 3) & MSG_ACK))
        return false;
    memcpy(vf->mac, &answer[1], 6);
    return true;
}

_Noreturn static void report(const char *verdict)
{
    char line[256];
    unsigned n = 0;

    for (const char *c = "handover: "; *c; c++)
        line[n++] = *c;
    while (*verdict)
        line[n++] = *verdict++;
    memcpy(line + n, text, used < sizeof(line) - n ? used : sizeof(line) - n);
    n += used < sizeof(line) - n ? used : (unsigned)sizeof(line) - n;
    hypercall(HC_LOG, (uint64_t)line, n, 0);
    for (;;)
        __asm__ volatile("cli; hlt");
}

int main(const char *cmdline)
{
    struct vf vf;
    uint64_t table;
    unsigned found, ways;

    (void)cmdline;
    if (!vf_find(&vf))
        report("no VF");
    table = pci_read(vf.bdf, MSIX_BAR, 4) & ~15u;
    found = find_registers(&vf) + find_msix(&vf, table);
    if (!handshake(&vf) || !vf_wait_link(&vf))
        report("FOUND no answer to the handshake, or no link ");
    ways = ways_in(&vf, vf.mac);
    found += look("ways-in", ways ^ WAYS_CLEAN);
    if (found)
        report("FOUND ");
    if (!leave_filters(&vf))
        report("cannot set its filters ");
    ways = ways_in(&vf, left_mac);
    if (ways != WAYS_DIRTY) {
        say("sees not what it left:", ways);
        report("");
    }
    leave_msix(&vf, table);
    ask(&vf, SECRET & 0xffff, SECRET, SECRET); /* a message that nobody knows */
    used = 0;
    vf_mailbox_send(&vf, (const uint32_t[]){SECRET & 0xffff}, 1); /* and one whose answer is not read */
    vf_write(&vf, VF_MAILBOX, MBX_VFU);
    leave_registers(&vf);
    report("clean");
}
