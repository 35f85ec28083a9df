/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A virtual function of the 82576, driven by hand: its mailbox, one transmit and one receive ring. Registers
 * and descriptors as in the 82576 datasheet, rev. 2.87, sections 7.1.5, 7.2.2 and 8.14 to 8.26.
 */
#pragma once

#include "tests/guest/lib/lib.h"

#define VF_STATUS  0x0008
#define VF_VMBMEM  0x0800 /* 16 words */
#define VF_MAILBOX 0x0c40
#define VF_RDBAL   0x2800
#define VF_RDBAH   0x2804
#define VF_RDLEN   0x2808
#define VF_SRRCTL  0x280c
#define VF_RDH     0x2810
#define VF_RDT     0x2818
#define VF_RXDCTL  0x2828
#define VF_TDBAL   0x3800
#define VF_TDBAH   0x3804
#define VF_TDLEN   0x3808
#define VF_TDH     0x3810
#define VF_TDT     0x3818
#define VF_TXDCTL  0x3828

#define STATUS_LU     0x2u
#define DCTL_ENABLE   (1u << 25)
#define SRRCTL_ONEBUF (1u << 25 | 2) /* advanced descriptors, one buffer of 2 KiB */

#define MBX_REQ   0x1u
#define MBX_ACK   0x2u
#define MBX_VFU   0x4u
#define MBX_PFU   0x8u
#define MBX_PFSTS 0x10u
#define MBX_PFACK 0x20u
#define MBX_RSTI  0x40u
#define MBX_RSTD  0x80u
#define MBX_R2C   (MBX_PFSTS | MBX_PFACK | MBX_RSTD) /* go away when read */
#define MBX_WORDS 16

#define MSG_RESET   0x1u
#define MSG_SET_MAC 0x2u
#define MSG_ACK     0x80000000u
#define MSG_NACK    0x40000000u

#define VF_RING   32
#define VF_FRAME  128
#define VF_BUFFER 2048

struct vf_desc {
    uint64_t address, rest;
};

struct vf {
    unsigned bdf;
    uint64_t regs;
    uint8_t mac[6];
    uint32_t seen;     /* MBX_R2C bits that a read has taken and nobody has used yet */
    unsigned turns;    /* reads of the mailbox before an answer counts as missing */
    unsigned tx, rx;   /* next descriptor of each ring */
    uint32_t txq, rxq; /* added to the numbers of the transmit and receive queue's registers: 0 of a VF */
    struct vf_desc *tx_ring, *rx_ring;
    uint8_t (*buffers)[VF_BUFFER];
};

/* The first 8086:10ca on bus 0, with its memory and bus mastering switched on. */
bool vf_find(struct vf *vf);

/* For a VF that is known otherwise; and the start of such a one: pf.c makes VF 0 of a bare machine's PF talk
 * to itself. */
void vf_init(struct vf *vf, unsigned bdf, uint64_t regs);
bool pf_start(struct vf *vf);

/* Sends a message of n words; false if the PF has not taken it within the time. The answer's first word, 0 if
 * none came. */
bool vf_mailbox_send(struct vf *vf, const uint32_t *words, unsigned n);
uint32_t vf_mailbox_answer(struct vf *vf, uint32_t *words, unsigned n);

/* The reset handshake: takes the MAC that the PF gives. */
bool vf_reset(struct vf *vf);

/* Both rings in this guest's memory, every receive buffer too. */
void vf_start(struct vf *vf);
bool vf_wait_link(const struct vf *vf);

/* One frame of a header of ours and n bytes at `payload`. False if the descriptor was not taken. */
bool vf_send(struct vf *vf, const void *header, uint64_t payload, unsigned n);

/* Gives the NIC one buffer at that address to receive into. */
void vf_give(struct vf *vf, uint64_t buffer);

/* The same for a whole ring of buffers, VF_RING - 1 of them at a time: vf_take() returns the one that a frame has arrived in, or NULL, and
 * gives the one before it again. */
void vf_give_all(struct vf *vf, uint8_t buffers[VF_RING][VF_BUFFER]);
uint8_t *vf_take(struct vf *vf);

/* Length of the frame that arrived in the oldest buffer given, 0 if none did. */
unsigned vf_received(struct vf *vf);

/* A header from this VF to itself. */
void vf_header(const struct vf *vf, uint8_t header[14]);

uint32_t vf_read(const struct vf *vf, uint32_t reg);
void vf_write(const struct vf *vf, uint32_t reg, uint32_t v);
