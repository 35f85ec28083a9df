/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The message protocol between the PF and the stock VF driver. Word 0: type in bits 15:0, information in bits
 * 23:16, result in bits 31:29. A VF is answered NACK until it has completed the reset handshake. Every
 * request is checked as a whole before anything is changed. A VF sends as many messages as it has tokens for;
 * beyond them it waits, alone.
 */
#include "drivers/net/igb/igb.h"
#include "drivers/net/igb/io.h"
#include "drivers/sys/sys.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define MSG_TYPE IGB_MASK(15, 0)
#define MSG_INFO IGB_MASK(23, 16)
#define MSG_CTS  IGB_BIT(29)
#define MSG_NACK IGB_BIT(30)
#define MSG_ACK  IGB_BIT(31)

enum msg_type {
    VF_RESET = 1,
    VF_SET_MAC_ADDR = 2,
    VF_SET_MULTICAST = 3,
    VF_SET_VLAN = 4,
    VF_SET_LPE = 5,
    VF_SET_PROMISC = 6,
    PF_CONTROL_MSG = 0x100,
};

/* Information of SET_MAC_ADDR, SET_VLAN, SET_PROMISC */
#define INFO_MAC_FILTER_CLR 1
#define INFO_MAC_FILTER_ADD 2
#define INFO_VLAN_ADD       1
#define INFO_PROMISC_MC     2

#define VLAN_MAX     4095
#define TOKENS_MAX   64 /* a driver sends about a dozen messages when it starts */
#define TOKEN_NS     (2 * NS_PER_MS)
#define THROTTLED_NS (2 * NS_PER_MS)
#define LOCKED_NS    (NS_PER_MS / 2)
#define LOCKED_TURNS 100

static void msg_mac(const uint32_t *msg, uint8_t mac[NIC_MAC_LEN])
{
    for (unsigned i = 0; i < NIC_MAC_LEN; i++)
        mac[i] = (uint8_t)(msg[1 + i / 4] >> 8 * (i % 4));
}

bool igb_mac_is_taken(const struct igb *g, unsigned vf, const uint8_t *mac)
{
    if (memcmp(g->nic.mac, mac, NIC_MAC_LEN) == 0)
        return true;
    for (unsigned v = 0; v < g->nic.channels; v++) {
        if (v == vf)
            continue;
        if (memcmp(g->vf[v].mac, mac, NIC_MAC_LEN) == 0)
            return true;
        for (unsigned i = 0; i < IGB_EXTRA_MACS; i++) {
            if (igb_rar_holds(g, IGB_RAR_EXTRA(v, i), mac))
                return true;
        }
    }
    return false;
}

static int add_extra_mac(struct igb *g, unsigned vf, const uint8_t *mac)
{
    struct igb_vf *s = &g->vf[vf];

    for (unsigned i = 0; i < s->extra_macs; i++)
        if (igb_rar_holds(g, IGB_RAR_EXTRA(vf, i), mac))
            return 0;
    if (s->extra_macs == IGB_EXTRA_MACS)
        return -ENOSPC;
    memcpy(s->extra[s->extra_macs], mac, NIC_MAC_LEN);
    igb_rar_set(g, IGB_RAR_EXTRA(vf, s->extra_macs++), mac, vf);
    return 0;
}

static int clear_extra_macs(struct igb *g, unsigned vf)
{
    for (unsigned i = 0; i < IGB_EXTRA_MACS; i++)
        igb_rar_clear(g, IGB_RAR_EXTRA(vf, i));
    g->vf[vf].extra_macs = 0;
    return 0;
}

static int set_mac(struct igb *g, unsigned vf, const uint32_t *msg)
{
    struct igb_vf *s = &g->vf[vf];
    unsigned info = IGB_GET(MSG_INFO, msg[0]);
    bool fixed = !nic_mac_is_zero(s->policy.mac);
    uint8_t mac[NIC_MAC_LEN];

    msg_mac(msg, mac);
    if (info == INFO_MAC_FILTER_CLR)
        return clear_extra_macs(g, vf);
    if (info != 0 && info != INFO_MAC_FILTER_ADD)
        return -EINVAL;
    if (info == 0 && memcmp(s->mac, mac, NIC_MAC_LEN) == 0)
        return 0;
    if (fixed)
        return -EPERM;
    if (!nic_mac_is_station(mac) || igb_mac_is_taken(g, vf, mac))
        return -EINVAL;
    if (info == INFO_MAC_FILTER_ADD)
        return add_extra_mac(g, vf, mac);
    memcpy(s->mac, mac, NIC_MAC_LEN);
    igb_rar_set(g, IGB_RAR_VF(vf), mac, vf);
    return 0;
}

