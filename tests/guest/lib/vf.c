/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/guest/lib/vf.h"

#define VF_ID                                                                                                \
    0x10ca8086u /* as VF in a guest: the hypervisor fills in what the hardware leaves at ffff:ffff */
#define PCI_COMMAND 4
#define PCI_BAR0    0x10
#define COMMAND_ON  6 /* memory, bus master */
#define WAIT_TURNS  2000000u
#define MBX_TURNS   (10 * WAIT_TURNS)     /* some 2 s: on a busy host the PF's driver answers late */
#define TX_DATA     (3u << 20 | 1u << 29) /* advanced data descriptor */
#define TX_IFCS     (1u << 25)
#define TX_EOP      (1u << 24)
#define TX_RS       (1u << 27)
#define TX_PAYLEN   46 /* shift in the descriptor's second word */
#define RX_DONE     1u
#define TX_DONE     (1ull << 32)

static struct vf_desc tx_ring[VF_RING] __attribute__((aligned(4096)));
static struct vf_desc rx_ring[VF_RING] __attribute__((aligned(4096)));

static uint64_t address(const struct vf *vf, uint32_t reg)
{
    uint32_t queue = reg >> 8 == VF_RDBAL >> 8 ? vf->rxq : reg >> 8 == VF_TDBAL >> 8 ? vf->txq : 0;

    return vf->regs + reg + queue;
}

uint32_t vf_read(const struct vf *vf, uint32_t reg)
{
    return mmio_read(address(vf, reg));
}

void vf_write(const struct vf *vf, uint32_t reg, uint32_t v)
{
    mmio_write(address(vf, reg), v);
}

void vf_init(struct vf *vf, unsigned bdf, uint64_t regs)
{
    *vf = (struct vf){.bdf = bdf, .regs = regs, .turns = MBX_TURNS, .tx_ring = tx_ring, .rx_ring = rx_ring};
}

bool vf_find(struct vf *vf)
{
    for (unsigned bdf = 0; bdf < 256; bdf++) {
        if (pci_read(bdf, 0, 4) != VF_ID)
            continue;
        vf_init(vf, bdf,
                (uint64_t)pci_read(bdf, PCI_BAR0 + 4, 4) << 32 | (pci_read(bdf, PCI_BAR0, 4) & ~15u));
        pci_write(bdf, PCI_COMMAND, 2, COMMAND_ON);
        return vf->regs && vf->regs < 1ull << 32;
    }
    return false;
}

static uint32_t read_mailbox(struct vf *vf)
{
    uint32_t now = vf_read(vf, VF_MAILBOX);

    vf->seen |= now & MBX_R2C;
    return now;
}

/* One read may bring the acknowledgement and the answer at once: what is not waited for now is kept. */
static bool wait_mailbox(struct vf *vf, uint32_t bits)
{
    for (unsigned i = 0; i < vf->turns; i++) {
        read_mailbox(vf);
        if (vf->seen & bits) {
            vf->seen &= ~bits;
            return true;
        }
    }
    return false;
}

/* The PF has the buffer now and then, for a moment. */
static bool take_buffer(struct vf *vf)
{
    for (unsigned i = 0; i < vf->turns; i++) {
        vf_write(vf, VF_MAILBOX, MBX_VFU);
        if (read_mailbox(vf) & MBX_VFU)
            return true;
    }
    return false;
}

bool vf_mailbox_send(struct vf *vf, const uint32_t *words, unsigned n)
{
    if (!take_buffer(vf))
        return false;
    vf->seen = 0; /* answers to what was asked before */
    for (unsigned i = 0; i < n && i < MBX_WORDS; i++)
        vf_write(vf, VF_VMBMEM + 4 * i, words[i]);
    vf_write(vf, VF_MAILBOX, MBX_REQ);
    return wait_mailbox(vf, MBX_PFACK);
}

uint32_t vf_mailbox_answer(struct vf *vf, uint32_t *words, unsigned n)
{
    uint32_t first;

    if (!wait_mailbox(vf, MBX_PFSTS))
        return 0;
    vf_write(vf, VF_MAILBOX, MBX_VFU);
    first = vf_read(vf, VF_VMBMEM);
    for (unsigned i = 0; i < n && i < MBX_WORDS; i++)
        words[i] = vf_read(vf, VF_VMBMEM + 4 * i);
    vf_write(vf, VF_MAILBOX, MBX_ACK);
    return first;
}

bool vf_reset(struct vf *vf)
{
    uint32_t message = MSG_RESET, answer[3];

    vf_write(vf, 0, 1u << 26); /* VTCTRL.RST */
    wait_mailbox(vf, MBX_RSTD);
    if (!vf_mailbox_send(vf, &message, 1) || !(vf_mailbox_answer(vf, answer, 3) & MSG_ACK))
        return false;
    memcpy(vf->mac, &answer[1], 6);
    return true;
}

