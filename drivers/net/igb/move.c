/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One VF's state into another (vf.h has the steps). Heads are read-only on hardware, so they are moved by the device itself: null descriptors and one frame
 * through the switch take RDH on (datasheet 7.1.5: a descriptor without a buffer address is skipped), context descriptors, which send nothing, TDH (7.2.2.2).
 * The two contexts that the guest used last come last, and so are restored too. All this goes on in the staging domain, in which the addresses of the guest's
 * rings mean pages of our own.
 */
#include "drivers/net/igb/move.h"
#include "drivers/net/igb/io.h"
#include "drivers/sys/sys.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define WAIT_NS      NS_PER_MS /* a queue takes up to 100 us to stop */
#define PAGES        (2 * (IGB_MOVE_RING * 16 / PAGE_BYTES + 1) + 1)
#define FINISH_NS    (100 * NS_PER_MS)          /* of a guest without descriptors for what is parked */
#define SLOTS_MAX    (IGB_JUMBO_MAX / 1024 + 1) /* descriptors of a frame */
#define FRAME_LENGTH 60
#define ETHERTYPE    0x88b5     /* local experimental (IEEE 802 9.2.3) */
#define SECOND       IGB_POOLS  /* a VF's second queue */
#define PIECE        (2u << 20) /* within which a guest's memory can be written at once */

enum { RING_RX, RING_TX, RINGS };
enum { RX_BASE, RX_BASE_HIGH, RX_LENGTH, RX_CONTROL, TX_BASE, TX_BASE_HIGH, TX_LENGTH, TX_WRITE_BACK };

/* Of queue 0; those of the others follow at the same distance. */
static const igb_reg fixed[IGB_MOVE_FIXED] = {
    [RX_BASE] = {0xc000}, [RX_BASE_HIGH] = {0xc004}, [RX_LENGTH] = {0xc008}, [RX_CONTROL] = {0xc00c},
    [TX_BASE] = {0xe000}, [TX_BASE_HIGH] = {0xe004}, [TX_LENGTH] = {0xe008}, [TX_WRITE_BACK] = {0xe038},
};

static igb_reg of_queue(unsigned i, unsigned q)
{
    return IGB_REG(fixed[i].off + 0x40 * q);
}

static struct igb_move move;
unsigned igb_accesses;

/* --- rings --- */

static uint64_t base_of(unsigned ring)
{
    unsigned at = ring == RING_RX ? RX_BASE : TX_BASE;

    return (uint64_t)move.r.fixed[at + 1] << 32 | move.r.fixed[at];
}

static unsigned size_of(unsigned ring)
{
    return move.r.fixed[ring == RING_RX ? RX_LENGTH : TX_LENGTH] / 16;
}

static unsigned distance(uint32_t from, uint32_t to, unsigned size)
{
    return (to + size - from) % size;
}

/* What the destination sees in the staging domain. */
static struct {
    uint64_t at[PAGES];
    unsigned used;
    uint8_t page[PAGES][PAGE_BYTES] __attribute__((aligned(4096)));
} scratch;

/* Our page behind an I/O virtual address, or NULL. */
static uint8_t *scratch_at(uint64_t iova)
{
    uint64_t page = iova & ~(PAGE_BYTES - 1);
    unsigned i = 0;

    while (i < scratch.used && scratch.at[i] != page)
        i++;
    if (i == PAGES || (i == scratch.used && move.host->map(page, scratch.page[i]) != 0))
        return NULL;
    if (i == scratch.used)
        scratch.at[scratch.used++] = page;
    return scratch.page[i] + (iova - page);
}

/* A page that belongs to none of the rings. */
static uint64_t buffer_iova(void)
{
    uint64_t at = PAGE_BYTES;

    for (unsigned i = 0; i < scratch.used; i++)
        if (scratch.at[i] >= at)
            at = scratch.at[i] + PAGE_BYTES;
    return at;
}

static uint64_t buffer;

static int scratch_map(void)
{
    scratch.used = 0;
    for (unsigned ring = RING_RX; ring < RINGS; ring++)
        for (unsigned i = 0; i < size_of(ring); i++)
            if (!scratch_at(base_of(ring) + 16 * i))
                return -ENOMEM;
    buffer = buffer_iova();
    return scratch_at(buffer) ? 0 : -ENOMEM;
}

static void staging_mac(uint8_t mac[NIC_MAC_LEN])
{
    static const uint8_t prefix[NIC_MAC_LEN - 1] = {0x06, 'm', 'o', 'v', 'e'};

    memcpy(mac, prefix, sizeof(prefix));
    mac[NIC_MAC_LEN - 1] = (uint8_t)move.r.to;
}

static int staging_frame(struct igb *g)
{
    static uint8_t frame[FRAME_LENGTH] = {[12] = ETHERTYPE >> 8, [13] = ETHERTYPE & 0xff};

    const struct nic_frag frag = {frame, sizeof(frame)};

    staging_mac(frame);
    memcpy(frame + NIC_MAC_LEN, g->nic.mac, NIC_MAC_LEN);
    return igb_send_now(g, &frag, 1);
}