static int set_multicast(struct igb *g, unsigned vf, const uint32_t *msg)
{
    struct igb_vf *s = &g->vf[vf];
    unsigned n = IGB_GET(MSG_INFO, msg[0]);

    if (n > IGB_MC_HASHES)
        return -EINVAL;
    for (unsigned i = 0; i < n; i++)
        s->mc_hash[i] = (uint16_t)(msg[1 + i / 2] >> 16 * (i % 2));
    s->mc_hashes = n;
    igb_mta_update(g);
    igb_vf_update_pool(g, vf);
    return 0;
}

/* Of the filter table a VF has an equal share, so that none can use it up. */
static int set_vlan(struct igb *g, unsigned vf, const uint32_t *msg)
{
    bool add = IGB_GET(MSG_INFO, msg[0]) == INFO_VLAN_ADD;
    unsigned vid = msg[1];

    if (g->vf[vf].policy.vlan)
        return -EPERM;
    if (IGB_GET(MSG_INFO, msg[0]) > INFO_VLAN_ADD || vid > VLAN_MAX)
        return -EINVAL;
    if (add && !igb_vlan_is_member(g, vf, vid) && igb_vlan_count(g, vf) >= IGB_VF_VLANS)
        return -ENOSPC;
    return igb_vlan_set(g, vf, vid, add);
}

static int set_lpe(struct igb *g, unsigned vf, const uint32_t *msg)
{
    if (msg[1] < IGB_FRAME_MIN || msg[1] > IGB_JUMBO_MAX - 4)
        return -EINVAL;
    g->vf[vf].max_frame = (uint16_t)msg[1];
    igb_vf_update_pool(g, vf);
    return 0;
}

static int set_promisc(struct igb *g, unsigned vf, const uint32_t *msg)
{
    unsigned info = IGB_GET(MSG_INFO, msg[0]);

    if (info & ~(unsigned)INFO_PROMISC_MC)
        return -EPERM;
    g->vf[vf].mc_all = info & INFO_PROMISC_MC;
    igb_vf_update_pool(g, vf);
    return 0;
}

static unsigned reset_answer(const struct igb_vf *s, uint32_t *msg)
{
    msg[0] = VF_RESET | MSG_ACK;
    msg[1] = s->mac[0] | (uint32_t)s->mac[1] << 8 | (uint32_t)s->mac[2] << 16 | (uint32_t)s->mac[3] << 24;
    msg[2] = s->mac[4] | (uint32_t)s->mac[5] << 8;
    return 3;
}

/* The handshake: the VF's pool opens, and the answer carries its address. */
static unsigned complete_reset(struct igb *g, unsigned vf, uint32_t *msg)
{
    igb_vf_open(g, vf);
    igb_vf_enable(g, vf, true);
    g->vf[vf].cts = true;
    return reset_answer(&g->vf[vf], msg);
}

static int dispatch(struct igb *g, unsigned vf, const uint32_t *msg)
{
    switch (IGB_GET(MSG_TYPE, msg[0])) {
    case VF_SET_MAC_ADDR:
        return set_mac(g, vf, msg);
    case VF_SET_MULTICAST:
        return set_multicast(g, vf, msg);
    case VF_SET_VLAN:
        return set_vlan(g, vf, msg);
    case VF_SET_LPE:
        return set_lpe(g, vf, msg);
    case VF_SET_PROMISC:
        return set_promisc(g, vf, msg);
    default:
        return -ENOSYS;
    }
}

/* Makes the answer of the message in place; returns its length in words, 0 for none. */
static unsigned answer(struct igb *g, unsigned vf, uint32_t *msg)
{
    struct igb_vf *s = &g->vf[vf];

    if (msg[0] & (MSG_ACK | MSG_NACK))
        return 0; /* our own answer, sent back */
    if (s->broken || s->closed || !s->allowed || (msg[0] != VF_RESET && !s->cts)) {
        msg[0] |= MSG_NACK;
        return 1;
    }
    if (msg[0] == VF_RESET)
        return complete_reset(g, vf, msg);
    msg[0] |= MSG_CTS | (dispatch(g, vf, msg) == 0 ? MSG_ACK : MSG_NACK);
    return 1;
}