void vf_start(struct vf *vf)
{
    memset(tx_ring, 0, sizeof(tx_ring));
    memset(rx_ring, 0, sizeof(rx_ring));
    vf->tx = vf->rx = 0;
    vf_write(vf, VF_TXDCTL, 0);
    vf_write(vf, VF_RXDCTL, 0);
    vf_write(vf, VF_TDBAL, (uint32_t)(uint64_t)tx_ring);
    vf_write(vf, VF_TDBAH, 0);
    vf_write(vf, VF_TDLEN, sizeof(tx_ring));
    vf_write(vf, VF_TDH, 0);
    vf_write(vf, VF_RDBAL, (uint32_t)(uint64_t)rx_ring);
    vf_write(vf, VF_RDBAH, 0);
    vf_write(vf, VF_RDLEN, sizeof(rx_ring));
    vf_write(vf, VF_SRRCTL, SRRCTL_ONEBUF);
    vf_write(vf, VF_RDH, 0);
    vf_write(vf, VF_TXDCTL, DCTL_ENABLE);
    vf_write(vf, VF_RXDCTL, DCTL_ENABLE);
    vf_write(vf, VF_TDT, 0);
    vf_write(vf, VF_RDT, 0);
}

bool vf_wait_link(const struct vf *vf)
{
    for (unsigned i = 0; i < 10 * WAIT_TURNS; i++)
        if (vf_read(vf, VF_STATUS) & STATUS_LU)
            return true;
    return false;
}

static void put_tx(struct vf *vf, uint64_t address, unsigned n, unsigned whole, uint32_t flags)
{
    tx_ring[vf->tx] = (struct vf_desc){address, (uint64_t)whole << TX_PAYLEN | TX_DATA | TX_IFCS | flags | n};
    vf->tx = (vf->tx + 1) % VF_RING;
}

bool vf_send(struct vf *vf, const void *header, uint64_t payload, unsigned n)
{
    unsigned last;

    put_tx(vf, (uint64_t)header, 14, 14 + n, 0);
    last = vf->tx;
    put_tx(vf, payload, n, 14 + n, TX_EOP | TX_RS);
    __asm__ volatile("sfence" ::: "memory");
    vf_write(vf, VF_TDT, vf->tx);
    for (unsigned i = 0; i < WAIT_TURNS / 100; i++)
        if (((volatile struct vf_desc *)tx_ring)[last].rest & TX_DONE)
            return true;
    return false;
}

void vf_give(struct vf *vf, uint64_t buffer)
{
    rx_ring[vf->rx] = (struct vf_desc){buffer, 0};
    __asm__ volatile("sfence" ::: "memory");
    vf_write(vf, VF_RDT, (vf->rx + 1) % VF_RING);
}

unsigned vf_received(struct vf *vf)
{
    volatile struct vf_desc *desc = &rx_ring[vf->rx];

    for (unsigned i = 0; i < WAIT_TURNS / 100; i++) {
        uint64_t rest = desc->rest;
        if (rest & RX_DONE) {
            vf->rx = (vf->rx + 1) % VF_RING;
            return rest >> 32 & 0xffff;
        }
    }
    return 0;
}

void vf_give_all(struct vf *vf, uint8_t buffers[VF_RING][VF_BUFFER])
{
    for (unsigned i = 0; i < VF_RING; i++)
        rx_ring[i] = (struct vf_desc){(uint64_t)buffers[i], 0};
    vf->buffers = buffers;
    __asm__ volatile("sfence" ::: "memory");
    vf_write(vf, VF_RDT, VF_RING - 1);
}

uint8_t *vf_take(struct vf *vf)
{
    unsigned i = vf->rx, before = (i + VF_RING - 1) % VF_RING;

    if (!(((volatile struct vf_desc *)rx_ring)[i].rest & RX_DONE))
        return NULL;
    rx_ring[i].rest = 0;
    rx_ring[before] = (struct vf_desc){(uint64_t)vf->buffers[before], 0};
    __asm__ volatile("sfence" ::: "memory");
    vf_write(vf, VF_RDT, i);
    vf->rx = (i + 1) % VF_RING;
    return vf->buffers[i];
}

void vf_header(const struct vf *vf, uint8_t header[14])
{
    memcpy(header, vf->mac, 6);
    memcpy(header + 6, vf->mac, 6);
    header[12] = 0x88;
    header[13] = 0xb5; /* IEEE 802 local experimental */
}