static int advance_rx(struct igb *g, uint32_t want)
{
    unsigned size = size_of(RING_RX), k = distance(move.rx_at, want, size), q = move.r.to;
    int err;

    if (k == 0)
        return 0;
    for (unsigned i = 0; i < k; i++) {
        union igb_rxd *d = (void *)scratch_at(base_of(RING_RX) + 16 * ((move.rx_at + i) % size));

        d->read.packet = d->read.header = i == k - 1 ? buffer : 0;
    }
    __asm__ volatile("" : : : "memory");
    igb_wr(g, IGB_RDT(q), want);
    err = staging_frame(g);
    if (err)
        return err;
    move.rx_at = want;
    return sys_wait(igb_rd(g, IGB_RDH(q)) == want, WAIT_NS) ? 0 : -EIO;
}

static int advance_tx(struct igb *g, uint32_t want, const struct igb_txd last[2])
{
    unsigned size = size_of(RING_TX), k = distance(move.tx_at, want, size), q = move.r.to;

    for (unsigned i = 0; i < k; i++) {
        struct igb_txd *d = (void *)scratch_at(base_of(RING_TX) + 16 * ((move.tx_at + i) % size));

        *d = last && i + 2 >= k ? last[i + 2 - k] : (struct igb_txd){.command = TXD_DTYP_CONTEXT | TXD_DEXT};
    }
    __asm__ volatile("" : : : "memory");
    igb_wr(g, IGB_TDT(q), want);
    move.tx_at = want;
    return sys_wait(igb_rd(g, IGB_TDH(q)) == want, WAIT_NS) ? 0 : -EIO;
}

/* --- a queue pair --- */

static int queues_on(struct igb *g, unsigned q, uint32_t rxdctl, uint32_t txdctl, uint64_t limit_ns)
{
    igb_wr(g, IGB_RXDCTL(q), rxdctl);
    igb_wr(g, IGB_TXDCTL(q), txdctl);
    return sys_wait(igb_rd(g, IGB_RXDCTL(q)) & igb_rd(g, IGB_TXDCTL(q)) & XDCTL_ENABLE, limit_ns)
               ? 0
               : -ETIMEDOUT;
}

/* What they had when they were switched off counts only when it is written again. */
static void tails_again(struct igb *g, unsigned q)
{
    igb_wr(g, IGB_RDT(q), igb_rd(g, IGB_RDT(q)));
    igb_wr(g, IGB_TDT(q), igb_rd(g, IGB_TDT(q)));
}

/* What the VF has not read. Reading takes it away, so it is raised once more. */
static uint32_t unread(const struct igb *g, unsigned vf)
{
    uint32_t v2p = igb_rd(g, IGB_V2PMAILBOX(vf));
    uint32_t signals = (v2p & V2P_PFSTS ? P2V_STS : 0) | (v2p & V2P_PFACK ? P2V_ACK : 0);

    if (signals)
        igb_wr(g, IGB_P2VMAILBOX(vf), signals);
    return signals;
}

/* For a driver that is told to look at its link (see load_mailbox()), if nobody is using the buffer. */
static void word_again(struct igb *g, unsigned vf)
{
    if (unread(g, vf) || !igb_mbx_lock(g, vf))
        return;
    if (!igb_mbx_has_request(g, vf))
        igb_wr(g, IGB_VMBMEM_WORD(vf, 0), igb_msg_link());
    igb_mbx_unlock(g, vf);
}

/* --- before the guest stands still --- */

/* Of another NIC: all of the guest's addresses must be free there. */
static bool macs_taken(const struct igb *g, unsigned from, const struct igb *dst, unsigned to)
{
    const struct igb_vf *s = &g->vf[from];
    bool taken = igb_mac_is_taken(dst, to, s->mac);

    for (unsigned i = 0; i < s->extra_macs; i++)
        taken |= igb_mac_is_taken(dst, to, s->extra[i]);
    return taken;
}

static const char *refuses(struct nic *nic, unsigned from, struct nic *dest, unsigned to)
{
    const struct igb *g = igb_of(nic), *dst = igb_of(dest);
    const struct igb_vlans vlans = igb_vlans_of(g, from);
    uint32_t on = igb_rd(g, IGB_RXDCTL(from)) & igb_rd(g, IGB_TXDCTL(from)),
             second = igb_rd(g, IGB_RXDCTL(from + SECOND)) | igb_rd(g, IGB_TXDCTL(from + SECOND));

    if (!g->vf[from].cts)
        return "driver-not-up";
    if (!(on & XDCTL_ENABLE))
        return "queues-off";
    if (second & XDCTL_ENABLE)
        return "two-queues";
    if (dst == g && to == from)
        return NULL;
    if (!dest->link.up)
        return "link-down";
    if (nic->vepa || dest->vepa)
        return "vepa";
    if (!igb_vlans_fit(dst, &vlans))
        return "vlan-not-there";
    if (dst != g && macs_taken(g, from, dst, to))
        return "mac-in-use";
    return dst->vf[to].broken || !dst->vf[to].allowed ? "vf-broken" : NULL;
}

