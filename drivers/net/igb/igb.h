/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Driver of the 82576's physical function. Channel n is VF n, which is pool n. The physical function itself
 * uses the last pool, so at most 7 VFs leave it one.
 */
#pragma once

#include "drivers/net/igb/regs.h"
#include "drivers/net/nic.h"

#define IGB_PF_POOL    (IGB_POOLS - 1)
#define IGB_VFS_MAX    (IGB_POOLS - 1)
#define IGB_RING       512 /* descriptors per ring; RDLEN and TDLEN must be multiples of 128 bytes */
#define IGB_FRAME_MIN  64
#define IGB_FRAME_MAX  1522
#define IGB_JUMBO_MAX  9728
#define IGB_MC_HASHES  30
#define IGB_EXTRA_MACS 2                       /* further unicast addresses of a VF that may choose its own */
#define IGB_VF_VLANS   (IGB_VLVFS / IGB_POOLS) /* that a VF may choose */
#define IGB_MSG_WORDS  16
#define IGB_PARK_MAX   2048 /* frames of the parking queue */

#define IGB_VLAN_TAG_LEN 4

/* Receive addresses: 0 the PF's, then one per VF, then IGB_EXTRA_MACS per VF. */
#define IGB_RAR_PF           0u
#define IGB_RAR_VF(vf)       (1u + (vf))
#define IGB_RAR_EXTRA(vf, i) (IGB_POOLS + IGB_EXTRA_MACS * (vf) + (i))
_Static_assert(IGB_RAR_EXTRA(IGB_VFS_MAX, 0) <= IGB_RARS, "receive addresses suffice");

/* Interrupt vectors: MSI-X entry and bit of EICR alike. VFs own the bits from 22 - 3n up, so 3 and below are
 * the PF's. */
enum { IGB_VECTOR_QUEUES = 0, IGB_VECTOR_OTHER = 1, IGB_VECTORS = 2 };

/*
 * Invariants: descriptors [head, tail) are the device's, each with a buffer; tail - head <= IGB_RING - 1, so
 * that RDT never catches up with RDH. Indices run freely and are taken modulo IGB_RING.
 */
struct igb_rx {
    union igb_rxd *ring;
    struct nic_buf *buf[IGB_RING];
    unsigned head, tail;
    struct nic_buf *first, *last; /* of a frame whose end has not come */
    unsigned length;
    bool skip; /* the rest of a frame that is none */
};

/* Invariants: [head, tail) are the device's; cookie[i] is set on the last descriptor of each frame and NULL
 * elsewhere. */
struct igb_tx {
    struct igb_txd *ring;
    void *cookie[IGB_RING];
    bool last[IGB_RING];
    unsigned head, tail;
};

struct igb_vf {
    struct nic_channel policy;
    uint8_t given[NIC_MAC_LEN]; /* what it has after a reset: the configured one, or a random one */
    uint8_t mac[NIC_MAC_LEN];   /* in force */
    bool allowed;               /* channel_enable() */
    bool closed;                /* by events->resetting() */
    bool cts;                   /* "clear to send": the reset handshake is done, requests are looked at */
    bool broken;                /* did not come back clean from a reset: cut off for good */
    bool mc_all;                /* asked for all multicast */
    bool unread;                /* has not acknowledged its last answer yet */
    uint16_t max_frame;         /* 0: the standard size */
    uint16_t mc_hash[IGB_MC_HASHES];
    unsigned mc_hashes;
    uint8_t extra[IGB_EXTRA_MACS][NIC_MAC_LEN];
    unsigned extra_macs;
    unsigned tokens;     /* messages it may send now */
    uint64_t tokens_at;  /* when tokens were last added, ns */
    unsigned locked_out; /* turns in a row in which it kept the mailbox buffer to itself */
};

/* What registers do not say of a VF in service, or not of one that was in the middle of a move. No holes. */
struct igb_kept_vf {
    uint8_t given[NIC_MAC_LEN], mac[NIC_MAC_LEN], extra[IGB_EXTRA_MACS][NIC_MAC_LEN];
    uint16_t extra_macs, max_frame, mc_all, mc_hashes;
    uint16_t mc_hash[IGB_MC_HASHES];
};

