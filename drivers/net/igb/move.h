/* SPDX-License-Identifier: BSD-2-Clause */
/* Moving a guest between VFs of one 82576 or two: move.c has the steps of drivers/net/vf/vf.h, park.c the parking queue, late.c what follows on another NIC. */
#pragma once

#include "drivers/net/igb/igb.h"
#include "drivers/net/vf/vf.h"

#define IGB_MOVE_RECORD 3    /* version of struct igb_record */
#define IGB_MOVE_RING   4096 /* descriptors of a guest's ring, at most */
#define IGB_MOVE_FIXED  8

/* All that a VF's first queue pair and its vectors hold, and what no register of the destination's says. */
struct igb_record {
    uint32_t version, length;
    uint32_t from, to;
    uint32_t fixed[IGB_MOVE_FIXED]; /* registers that only a driver's set-up changes: move.c names them */
    uint32_t rxdctl, txdctl, rxctl, txctl;
    uint32_t rdh, rdt, tdh, tdt;
    uint32_t vtivar, vtivar_misc, eims, eiac, eiam, eitr[3];
    uint32_t left; /* frames that are still parked */
    struct igb_vlans vlans;
    uint32_t split;                  /* PSRTYPE */
    uint32_t signals;                /* P2VMAILBOX: what the VF has not read */
    uint32_t message[IGB_MSG_WORDS]; /* of a guest that is saved: its mailbox */
    struct igb_kept_vf vf;
};
_Static_assert(sizeof(struct igb_record) <= 512, "fits the hypervisor's record");

struct igb_move {
    const struct vf_host *host;
    struct igb *src, *dst; /* may be the same */
    struct igb_record r;
    struct vf_figures figures;
    uint32_t rx_at, tx_at;                /* heads of the destination */
    bool unpacked;                        /* there is no source: `r` is of a guest that was saved */
    bool steered, stopped, loaded, flows; /* how far it has come */
};

struct igb_parked {
    struct nic_buf *frame;
    union igb_rxd d; /* as the device wrote it back at the frame's end */
};

extern const struct vf_ops igb_vf_ops;

void igb_park_prepare(struct igb *g, unsigned vf);
/* Points the guest's addresses to a pool. */
void igb_park_steer(const struct igb *g, unsigned pool);
void igb_park_clone(bool on);
/* The addresses get the entries of the new VF; and leave those of the old. */
void igb_park_land(struct igb *g, unsigned to);
void igb_park_leave(struct igb *g);
/* They are n; the array stays until the next igb_park_prepare(). */
const uint8_t (*igb_park_macs(unsigned *n))[NIC_MAC_LEN];
/* rings.c has received a frame while a guest moves; true if the buffer is the queue's now. */
bool igb_park_take(struct igb *g, struct nic_buf *frame, const union igb_rxd *d);
/* The next frame that the guest has not got, or NULL; and that it has got it now. igb_park_undone() takes all that back. */
struct igb_parked *igb_park_next(void);
void igb_park_done(void);
unsigned igb_park_undone(void);
unsigned igb_park_left(void);
/* Sends the next one to the guest through the switch of its NIC. */
void igb_park_loop(struct igb *g, struct vf_figures *f);
void igb_park_close(void);

/* Tells the network once where that address is, in each of these VLANs. */
void igb_announce(struct igb *g, const uint8_t mac[NIC_MAC_LEN], const struct igb_vlans *v);
/* Sends a frame on as it came, with the tag that was taken off. */
int igb_pass_on(struct igb *g, const struct nic_buf *frame, const union igb_rxd *d);

/*
 * After a move to another NIC: what still comes to the source's uplink is handed on to the destination, and the network is told, now and at each
 * igb_late_announce(), until that is called for the last time, or a move begins. igb_late_listen(): before the source's VF loses the addresses.
 */
void igb_late_begin(struct igb *src, struct igb *dst, const struct igb_vlans *v);
void igb_late_listen(void);
unsigned igb_late_announce(bool last);
void igb_late_end(void);
/* rings.c has received a frame; true if it was such a one, and has been handed on. */
bool igb_late_take(const struct igb *g, const struct nic_buf *frame, const union igb_rxd *d);