static void capture(const struct igb *g)
{
    struct igb_record *r = &move.r;

    for (unsigned i = 0; i < IGB_MOVE_FIXED; i++)
        r->fixed[i] = igb_rd(g, of_queue(i, r->from));
    r->rxdctl = igb_rd(g, IGB_RXDCTL(r->from));
    r->txdctl = igb_rd(g, IGB_TXDCTL(r->from));
    r->split = igb_rd(g, IGB_PSRTYPE(r->from));
    r->rxctl = igb_rd(g, IGB_RXCTL(r->from));
    r->txctl = igb_rd(g, IGB_TXCTL(r->from));
}

/* The receive ring is put into the guest's memory in one piece. */
static bool rings_fit(void)
{
    for (unsigned ring = RING_RX; ring < RINGS; ring++)
        if (size_of(ring) < 8 || size_of(ring) > IGB_MOVE_RING)
            return false;
    return base_of(RING_RX) % PIECE + 16 * size_of(RING_RX) <= PIECE;
}

/* The queues as the guest has them, but for a write-back of heads, which would go to its memory. */
static int open_queues(struct igb *g)
{
    const struct igb_record *r = &move.r;
    uint8_t mac[NIC_MAC_LEN];
    int err;

    for (unsigned i = 0; i < IGB_MOVE_FIXED; i++)
        igb_wr(g, of_queue(i, r->to), i == TX_WRITE_BACK ? 0 : r->fixed[i]);
    igb_wr(g, IGB_RXCTL(r->to), r->rxctl);
    igb_wr(g, IGB_TXCTL(r->to), r->txctl);
    igb_wr(g, IGB_PSRTYPE(r->to), r->split);
    staging_mac(mac);
    igb_rar_set(g, IGB_RAR_VF(r->to), mac, r->to);
    igb_wr(g, IGB_VMOLR(r->to), VMOLR_AUPE | VMOLR_STRCRC | VMOLR_LPE | IGB_PREP(VMOLR_RLPML, IGB_FRAME_MAX));
    igb_vf_update_tag(g, r->to, &move.src->vf[r->from].policy);
    igb_vf_enable(g, r->to, true);
    igb_wr(g, IGB_VMBMEM_WORD(r->to, 0), igb_msg_link());
    err = queues_on(g, r->to, r->rxdctl, r->txdctl, 10 * WAIT_NS);
    if (err)
        return err;
    move.rx_at = igb_rd(g, IGB_RDH(r->to));
    move.tx_at = igb_rd(g, IGB_TDH(r->to));
    return 0;
}

/* The PF joins the guest's VLANs and groups, to park what comes in them; so does the destination, to which nothing of that is addressed yet. */
static int stage_vlans(struct igb *g, struct igb *dst, bool alone)
{
    const struct igb_vlans *v = &move.r.vlans;
    int err = 0;

    for (unsigned i = 0; i < v->n && !err; i++) {
        err = igb_vlan_set(g, IGB_PF_POOL, v->vid[i], true);
        if (!err && !alone)
            err = igb_vlan_set(dst, move.r.to, v->vid[i], true);
    }
    igb_pf_update_pool(g, move.r.from);
    return err;
}

/* The PF is for itself again. */
static void leave_vlans(struct igb *g)
{
    igb_vlan_leave_all(g, IGB_PF_POOL);
    igb_pf_update_pool(g, IGB_PF_POOL);
}

/* The groups that the guest is in, at the other NIC: with the destination they go to the guest, or are cleaned away. */
static void stage_groups(const struct igb_vf *s, struct igb *dst, unsigned to)
{
    if (s->mc_hashes == 0)
        return;
    memcpy(dst->vf[to].mc_hash, s->mc_hash, sizeof(s->mc_hash));
    dst->vf[to].mc_hashes = s->mc_hashes;
    igb_mta_update(dst);
}

/* Transmit stops two short of the source's head, so that there are slots left for two contexts. */
static int stage(struct nic *nic, unsigned from, struct nic *dest, unsigned to, const struct vf_host *host)
{
    struct igb *g = igb_of(nic), *dst = igb_of(dest);
    bool alone = dst == g && to == from;
    unsigned size;
    int err;

    igb_late_end();
    move = (struct igb_move){
        .host = host,
        .src = g,
        .dst = dst,
        .r = {.version = IGB_MOVE_RECORD, .length = sizeof(move.r), .from = from, .to = to}};
    capture(g);
    move.r.vlans = igb_vlans_of(g, from);
    if (!rings_fit())
        return -EINVAL;
    igb_park_prepare(g, from);
    err = stage_vlans(g, dst, alone);
    if (err || alone)
        return err;
    if (dst != g)
        stage_groups(&g->vf[from], dst, to);
    err = scratch_map();
    if (!err)
        err = open_queues(dst);
    if (!err)
        err = advance_rx(dst, igb_rd(g, IGB_RDH(from)));
    size = size_of(RING_TX);
    return err ? err : advance_tx(dst, (igb_rd(g, IGB_TDH(from)) + size - 2) % size, NULL);
}