/* The VLANs that a VF is in. No holes. */
struct igb_vlans {
    uint16_t port; /* the configured one, the only one then; or 0 */
    uint16_t n;
    uint16_t vid[IGB_VF_VLANS];
};

struct igb_move;

/* Accesses to registers since start. */
extern unsigned igb_accesses;

struct igb {
    struct nic nic;
    volatile uint8_t *regs;
    unsigned devfn, irq[IGB_VECTORS];
    struct igb_rx rx;
    struct igb_tx tx;
    struct igb_vf vf[IGB_VFS_MAX];
    uint32_t rxctl, txctl; /* of a queue, as the global reset leaves them */
    struct igb_move *move; /* while frames are parked for a guest that moves from VF to VF */
    uint64_t events_due;   /* when mailboxes, VF resets and link must be looked at, ns */
};

static inline struct igb *igb_of(struct nic *nic)
{
    return (struct igb *)(void *)nic; /* its first member */
}

/* igb.c */
int igb_open(const struct nic_config *config, struct nic **out);

/* reset.c: global reset, then the PF's station address into g->nic.mac. -ETIMEDOUT */
int igb_reset(struct igb *g);

/* link.c */
int igb_link_start(struct igb *g);
/* Reads the link's state into g->nic.link; true if it changed. */
bool igb_link_update(struct igb *g);

/* rings.c: the PF's receive and transmit queue */
int igb_rings_alloc(struct igb *g);
int igb_rings_start(struct igb *g);
bool igb_rx_poll(struct igb *g);
bool igb_tx_reclaim(struct igb *g);
/* Sends a frame of the driver's own and waits until its memory is free. -ENOBUFS, -ETIMEDOUT */
int igb_send_now(struct igb *g, const struct nic_frag *frag, unsigned n);
int igb_transmit(struct nic *nic, const struct nic_frag *frag, unsigned n, void *cookie);

/* intr.c */
int igb_intr_setup(struct igb *g);
/* The PF's, and no VF's. */
void igb_intr_off(struct igb *g);
void igb_intr_arm(struct igb *g);

/* vf.c: pools, filters, VLANs */
void igb_vmdq_setup(struct igb *g);
/* The part of it that VFs do not notice when it is done again. */
void igb_switch_setup(struct igb *g);
/* Stops receive and transmit queue `q`; false if they go on. */
bool igb_queues_stop(struct igb *g, unsigned q);
/*
 * Everything of the VF back to its default, verified by read-back; on failure the VF is cut off until the next
 * reset succeeds. Of a VF that is handed over (events->resetting()) the mailbox too.
 */
void igb_vf_clean(struct igb *g, unsigned vf);
/* Opens the VF's pool with its address and VLAN. */
void igb_vf_open(struct igb *g, unsigned vf);
/* Lets the VF's queues send and receive, or stops that. */
void igb_vf_enable(struct igb *g, unsigned vf, bool on);
/* VMOLR from the VF's state. */
void igb_vf_update_pool(struct igb *g, unsigned vf);
/* The PF's, which gets what the groups of VF `like`, too; IGB_PF_POOL: none. */
void igb_pf_update_pool(struct igb *g, unsigned like);
/* VMVIR from the VF's policy: what it sends is of its port VLAN. */
void igb_vf_update_tag(struct igb *g, unsigned vf, const struct nic_channel *policy);
void igb_rar_set(struct igb *g, unsigned entry, const uint8_t *mac, unsigned pool);
/* Sets it if it is not just that: half an address, or one whose frames go to another pool, because its writer died there, or in a move. */
void igb_rar_check(struct igb *g, unsigned entry, const uint8_t *mac, unsigned pool);
void igb_rar_clear(struct igb *g, unsigned entry);
void igb_rar_get(const struct igb *g, unsigned entry, uint8_t mac[NIC_MAC_LEN]);
bool igb_rar_holds(const struct igb *g, unsigned entry, const uint8_t *mac);
/* The multicast table: what any VF asked for. */
void igb_mta_update(struct igb *g);
/* Takes the pool into VLAN `vid` or out of it. -ENOSPC: no filter left. */
int igb_vlan_set(struct igb *g, unsigned pool, unsigned vid, bool member);
/* How many VLANs the pool is a member of. */
unsigned igb_vlan_count(const struct igb *g, unsigned pool);
void igb_vlan_leave_all(struct igb *g, unsigned pool);
/* Those that a VF is in; and whether there are filters for all of them, which may be another NIC's. */
struct igb_vlans igb_vlans_of(const struct igb *g, unsigned vf);
bool igb_vlans_fit(const struct igb *g, const struct igb_vlans *v);
bool igb_vlan_is_member(const struct igb *g, unsigned pool, unsigned vid);

