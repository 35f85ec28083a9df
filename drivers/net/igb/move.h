/* SPDX-License-Identifier: BSD-2-Clause */
/* Moving a guest between VFs of an 82576: move.c has the steps of drivers/net/vf/vf.h, park.c the parking queue. */
#pragma once

#include "drivers/net/igb/igb.h"
#include "drivers/net/vf/vf.h"

#define IGB_MOVE_RECORD 2    /* version of struct igb_record */
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
    struct igb_kept_vf vf;
};
_Static_assert(sizeof(struct igb_record) <= 512, "fits the hypervisor's record");

struct igb_move {
    const struct vf_host *host;
    struct igb_record r;
    struct vf_figures figures;
    uint32_t rx_at, tx_at;         /* heads of the destination */
    uint32_t signals;              /* P2VMAILBOX: what the VF has not read */
    bool steered, stopped, loaded; /* how far it has come */
};

struct igb_parked {
    struct nic_buf *buf;
    union igb_rxd d; /* as the device wrote it back */
};

extern const struct vf_ops igb_vf_ops;

void igb_park_prepare(struct igb *g, unsigned vf);
/* Points the guest's addresses to a pool. */
void igb_park_steer(const struct igb *g, unsigned pool);
void igb_park_clone(bool on);
/* The addresses get the entries of the new VF, and leave those of the old. */
void igb_park_renew(struct igb *g, unsigned to);
/* rings.c has received a frame while a guest moves; true if the buffer is the queue's now. */
bool igb_park_take(struct igb *g, struct nic_buf *buf, const union igb_rxd *d);
/* The next frame that the guest has not got, or NULL; and that it has got it now. igb_park_undone() takes all that back. */
struct igb_parked *igb_park_next(void);
void igb_park_done(void);
unsigned igb_park_undone(void);
unsigned igb_park_left(void);
/* Sends what is left to the guest through the switch. */
void igb_park_loop(struct igb *g);
void igb_park_close(void);