static void park(struct nic *nic)
{
    struct igb *g = igb_of(nic);

    g->move = &move;
    move.steered = true;
    igb_park_steer(g, IGB_PF_POOL);
}

static void poll(struct nic *nic)
{
    struct igb *g = igb_of(nic);

    (void)igb_tx_reclaim(g);
    while (igb_rx_poll(g)) {
    }
}

/* --- the guest stands still --- */

/* What the VF's driver and we are in the middle of goes on at the destination, unless the buffer is the VF's. The source stays as it is. */
static int stop_mailbox(struct igb *g)
{
    const struct igb_record *r = &move.r;

    if (igb_mbx_has_request(g, r->from) || (igb_rd(g, IGB_P2VMAILBOX(r->from)) & P2V_VFU))
        return -EAGAIN;
    move.r.signals = unread(g, r->from);
    return 0;
}

static int stop(struct nic *nic)
{
    struct igb *g = igb_of(nic);
    struct igb_record *r = &move.r;
    unsigned before;
    int err;

    r->rxdctl = igb_rd(g, IGB_RXDCTL(r->from));
    r->txdctl = igb_rd(g, IGB_TXDCTL(r->from));
    if (!(r->rxdctl & r->txdctl & XDCTL_ENABLE))
        return -EAGAIN; /* its driver is just setting it up anew */
    err = stop_mailbox(g);
    if (err)
        return err;
    poll(nic); /* groups' frames that came until now, the VF has got itself */
    igb_park_clone(true);
    move.stopped = true;
    igb_wr(g, IGB_RXDCTL(r->from), r->rxdctl & ~XDCTL_ENABLE);
    igb_wr(g, IGB_TXDCTL(r->from), r->txdctl & ~XDCTL_ENABLE);
    before = igb_accesses;
    if (!sys_wait(!((igb_rd(g, IGB_RXDCTL(r->from)) | igb_rd(g, IGB_TXDCTL(r->from))) & XDCTL_ENABLE),
                  WAIT_NS))
        return -ETIMEDOUT;
    move.figures.polls = (igb_accesses - before) / 2;
    return 0;
}

static bool heads_fit(void)
{
    const struct igb_record *r = &move.r;

    return r->rdh < size_of(RING_RX) && r->rdt < size_of(RING_RX) && r->tdh < size_of(RING_TX) &&
           r->tdt < size_of(RING_TX);
}

static void save_vectors(const struct igb *g)
{
    struct igb_record *r = &move.r;

    r->vtivar = igb_rd(g, IGB_VTIVAR(r->from));
    r->vtivar_misc = igb_rd(g, IGB_VTIVAR_MISC(r->from));
    r->eims =
        igb_rd(g, IGB_EIMS) >> IGB_VT_BIT(r->from) & VT_VECTORS; /* the VF's own may read as last written */
    r->eiac = igb_rd(g, IGB_PVTEIAC(r->from));
    r->eiam = igb_rd(g, IGB_PVTEIAM(r->from));
    for (unsigned i = 0; i < ARRAY_SIZE(r->eitr); i++)
        r->eitr[i] = igb_rd(g, IGB_VT_EITR(r->from, i));
}

static uint8_t rx_ring[IGB_MOVE_RING * 16] __attribute__((aligned(IGB_MOVE_RING * 16)));
static uint8_t tx_ring[IGB_MOVE_RING * 16] __attribute__((aligned(IGB_MOVE_RING * 16)));

static int save(struct nic *nic)
{
    const struct igb *g = igb_of(nic);
    struct igb_record *r = &move.r;
    int err;

    for (unsigned i = 0; i < IGB_MOVE_FIXED; i++)
        if (igb_rd(g, of_queue(i, r->from)) != r->fixed[i])
            return -EAGAIN; /* its driver has set it up anew since stage() */
    r->rdh = igb_rd(g, IGB_RDH(r->from));
    r->rdt = igb_rd(g, IGB_RDT(r->from));
    r->tdh = igb_rd(g, IGB_TDH(r->from));
    r->tdt = igb_rd(g, IGB_TDT(r->from));
    move.figures.rx_head[0] = r->rdh;
    move.figures.rx_tail = r->rdt;
    move.figures.tx_head[0] = move.figures.tx_head[1] = r->tdh;
    move.figures.tx_tail = r->tdt;
    save_vectors(g);
    if (!heads_fit())
        return -EINVAL;
    err = move.host->read(base_of(RING_TX), tx_ring, 16 * size_of(RING_TX));
    return err ? err : move.host->read(base_of(RING_RX), rx_ring, 16 * size_of(RING_RX));
}