static bool take_token(struct igb_vf *s, uint64_t now)
{
    uint64_t more = (now - s->tokens_at) / TOKEN_NS;

    if (more >= TOKENS_MAX - s->tokens) {
        s->tokens = TOKENS_MAX;
        s->tokens_at = now;
    } else {
        s->tokens += (unsigned)more;
        s->tokens_at += more * TOKEN_NS;
    }
    if (s->tokens == 0)
        return false;
    s->tokens--;
    return true;
}

static void events_due_by(struct igb *g, uint64_t when)
{
    if (when < g->events_due)
        g->events_due = when;
}

/* The VF holds the buffer of the message that it says is there. Patience, then force. */
static void locked_out(struct igb *g, unsigned vf, uint64_t now)
{
    struct igb_vf *s = &g->vf[vf];

    events_due_by(g, now + LOCKED_NS);
    if (++s->locked_out < LOCKED_TURNS)
        return;
    igb_mbx_revoke(g, vf);
    s->locked_out = 0;
    s->cts = false;
}

/*
 * After a reset, or where the VF may not be used. Of a message without CTS a VF's driver takes the link for down, and
 * tries a reset now and then; which it must when its VF is closed, and once more when it is opened.
 */
static void clean(struct igb *g, unsigned vf)
{
    bool was_closed = g->vf[vf].closed;

    igb_vf_clean(g, vf);
    if (g->vf[vf].closed || was_closed)
        igb_mbx_notify(g, vf, PF_CONTROL_MSG | MSG_NACK);
}

static void handle_message(struct igb *g, unsigned vf, uint64_t now)
{
    struct igb_vf *s = &g->vf[vf];
    uint32_t msg[IGB_MSG_WORDS];
    bool was_ready = s->cts, handshake;
    unsigned n;

    if (!igb_mbx_lock(g, vf)) {
        locked_out(g, vf, now);
        return;
    }
    s->locked_out = 0;
    igb_mbx_take(g, vf, msg);
    handshake = msg[0] == VF_RESET;
    n = answer(g, vf, msg);
    igb_keep(g); /* a driver that takes over must know what the VF has been told */
    igb_mbx_reply(g, vf, msg, n);
    if (handshake && s->cts && !was_ready && !g->nic.events->channel(&g->nic, vf, true))
        clean(g, vf);
}

static void handle_resets(struct igb *g, uint32_t resets)
{
    for (unsigned vf = 0; vf < g->nic.channels; vf++) {
        bool was_ready = g->vf[vf].cts;

        if (!(resets & IGB_BIT(vf)))
            continue;
        clean(g, vf);
        if (was_ready)
            (void)g->nic.events->channel(&g->nic, vf, false);
    }
}

/* One message per VF and turn. Resets first: a request that is there along with one came after it. */
void igb_msg_poll(struct igb *g)
{
    uint64_t now = clock_ns();
    struct igb_mbx_events e = igb_mbx_pending(g);
    uint32_t throttled = 0;

    g->events_due = UINT64_MAX;
    handle_resets(g, e.resets);
    for (unsigned vf = 0; vf < g->nic.channels; vf++) {
        if (!(e.requests & IGB_BIT(vf)) || !igb_mbx_has_request(g, vf))
            continue;
        if (take_token(&g->vf[vf], now)) {
            handle_message(g, vf, now);
        } else {
            throttled |= IGB_BIT(vf);
            events_due_by(g, now + THROTTLED_NS);
        }
    }
    igb_mbx_mute(g, throttled);
}

void igb_msg_finish(struct igb *g, unsigned vf)
{
    uint32_t msg[IGB_MSG_WORDS];

    if (!igb_mbx_is_locked(g, vf))
        return;
    igb_mbx_take(g, vf, msg);
    if (msg[0] == (VF_RESET | MSG_ACK))
        igb_mbx_reply(g, vf, msg, reset_answer(&g->vf[vf], msg));
    else if (msg[0] & (MSG_ACK | MSG_NACK))
        igb_mbx_reply(g, vf, msg, 1);
    else
        igb_mbx_unlock(g, vf);
}

uint32_t igb_msg_link(void)
{
    return PF_CONTROL_MSG | MSG_CTS;
}

void igb_msg_notify_link(struct igb *g)
{
    for (unsigned vf = 0; vf < g->nic.channels; vf++) {
        if (g->vf[vf].cts)
            igb_mbx_notify(g, vf, igb_msg_link());
    }
}
