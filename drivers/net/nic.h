/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The contract between network drivers and the rest of the I/O domain. A NIC is a port with channels: a
 * channel is a lane that belongs to a guest (on an SR-IOV device a virtual function), the port itself is the
 * I/O domain's own. Nothing here runs concurrently; events are called from inside poll() only.
 */
#pragma once

#include "drivers/net/buf.h"
#include <stdbool.h>
#include <stdint.h>

#define NIC_MAC_LEN   6
#define NIC_FRAGS_MAX 8

/* What the configuration says of one channel. */
struct nic_channel {
    uint8_t
        mac[NIC_MAC_LEN]; /* all zero: the guest may choose one, and is given a random one to start with */
    uint16_t vlan; /* 0: the guest may choose; else all its frames belong to this VLAN and it sees none */
};

struct nic_link {
    bool up, full_duplex;
    unsigned mbps;
};

struct nic_stats {
    uint64_t rx_frames, rx_bytes, rx_errors, rx_no_buffer;
    uint64_t tx_frames, tx_bytes, tx_full;
};

/* A piece of a frame to send; must stay unchanged until events->sent(). */
struct nic_frag {
    const void *data;
    uint16_t len;
};

struct nic;

#define NIC_CHANNEL_CLOSED UINT64_MAX

struct nic_events {
    /* A frame came; `buf` is the callee's until it gives it back with buf_free(). */
    void (*received)(struct nic *nic, struct nic_buf *buf);
    /* The frame that was sent with `cookie` is out (or given up); its memory is the caller's again. */
    void (*sent)(struct nic *nic, void *cookie);
    void (*link)(struct nic *nic);
    /* The guest's driver of `channel` completed its handshake (ready), or was reset (not ready). False: the channel is
     * closed, and to be cleaned at once. */
    bool (*channel)(struct nic *nic, unsigned channel, bool ready);
    /*
     * The channel was reset, and is about to be put to its defaults. Returns what cleaned() needs; 0 if a guest
     * uses the channel and went through the reset itself: what it does next must not be lost. NIC_CHANNEL_CLOSED: a
     * guest has it, but may not use it: it gets no link until the next reset.
     */
    uint64_t (*resetting)(struct nic *nic, unsigned channel);
    /* Since resetting() returned `number`, not 0, all that the last guest left has been removed, and verified. */
    void (*cleaned)(struct nic *nic, unsigned channel, uint64_t number);
};

struct vf_ops;

struct nic_ops {
    const char *driver;
    /* Starts the port: frames flow, the link comes up, channels are answered. Negative errno. */
    int (*start)(struct nic *nic);
    /* Does a bounded share of what is due. True if there may be more to do at once. */
    bool (*poll)(struct nic *nic);
    /* Switches interrupts on. poll() must be called once more before sleeping, and again at the time returned
     * at the latest. */
    uint64_t (*arm)(struct nic *nic);
    /* Queues a frame of 1 to NIC_FRAGS_MAX pieces. -ENOBUFS: no room, nothing queued. */
    int (*transmit)(struct nic *nic, const struct nic_frag *frag, unsigned n, void *cookie);
    /* Changes what a channel may do; takes effect at the guest driver's next handshake. */
    int (*channel_set)(struct nic *nic, unsigned channel, const struct nic_channel *policy);
    /* Lets a channel send and receive after its handshake, or cuts it off at once. */
    int (*channel_enable)(struct nic *nic, unsigned channel, bool on);
    const struct vf_ops *vf; /* drivers/net/vf/vf.h; NULL: a guest cannot be moved from channel to channel */
};

struct nic_config {
    const char *name;
    unsigned devfn; /* PCI function on the virtual bus 0 */
    unsigned channels;
    bool vepa; /* frames between channels go through the outside switch */
    const struct nic_channel *channel;
};

struct nic {
    const struct nic_ops *ops;
    const struct nic_events *events;
    const char *name;
    unsigned channels;
    bool vepa;
    bool taken_over; /* it was running when start() came, and no channel has noticed */
    uint8_t mac[NIC_MAC_LEN];
    struct nic_link link;
    struct nic_stats stats;
    void *user; /* the events' owner's */
};

/* Finds the driver of the function and opens it. The NIC is never closed. Negative errno, with a line printed
 * that says why. */
int nic_open(const struct nic_config *config, const struct nic_events *events, struct nic **out);

static inline bool nic_mac_is_zero(const uint8_t *mac)
{
    return !(mac[0] | mac[1] | mac[2] | mac[3] | mac[4] | mac[5]);
}

/* A station's address: not multicast, not zero. */
static inline bool nic_mac_is_station(const uint8_t *mac)
{
    return !(mac[0] & 1) && !nic_mac_is_zero(mac);
}