/* --- parked frames --- */

static uint32_t buffer_bytes(void)
{
    return 1024 * IGB_GET(SRRCTL_BSIZEPACKET, move.r.fixed[RX_CONTROL]);
}

/* Bytes at the beginning of each frame that get a buffer of their own, as if the NIC had not understood its headers (datasheet 7.1.10). */
static uint32_t header_bytes(void)
{
    uint32_t control = move.r.fixed[RX_CONTROL];

    return IGB_GET(SRRCTL_DESCTYPE, control) == SRRCTL_ADV_ALWAYS ? 64 * IGB_GET(SRRCTL_BSIZEHEADER, control)
                                                                  : 0;
}

/* Descriptors that a frame takes. */
static unsigned slots_of(const struct igb_parked *p)
{
    unsigned left = 0;

    for (const struct nic_buf *b = p->frame; b; b = b->next)
        left += b->len;
    left = left > header_bytes() ? left - header_bytes() : 0;
    return left > buffer_bytes() ? (left + buffer_bytes() - 1) / buffer_bytes() : 1;
}

static unsigned free_slots(void)
{
    return distance(move.r.rdh, move.r.rdt, size_of(RING_RX));
}

/* The rest is looped back later: frames that find no room, and such as the NIC lays down in another way. */
static bool can_replay(const struct igb_parked *p)
{
    uint32_t type = IGB_GET(SRRCTL_DESCTYPE, move.r.fixed[RX_CONTROL]);

    return (type <= SRRCTL_ADV_SPLIT || type == SRRCTL_ADV_ALWAYS) && buffer_bytes() &&
           slots_of(p) <= free_slots();
}

struct rest {
    const struct nic_buf *buf; /* NULL: nothing is left */
    unsigned at;
};

/* Puts at most `most` bytes of what is left of a frame into a buffer of the guest's; how many they were, or negative errno. */
static int put(struct rest *rest, uint64_t to, unsigned most)
{
    unsigned n, sum = 0;
    int err;

    while (rest->buf && sum < most) {
        n = rest->buf->len - rest->at;
        n = n < most - sum ? n : most - sum;
        err = n ? move.host->write(to + sum, rest->buf->data + rest->at, n) : 0;
        if (err)
            return err;
        sum += n;
        rest->at += n;
        if (rest->at == rest->buf->len)
            *rest = (struct rest){rest->buf->next, 0};
    }
    return (int)sum;
}

/* One frame into the buffers of as many descriptors as it takes, which in our copy of the ring are written back as the NIC does. */
static int replay_one(const struct igb_parked *p)
{
    union igb_rxd *ring = (void *)rx_ring, done[SLOTS_MAX];
    struct rest rest = {p->frame, 0};
    unsigned size = size_of(RING_RX), n = slots_of(p);
    int header = 0, packet;

    for (unsigned i = 0; i < n; i++) {
        const union igb_rxd *d = &ring[(move.r.rdh + i) % size];

        if (i == 0 && header_bytes())
            header = put(&rest, d->read.header, header_bytes());
        packet = header < 0 ? header : put(&rest, d->read.packet, buffer_bytes());
        if (packet < 0)
            return packet;
        done[i] = p->d;
        done[i].wb.info = (p->d.wb.info & ~(uint64_t)RXD_INFO_HDR) |
                          (i == 0 ? IGB_PREP(RXD_INFO_HLEN, (unsigned)header) : 0);
        done[i].wb.length = (uint16_t)packet;
        if (i < n - 1)
            done[i].wb.status = RXD_STATUS_DD;
    }
    for (unsigned i = 0; i < n; i++)
        ring[(move.r.rdh + i) % size] = done[i];
    move.r.rdh = (move.r.rdh + n) % size;
    return 0;
}

/* Into buffers that are the VF's as long as the descriptors say so, which those in the guest's ring do until the destination is the guest's. */
static int replay(struct nic *nic)
{
    const struct igb_parked *p;
    int err = 0;

    (void)nic;
    while ((p = igb_park_next()) && can_replay(p)) {
        err = replay_one(p);
        if (err)
            break;
        igb_park_done();
        move.figures.replayed++;
    }
    move.figures.rx_head[1] = move.r.rdh;
    return err;
}

static const void *ring(struct nic *nic, uint64_t *at, uint32_t *length)
{
    (void)nic;
    *at = base_of(RING_RX);
    *length = 16 * size_of(RING_RX);
    return rx_ring;
}

/* --- into the destination --- */

