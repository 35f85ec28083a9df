/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The parking queue: frames for a guest that is between two VFs. Its addresses point to the PF's pool meanwhile; what the PF's queue receives for them is kept
 * with the write-back that the device gave it, and put into the guest's own ring in order, or looped back to it once its filters point to it again. Broadcast
 * and multicast reach all pools at once, so they are copied while the VF is silent.
 */
#include "drivers/net/igb/io.h"
#include "drivers/net/igb/move.h"
#include <errno.h>
#include <string.h>

_Static_assert(IGB_PARK_MAX >= 2048, "1 ms of the shortest frames at 1 Gb/s is 1,488");

static struct {
    bool clones;
    uint8_t mac[1 + IGB_EXTRA_MACS][NIC_MAC_LEN];
    unsigned entry[1 + IGB_EXTRA_MACS]; /* of the receive addresses */
    unsigned macs;
    struct igb_parked frame[IGB_PARK_MAX];
    unsigned first, done, end; /* frames [first, done) are in the guest's ring, [done, end) are not */
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
    parking.first = parking.done = parking.end = 0;
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

static bool keep(struct igb *g, struct nic_buf *buf, const union igb_rxd *d)
{
    if (!buf || parking.end == IGB_PARK_MAX) {
        g->move->figures.overflowed++;
        return false;
    }
    parking.frame[parking.end++] = (struct igb_parked){buf, *d};
    g->move->figures.parked++;
    return true;
}

bool igb_park_take(struct igb *g, struct nic_buf *buf, const union igb_rxd *d)
{
    struct nic_buf *copy;

    if (is_for_guest(buf->data)) {
        if (!keep(g, buf, d))
            buf_free(buf);
        return true;
    }
    if (!(buf->data[0] & 1) || !parking.clones)
        return false;
    copy = buf_alloc();
    if (copy) {
        copy->len = buf->len;
        memcpy(copy->data, buf->data, buf->len);
    }
    if (!keep(g, copy, d) && copy)
        buf_free(copy);
    return false;
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

/* A group's frame goes to its address, or all pools would get it once more. */
static void loop(struct igb *g, struct nic_buf *buf, struct vf_figures *f)
{
    if (buf->data[0] & 1)
        memcpy(buf->data, parking.mac[0], NIC_MAC_LEN);
    if (igb_send_now(g, buf->data, buf->len) == 0)
        f->looped++;
    else
        f->overflowed++;
}

void igb_park_loop(struct igb *g, struct vf_figures *f)
{
    for (; parking.done < parking.end; parking.done++)
        loop(g, parking.frame[parking.done].buf, f);
}

void igb_park_close(void)
{
    for (unsigned i = parking.first; i < parking.end; i++)
        buf_free(parking.frame[i].buf);
    parking.first = parking.done = parking.end = 0;
    parking.clones = false;
}
