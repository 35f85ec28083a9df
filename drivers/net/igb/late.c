/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * After a move to another NIC of the host. The guest's addresses stay at the source's PF for a while, in receive addresses that are no VF's: what the network, or
 * a VF of that NIC, still sends there is handed on through the destination's own switch. Meanwhile the network is told: the destination's PF sends reverse ARP
 * requests (RFC 903) in the guest's name, from which switches learn its port, and for which no address of IP is needed.
 */
#include "drivers/net/igb/io.h"
#include "drivers/net/igb/move.h"
#include "drivers/net/vf/announce.h"
#include <string.h>

#define ENTRY_LAST (IGB_RARS - 1)

static struct {
    struct igb *src, *dst; /* src: NULL if there is none */
    uint8_t mac[1 + IGB_EXTRA_MACS][NIC_MAC_LEN];
    unsigned macs, entries; /* ENTRY_LAST downwards are the receive addresses of the first `entries` */
    struct igb_vlans vlans; /* in which the source's PF is meanwhile */
    unsigned frames;
} late;

void igb_announce(struct igb *g, const uint8_t mac[NIC_MAC_LEN], const struct igb_vlans *v)
{
    uint8_t frame[ANNOUNCE_BYTES];
    const struct nic_buf buf = {.data = frame, .len = sizeof(frame)};
    union igb_rxd tag = {.wb = {.status = 0}};

    vf_announcement(frame, mac);
    if (!v->port)
        (void)igb_pass_on(g, &buf, &tag);
    tag.wb.status = RXD_STATUS_VP;
    for (unsigned i = 0; i < v->n; i++) {
        tag.wb.vlan = v->vid[i];
        if (tag.wb.vlan) /* 0 says a priority only */
            (void)igb_pass_on(g, &buf, &tag);
    }
}

static void announce(void)
{
    for (unsigned i = 0; i < late.macs; i++)
        igb_announce(late.dst, late.mac[i], &late.vlans);
}

void igb_late_begin(struct igb *src, struct igb *dst, const struct igb_vlans *v)
{
    const uint8_t(*mac)[NIC_MAC_LEN] = igb_park_macs(&late.macs);

    memcpy(late.mac, mac, sizeof(late.mac));
    late.src = src;
    late.dst = dst;
    late.vlans = *v;
    late.frames = late.entries = 0;
    announce();
}

void igb_late_listen(void)
{
    while (late.entries < late.macs &&
           ENTRY_LAST - late.entries >= IGB_RAR_EXTRA(late.src->nic.channels, 0)) {
        igb_rar_set(late.src, ENTRY_LAST - late.entries, late.mac[late.entries], IGB_PF_POOL);
        late.entries++;
    }
}

bool igb_late_take(const struct igb *g, const struct nic_buf *frame, const union igb_rxd *d)
{
    if (g != late.src)
        return false;
    for (unsigned i = 0; i < late.macs; i++) {
        if (memcmp(frame->data, late.mac[i], NIC_MAC_LEN) != 0)
            continue;
        late.frames += igb_pass_on(late.dst, frame, d) == 0;
        return true;
    }
    return false;
}

void igb_late_end(void)
{
    for (unsigned i = 0; late.src && i < late.entries; i++)
        igb_rar_clear(late.src, ENTRY_LAST - i);
    if (late.src)
        igb_vlan_leave_all(late.src, IGB_PF_POOL);
    late.src = NULL;
}

unsigned igb_late_announce(bool last)
{
    if (late.src)
        announce();
    if (last)
        igb_late_end();
    return late.frames;
}