/* The last context of each index before the head. What the guest has queued behind it, it brings along itself. */
static void last_contexts(struct igb_txd last[2])
{
    const struct igb_txd *ring = (const void *)tx_ring;
    unsigned size = size_of(RING_TX), done = size - distance(move.r.tdh, move.r.tdt, size);
    bool found[2] = {false, false};

    for (unsigned i = 0; i < 2; i++)
        last[i] =
            (struct igb_txd){.command = TXD_DTYP_CONTEXT | TXD_DEXT, .status = IGB_PREP(TXD_CONTEXT_IDX, i)};
    for (unsigned i = 1; i <= done && !(found[0] && found[1]); i++) {
        const struct igb_txd *d = &ring[(move.r.tdh + size - i) % size];
        unsigned idx = IGB_GET(TXD_CONTEXT_IDX, d->status) & 1;

        if ((d->command & TXD_DTYP) != TXD_DTYP_CONTEXT || !(d->command & TXD_DEXT) || found[idx])
            continue;
        last[idx] = *d;
        found[idx] = true;
    }
}

static int load_heads(struct igb *g)
{
    const struct igb_record *r = &move.r;
    struct igb_txd last[2];
    int err = advance_rx(g, r->rdh);

    if (err || move.tx_at == r->tdh)
        return err;
    last_contexts(last);
    if (distance(move.tx_at, r->tdh, size_of(RING_TX)) < 2) /* it went nearly once around */
        err = advance_tx(g, (r->tdh + size_of(RING_TX) / 2) % size_of(RING_TX), NULL);
    return err ? err : advance_tx(g, r->tdh, last);
}

static void load_vectors(const struct igb *g)
{
    const struct igb_record *r = &move.r;

    igb_wr(g, IGB_VTIVAR(r->to), r->vtivar);
    igb_wr(g, IGB_VTIVAR_MISC(r->to), r->vtivar_misc);
    for (unsigned i = 0; i < ARRAY_SIZE(r->eitr); i++)
        igb_wr(g, IGB_VT_EITR(r->to, i), r->eitr[i]);
    igb_wr(g, IGB_PVTEIAC(r->to), r->eiac);
    igb_wr(g, IGB_PVTEIAM(r->to), r->eiam);
    igb_wr(g, IGB_PVTEIMS(r->to), r->eims);
}

/* stage() has left a word for a driver that is told to look at its link: it takes that for down unless it reads "clear to send". */
static void load_mailbox(struct igb *g, struct igb *dst)
{
    const struct igb_record *r = &move.r;

    if (!r->signals)
        return;
    for (unsigned i = 0; i < IGB_MSG_WORDS; i++)
        igb_wr(dst, IGB_VMBMEM_WORD(r->to, i),
               move.unpacked ? r->message[i] : igb_rd(g, IGB_VMBMEM_WORD(r->from, i)));
    igb_wr(dst, IGB_P2VMAILBOX(r->to), move.r.signals);
}

/* Vectors and mailbox, too: the destination's interrupts go nowhere yet, and should we die, nothing of them has to be mended. */
static int load(struct nic *nic)
{
    struct igb *dst = move.dst;
    int err = load_heads(dst);

    if (err || move.loaded)
        return err;
    load_vectors(dst);
    load_mailbox(igb_of(nic), dst);
    move.loaded = true;
    return 0;
}

static const void *record(struct nic *nic, uint32_t *length)
{
    const struct igb *g = igb_of(nic);

    if (!move.unpacked)
        igb_vf_keep(g, move.r.from, &move.r.vf);
    move.r.left = igb_park_left();
    *length = sizeof(move.r);
    return &move.r;
}

/* Unless the guest has written its own since load(): it may have gone on without us. */
static void load_tail(const struct igb *g, igb_reg head, igb_reg tail, uint32_t loaded, uint32_t want)
{
    if (igb_rd(g, head) == loaded && igb_rd(g, tail) == loaded)
        igb_wr(g, tail, want);
}

static void load_tails(const struct igb *g)
{
    const struct igb_record *r = &move.r;

    load_tail(g, IGB_RDH(r->to), IGB_RDT(r->to), r->rdh, r->rdt);
    load_tail(g, IGB_TDH(r->to), IGB_TDT(r->to), r->tdh, r->tdt);
}

/* The VF's place in the driver's own tables goes with the guest; what was the destination's stays with the source. */
static void swap(struct igb_vf *a, struct igb_vf *b)
{
    struct igb_vf old = *a;

    *a = *b;
    *b = old;
}

static unsigned room_at(const struct igb *dst)
{
    return distance(igb_rd(dst, IGB_RDH(move.r.to)), igb_rd(dst, IGB_RDT(move.r.to)), size_of(RING_RX));
}

/* The guest gets what is left, as long as it has descriptors for it; true if nothing is. */
static bool loop_parked(struct igb *dst)
{
    const struct igb_parked *p;
    unsigned room;

    while ((p = igb_park_next())) {
        room = room_at(dst);
        if (slots_of(p) > room)
            return false;
        for (; p && slots_of(p) <= room; p = igb_park_next()) {
            room -= slots_of(p);
            igb_park_loop(dst, &move.figures);
        }
    }
    return true;
}