/* mbx.c: mailbox transport, nothing of the messages' meaning */
struct igb_mbx_events {
    uint32_t requests, resets; /* a bit per VF */
};
/* What is pending. Resets are taken (cleared), requests stay until igb_mbx_reply(). */
struct igb_mbx_events igb_mbx_pending(struct igb *g);
/* Whether a request that was pending still is: it goes with the VF's last guest. */
bool igb_mbx_has_request(const struct igb *g, unsigned vf);
/* Locks the buffer for the PF; false if the VF has it. */
bool igb_mbx_lock(struct igb *g, unsigned vf);
void igb_mbx_unlock(struct igb *g, unsigned vf);
/* With the lock: copies the message, once. The request stays until it is answered: whoever takes over finds it. */
void igb_mbx_take(struct igb *g, unsigned vf, uint32_t msg[IGB_MSG_WORDS]);
/* Whether the PF holds the lock. */
bool igb_mbx_is_locked(const struct igb *g, unsigned vf);
/* With the lock, which it drops: acknowledges and clears the request, and with n > 0 sends n words. */
void igb_mbx_reply(struct igb *g, unsigned vf, const uint32_t *msg, unsigned n);
/* Sends a message of the PF's own, unless the VF is using the buffer; if an answer is waiting there, the signal alone. */
void igb_mbx_notify(struct igb *g, unsigned vf, uint32_t msg);
/* Takes the buffer away from a VF that does not let go. */
void igb_mbx_revoke(struct igb *g, unsigned vf);
/* Zeroes the buffer unless a message is in it or under way. */
void igb_mbx_scrub(struct igb *g, unsigned vf);
/* Of a VF without a guest: whatever is in the buffer or under way. False if it does not go. */
bool igb_mbx_clean(struct igb *g, unsigned vf);
/* VFs whose requests raise no interrupt for now, a bit each. */
void igb_mbx_mute(struct igb *g, uint32_t vfs);

/* msg.c: the message protocol. Handles what is pending within each VF's budget; sets g->events_due. */
void igb_msg_poll(struct igb *g);
/* Whether the address is the PF's, or of another VF than `vf`. */
bool igb_mac_is_taken(const struct igb *g, unsigned vf, const uint8_t *mac);
/* The word that says so. */
uint32_t igb_msg_link(void);
/* Tells the VFs that the link changed. */
void igb_msg_notify_link(struct igb *g);
/* Of a VF in service: ends an answer that the last driver died over; a message that it had not answered is still pending. */
void igb_msg_finish(struct igb *g, unsigned vf);

/* takeover.c: puts what the registers do not say into the keepsake, or takes it out: the next start will be one with a reset. */
void igb_keep(struct igb *g);
void igb_forget(struct igb *g);
/* Of one VF; and back: into its state and, where they are wrong, the filters. */
void igb_vf_keep(const struct igb *g, unsigned vf, struct igb_kept_vf *k);
void igb_vf_recall(struct igb *g, unsigned vf, const struct igb_kept_vf *k);
/*
 * Starts on a device that the last driver left running, in the place of igb_reset() and all that follows it, but for the link. -ENOENT: there is none, or it
 * is not as it was left; other errors: it cannot be had so. Reset it, then.
 */
int igb_take_over(struct igb *g);
