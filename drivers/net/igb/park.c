/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The parking queue: frames for a guest that is between two VFs. Its addresses point to the PF's pool meanwhile; what the PF's queue receives for them is kept
 * with the write-back that the device gave it, and put into the guest's own ring in order, or looped back to it once its filters point to it again. Broadcast
 * and multicast reach all pools at once, so they are copied while the VF is silent. The PF is in the guest's VLANs meanwhile, and in no others.
 */
#include "drivers/net/igb/io.h"
#include "drivers/net/igb/move.h"
#include <errno.h>
#include <string.h>

_Static_assert(IGB_PARK_MAX >= 2048, "1 ms of the shortest frames at 1 Gb/s is 1,488");
_Static_assert((IGB_JUMBO_MAX + BUF_SIZE - 1) / BUF_SIZE + 2 <= NIC_FRAGS_MAX, "a long frame can be sent on");

static struct {
    bool clones;
    unsigned port; /* the guest's frames are of this VLAN; 0: of any */
    uint8_t mac[1 + IGB_EXTRA_MACS][NIC_MAC_LEN];
    unsigned entry[1 + IGB_EXTRA_MACS]; /* of the receive addresses */
    unsigned macs;
    struct igb_parked frame[IGB_PARK_MAX];
    unsigned first, done, end; /* frames [first, done) are in the guest's ring, [done, end) are not */
    unsigned buffers;          /* of all of them: at most IGB_PARK_MAX, too */
} parking;

static void add_mac(const uint8_t *mac, unsigned entry)
{
    memcpy(parking.mac[parking.macs], mac, NIC_MAC_LEN);
    parking.entry[parking.macs++] = entry;
}

void igb_park_prepare(struct igb *g, unsigned vf)
{
    uint8_t mac[NIC_MAC_LEN];

    parking.clones = false;
    parking.macs = 0;
    parking.first = parking.done = parking.end = parking.buffers = 0;
    parking.port = g->vf[vf].policy.vlan;
    add_mac(g->vf[vf].mac, IGB_RAR_VF(vf));
    for (unsigned i = 0; i < g->vf[vf].extra_macs; i++) {
        igb_rar_get(g, IGB_RAR_EXTRA(vf, i), mac);
        add_mac(mac, IGB_RAR_EXTRA(vf, i));
    }
}

/* One write for each address: it is never without a pool, and never has two. */
void igb_park_steer(const struct igb *g, unsigned pool)
{
    for (unsigned i = 0; i < parking.macs; i++)
        igb_wr(g, IGB_RAH(parking.entry[i]),
               parking.mac[i][4] | (uint32_t)parking.mac[i][5] << 8 | RAH_AV |
                   IGB_PREP(RAH_POOLS, IGB_BIT(pool)));
}

void igb_park_clone(bool on)
{
    parking.clones = on;
}

void igb_park_land(struct igb *g, unsigned to)
{
    for (unsigned i = 0; i < parking.macs; i++)
        igb_rar_set(g, i ? IGB_RAR_EXTRA(to, i - 1) : IGB_RAR_VF(to), parking.mac[i], to);
}

const uint8_t (*igb_park_macs(unsigned *n))[NIC_MAC_LEN]
{
    *n = parking.macs;
    return parking.mac;
}

void igb_park_leave(struct igb *g)
{
    for (unsigned i = 0; i < parking.macs; i++)
        igb_rar_clear(g, parking.entry[i]);
}

static bool is_for_guest(const uint8_t *frame)
{
    for (unsigned i = 0; i < parking.macs; i++)
        if (memcmp(frame, parking.mac[i], NIC_MAC_LEN) == 0)
            return true;
    return false;
}

/* Whether its own VF would have let that through. */
static bool is_of_its_vlan(const union igb_rxd *d)
{
    return !parking.port ||
           ((d->wb.status & RXD_STATUS_VP) && IGB_GET(VLVF_VLAN_ID, d->wb.vlan) == parking.port);
}

/* Frees it if there is no room. */
static void keep(struct igb *g, struct nic_buf *frame, const union igb_rxd *d)
{
    unsigned n = 0;

    for (const struct nic_buf *b = frame; b; b = b->next)
        n++;
    if (n == 0 || parking.end == IGB_PARK_MAX || parking.buffers + n > IGB_PARK_MAX) {
        g->move->figures.overflowed++;
        buf_free_frame(frame);
        return;
    }
    parking.frame[parking.end++] = (struct igb_parked){frame, *d};
    parking.buffers += n;
    g->move->figures.parked++;
}

/* NULL: no buffers. */
static struct nic_buf *copy_of(const struct nic_buf *frame)
{
    struct nic_buf *copy = NULL, **end = &copy;

    for (; frame; frame = frame->next) {
        *end = buf_alloc();
        if (!*end) {
            buf_free_frame(copy);
            return NULL;
        }
        (*end)->len = frame->len;
        memcpy((*end)->data, frame->data, frame->len);
        end = &(*end)->next;
    }
    return copy;
}

bool igb_park_take(struct igb *g, struct nic_buf *frame, const union igb_rxd *d)
{
    bool own = is_for_guest(frame->data), wanted = is_of_its_vlan(d);

    if (own && wanted)
        keep(g, frame, d);
    else if (own)
        buf_free_frame(frame);
    else if ((frame->data[0] & 1) && parking.clones && wanted)
        keep(g, copy_of(frame), d);
    return own;
}

struct igb_parked *igb_park_next(void)
{
    return parking.done < parking.end ? &parking.frame[parking.done] : NULL;
}

void igb_park_done(void)
{
    parking.done++;
}

unsigned igb_park_undone(void)
{
    unsigned n = parking.done - parking.first;

    parking.done = parking.first;
    return n;
}

unsigned igb_park_left(void)
{
    return parking.end - parking.done;
}

int igb_pass_on(struct igb *g, const struct nic_buf *frame, const union igb_rxd *d)
{
    const uint8_t tag[IGB_VLAN_TAG_LEN] = {0x81, 0, (uint8_t)(d->wb.vlan >> 8), (uint8_t)d->wb.vlan};
    struct nic_frag frag[NIC_FRAGS_MAX] = {{frame->data, frame->len}};
    unsigned n = 1;

    if (d->wb.status & RXD_STATUS_VP) {
        frag[0].len = 2 * NIC_MAC_LEN;
        frag[n++] = (struct nic_frag){tag, sizeof(tag)};
        frag[n++] =
            (struct nic_frag){frame->data + 2 * NIC_MAC_LEN, (uint16_t)(frame->len - 2 * NIC_MAC_LEN)};
    }
    for (frame = frame->next; frame && n < NIC_FRAGS_MAX; frame = frame->next)
        frag[n++] = (struct nic_frag){frame->data, frame->len};
    return igb_send_now(g, frag, n);
}

/* A group's frame goes to its address, or all pools would get it once more. */
void igb_park_loop(struct igb *g, struct vf_figures *f)
{
    const struct igb_parked *p = igb_park_next();

    if (p->frame->data[0] & 1)
        memcpy(p->frame->data, parking.mac[0], NIC_MAC_LEN);
    if (igb_pass_on(g, p->frame, &p->d) == 0)
        f->looped++;
    else
        f->overflowed++;
    igb_park_done();
}

void igb_park_close(void)
{
    for (unsigned i = parking.first; i < parking.end; i++)
        buf_free_frame(parking.frame[i].frame);
    parking.first = parking.done = parking.end = parking.buffers = 0;
    parking.clones = false;
}