/* What comes for it would find descriptors: as many as it had, or a share of the ring. What replay() has used up it must first give again. */
static bool has_room(const struct igb *dst)
{
    const struct vf_figures *f = &move.figures;
    unsigned size = size_of(RING_RX), had = distance(f->rx_head[0], f->rx_tail, size);

    return room_at(dst) >= (had < size / 4 ? had : size / 4);
}

/* And what came just before its addresses pointed to the destination, behind that. */
static void flow(struct igb *g, struct igb *dst)
{
    if (dst == g)
        igb_park_steer(g, move.r.to);
    poll(&g->nic);
    (void)loop_parked(dst);
    move.flows = true;
}

/*
 * Frames flow to the guest when its addresses point to the destination, and at another NIC when the network knows of it; those that came just before are looped
 * behind. Unless it lacks descriptors: then it must run first. Of groups' frames the PF has those that came before the destination
 * was in them.
 */
static void start(struct nic *nic)
{
    struct igb *g = igb_of(nic), *dst = move.dst;
    const struct igb_record *r = &move.r;

    swap(&g->vf[r->from], &dst->vf[r->to]);
    if (r->fixed[TX_WRITE_BACK])
        igb_wr(dst, of_queue(TX_WRITE_BACK, r->to), r->fixed[TX_WRITE_BACK]);
    load_tails(dst);
    poll(nic);
    igb_vf_update_pool(dst, r->to);
    igb_park_clone(false);
    if (dst != g) {
        igb_park_land(dst, r->to);
        igb_late_begin(g, dst, &r->vlans);
    }
    if (loop_parked(dst) && has_room(dst))
        flow(g, dst);
    igb_keep(dst); /* before the hypervisor takes the move for over */
    if (dst != g)
        igb_keep(g);
}

static void finish(struct nic *nic)
{
    struct igb *g = igb_of(nic), *dst = move.dst;

    if (!move.flows) {
        (void)sys_wait((poll(nic), loop_parked(dst) && has_room(dst)), FINISH_NS);
        flow(g, dst);
    }
    (void)sys_wait((poll(nic), loop_parked(dst)), FINISH_NS);
    move.figures.overflowed += igb_park_left();
    if (dst == g)
        igb_park_land(g, move.r.to);
    else
        igb_late_listen();
    igb_park_leave(g);
    igb_park_close();
    if (dst == g)
        leave_vlans(g);
    else
        igb_pf_update_pool(g, IGB_PF_POOL);
    g->move = NULL;
}

static void undo(struct nic *nic, bool still)
{
    struct igb *g = igb_of(nic);
    const struct igb_record *r = &move.r;

    if (move.stopped && still) {
        (void)queues_on(g, r->from, r->rxdctl, r->txdctl, WAIT_NS);
        tails_again(g, r->from);
        word_again(g, r->from);
    }
    (void)igb_park_undone();
    move.figures.replayed = 0;
    if (move.unpacked) /* it is reset */
        return;
    if (move.steered) {
        igb_park_steer(g, r->from);
        igb_park_clone(false);
        poll(nic);
        while (igb_park_next())
            igb_park_loop(g, &move.figures);
        igb_park_close();
    }
    leave_vlans(g);
    g->move = NULL;
}

static bool are_vlans(const struct igb *g, unsigned vf, const struct igb_vlans *v)
{
    bool ok = v->n <= IGB_VF_VLANS && v->port == g->vf[vf].policy.vlan && (!v->port || v->n == 1);

    for (unsigned i = 0; ok && i < v->n; i++)
        ok = v->vid[i] <= VLVF_VLAN_ID && (!v->port || v->vid[i] == v->port);
    return ok;
}

/* Those that it is not in, within its share. */
static void recall_vlans(struct igb *g, unsigned vf)
{
    const struct igb_vlans *v = &move.r.vlans;

    for (unsigned i = 0; i < v->n; i++)
        if (!igb_vlan_is_member(g, vf, v->vid[i]) && igb_vlan_count(g, vf) < IGB_VF_VLANS)
            (void)igb_vlan_set(g, vf, v->vid[i], true);
}

/*
 * What the last driver had not come to of the move that it died in: its guest has the destination, as load() left it, and has gone on with it. Its state in our
 * tables is what was read back, so in part what stage() had made of it.
 */
static int wake_destination(struct igb *g, unsigned vf, const void *rec, uint32_t length)
{
    if (length != sizeof(move.r))
        return -EINVAL;
    memcpy(&move.r, rec, sizeof(move.r));
    if (move.r.version != IGB_MOVE_RECORD || move.r.length != sizeof(move.r) || move.r.to != vf ||
        !nic_mac_is_station(move.r.vf.mac) || !are_vlans(g, vf, &move.r.vlans))
        return -EINVAL;
    igb_vf_recall(g, vf, &move.r.vf);
    recall_vlans(g, vf);
    igb_mta_update(g);
    igb_wr(g, of_queue(TX_WRITE_BACK, vf), move.r.fixed[TX_WRITE_BACK]);
    load_tails(g);
    igb_announce(g, g->vf[vf].mac, &move.r.vlans);
    printf("%s/%u: %u frames that were parked are lost\n", g->nic.name, vf, move.r.left);
    return 0;
}

/* It may have been silenced: all else of it is as its guest left it. The frames that were parked are gone, and nobody has counted them. */
static int wake_source(struct igb *g, unsigned vf)
{
    int err = queues_on(g, vf, igb_rd(g, IGB_RXDCTL(vf)) | XDCTL_ENABLE,
                        igb_rd(g, IGB_TXDCTL(vf)) | XDCTL_ENABLE, 10 * WAIT_NS);

    if (err)
        return err;
    tails_again(g, vf);
    word_again(g, vf);
    return 0;
}

/* One that was reset meanwhile has nothing to be mended: its driver sets it up. */
static int wake(struct nic *nic, unsigned vf, const void *rec, uint32_t length)
{
    struct igb *g = igb_of(nic);
    int err;

    if (vf >= nic->channels)
        return -EINVAL;
    if (!g->vf[vf].cts || (igb_rd(g, IGB_VFLRE) & IGB_BIT(vf)))
        return 0;
    err = length ? wake_destination(g, vf, rec, length) : wake_source(g, vf);
    if (err)
        return err;
    igb_keep(g);
    return 0;
}

/* --- a guest that is saved, and comes back --- */

static const void *pack(struct nic *nic, uint32_t *length)
{
    struct igb *g = igb_of(nic);
    struct igb_record *r = &move.r;

    for (unsigned i = 0; i < IGB_MSG_WORDS; i++)
        r->message[i] = igb_rd(g, IGB_VMBMEM_WORD(r->from, i));
    igb_park_close();
    leave_vlans(g);
    return record(nic, length);
}

static int unpack(struct nic *nic, unsigned vf, const void *rec, uint32_t length, const struct vf_host *host)
{
    struct igb *g = igb_of(nic);
    const struct igb_record *r = rec;
    int err;

    if (length != sizeof(*r) || r->version != IGB_MOVE_RECORD || r->length != sizeof(*r) ||
        vf >= nic->channels || r->vlans.n > IGB_VF_VLANS)
        return -EINVAL;
    igb_late_end();
    move = (struct igb_move){.host = host, .src = g, .dst = g, .r = *r, .unpacked = true};
    move.r.from = move.r.to = vf;
    if (!rings_fit() || !heads_fit() || !nic_mac_is_station(r->vf.mac) || g->vf[vf].broken ||
        !g->vf[vf].allowed)
        return -EINVAL;
    err = host->read(base_of(RING_TX), tx_ring, 16 * size_of(RING_TX));
    if (!err)
        err = scratch_map();
    if (!err)
        err = open_queues(g);
    return err ? err : advance_tx(g, (r->tdh + size_of(RING_TX) - 2) % size_of(RING_TX), NULL);
}

/* The guest's place in the tables comes with it, and all that its driver had asked for. */
static int go_on(struct nic *old, unsigned was)
{
    const struct igb_record *r = &move.r;
    struct igb *g = move.dst, *from = igb_of(old);

    if (was >= old->channels)
        return -EINVAL;
    if (from != g || was != r->to)
        swap(&from->vf[was], &g->vf[r->to]);
    igb_vf_recall(g, r->to, &r->vf);
    igb_vf_open(g, r->to);
    if (are_vlans(g, r->to, &r->vlans))
        recall_vlans(g, r->to);
    igb_mta_update(g);
    g->vf[r->to].cts = true;
    if (r->fixed[TX_WRITE_BACK])
        igb_wr(g, of_queue(TX_WRITE_BACK, r->to), r->fixed[TX_WRITE_BACK]);
    load_tails(g);
    igb_announce(g, g->vf[r->to].mac, &r->vlans);
    igb_keep(g);
    if (from != g)
        igb_keep(from);
    return 0;
}

static const struct vf_figures *figures(struct nic *nic)
{
    (void)nic;
    return &move.figures;
}

static unsigned accesses(void)
{
    return igb_accesses;
}

const struct vf_ops igb_vf_ops = {
    .refuses = refuses,
    .stage = stage,
    .park = park,
    .poll = poll,
    .stop = stop,
    .save = save,
    .replay = replay,
    .load = load,
    .ring = ring,
    .start = start,
    .finish = finish,
    .announce = igb_late_announce,
    .undo = undo,
    .wake = wake,
    .record = record,
    .pack = pack,
    .unpack = unpack,
    .go_on = go_on,
    .figures = figures,
    .accesses = accesses,
};
