/* SPDX-License-Identifier: BSD-2-Clause */
/* The PF's one receive and one transmit queue (datasheet 4.5, "Receive/Transmit Initialization"; 7.1
 * and 7.2). */
#include "drivers/net/igb/igb.h"
#include "drivers/net/igb/io.h"
#include "drivers/net/igb/move.h"
#include "drivers/sys/sys.h"
#include <errno.h>
#include <malloc.h>
#include <string.h>

#define QUEUE          IGB_PF_POOL
#define RX_BUDGET      64
#define RX_BATCH       16 /* descriptors given back per write of RDT */
#define ENABLE_WAIT_NS (10 * NS_PER_MS)
#define SEND_WAIT_NS   (10 * NS_PER_MS)

static void *ring_alloc(void)
{
    void *ring = memalign(PAGE_BYTES, IGB_RING * sizeof(union igb_rxd));

    if (ring)
        memset(ring, 0, IGB_RING * sizeof(union igb_rxd));
    return ring;
}

int igb_rings_alloc(struct igb *g)
{
    g->rx.ring = ring_alloc();
    g->tx.ring = ring_alloc();
    return g->rx.ring && g->tx.ring ? 0 : -ENOMEM;
}

/* Posts buffers as long as there are any; the device sees them at the next write of RDT. */
static void rx_fill(struct igb *g)
{
    struct igb_rx *rx = &g->rx;
    unsigned before = rx->tail;

    while (rx->tail - rx->head < IGB_RING - 1) {
        unsigned i = rx->tail % IGB_RING;
        struct nic_buf *buf = buf_alloc();

        if (!buf) {
            g->nic.stats.rx_no_buffer++;
            break;
        }
        rx->buf[i] = buf;
        rx->ring[i].read.header = 0; /* clears DD */
        rx->ring[i].read.packet = (uint64_t)(uintptr_t)buf->data;
        rx->tail++;
    }
    if (rx->tail != before) {
        __asm__ volatile("" : : : "memory"); /* descriptors before tail: x86 keeps stores in order */
        igb_wr(g, IGB_RDT(QUEUE), rx->tail % IGB_RING);
    }
}

static int rx_start(struct igb *g)
{
    uint64_t at = (uint64_t)(uintptr_t)g->rx.ring;

    igb_wr(g, IGB_RDBAL(QUEUE), (uint32_t)at);
    igb_wr(g, IGB_RDBAH(QUEUE), (uint32_t)(at >> 32));
    igb_wr(g, IGB_RDLEN(QUEUE), IGB_RING * sizeof(union igb_rxd));
    igb_wr(g, IGB_SRRCTL(QUEUE),
           IGB_PREP(SRRCTL_BSIZEPACKET, BUF_SIZE / 1024) | IGB_PREP(SRRCTL_DESCTYPE, SRRCTL_ADV_ONEBUF) |
               SRRCTL_DROP_EN);
    igb_wr(g, IGB_RDH(QUEUE), 0);
    g->rx.head = g->rx.tail = igb_rd(g, IGB_RDH(QUEUE)) % IGB_RING;
    igb_wr(g, IGB_RDT(QUEUE), g->rx.tail);
    igb_wr(g, IGB_RXDCTL(QUEUE),
           XDCTL_ENABLE | IGB_PREP(XDCTL_PTHRESH, 8) | IGB_PREP(XDCTL_HTHRESH, 8) |
               IGB_PREP(XDCTL_WTHRESH, 1));
    if (!sys_wait(igb_rd(g, IGB_RXDCTL(QUEUE)) & XDCTL_ENABLE, ENABLE_WAIT_NS))
        return -ETIMEDOUT;
    rx_fill(g);
    return 0;
}

static int tx_start(struct igb *g)
{
    uint64_t at = (uint64_t)(uintptr_t)g->tx.ring;

    igb_wr(g, IGB_TDBAL(QUEUE), (uint32_t)at);
    igb_wr(g, IGB_TDBAH(QUEUE), (uint32_t)(at >> 32));
    igb_wr(g, IGB_TDLEN(QUEUE), IGB_RING * sizeof(struct igb_txd));
    igb_wr(g, IGB_TDH(QUEUE), 0);
    g->tx.head = g->tx.tail = igb_rd(g, IGB_TDH(QUEUE)) % IGB_RING;
    igb_wr(g, IGB_TDT(QUEUE), g->tx.tail);
    igb_wr(g, IGB_TDWBAL(QUEUE), 0);
    igb_wr(g, IGB_TDWBAH(QUEUE), 0);
    igb_wr(g, IGB_TXDCTL(QUEUE), XDCTL_ENABLE | IGB_PREP(XDCTL_PTHRESH, 8) | IGB_PREP(XDCTL_HTHRESH, 1));
    if (!sys_wait(igb_rd(g, IGB_TXDCTL(QUEUE)) & XDCTL_ENABLE, ENABLE_WAIT_NS))
        return -ETIMEDOUT;
    igb_wr(g, IGB_TCTL, TCTL_EN | TCTL_PSP | IGB_PREP(TCTL_CT, 15) | IGB_PREP(TCTL_BST, 64));
    return 0;
}

/* A head that does not go back to 0 without a device reset is where the ring begins. */
int igb_rings_start(struct igb *g)
{
    int err = rx_start(g);

    return err ? err : tx_start(g);
}

/* A whole frame: parked, handed on, or the stack's; of which are only those that fit one buffer and have no tag. */
static void rx_frame(struct igb *g, struct nic_buf *frame, const union igb_rxd *d)
{
    g->nic.stats.rx_frames++;
    g->nic.stats.rx_bytes += g->rx.length;
    if (g->move && igb_park_take(g, frame, d))
        return;
    if (!igb_late_take(g, frame, d) && !(d->wb.status & RXD_STATUS_VP)) {
        if (!frame->next && frame->len <= IGB_FRAME_MAX) {
            g->nic.events->received(&g->nic, frame);
            return;
        }
        g->nic.stats.rx_errors++;
    }
    buf_free_frame(frame);
}

/* One completed descriptor: a frame, or a piece of a long one. */
static void rx_complete(struct igb *g, struct nic_buf *buf, const union igb_rxd *d)
{
    struct igb_rx *rx = &g->rx;
    struct nic_buf *frame;
    uint32_t status = d->wb.status;
    bool last = status & RXD_STATUS_EOP;

    buf->len = d->wb.length;
    if (rx->first)
        rx->last->next = buf;
    else
        rx->first = buf;
    rx->last = buf;
    rx->length += buf->len;
    rx->skip |= (last && status & RXD_ERROR_RXE) || buf->len > BUF_SIZE || rx->length > IGB_JUMBO_MAX;
    if (!last && !rx->skip)
        return;
    frame = rx->first;
    rx->first = NULL;
    if (rx->skip) {
        g->nic.stats.rx_errors += last;
        buf_free_frame(frame);
    } else {
        rx_frame(g, frame, d);
    }
    rx->skip = rx->skip && !last;
    rx->length = 0;
}

bool igb_rx_poll(struct igb *g)
{
    struct igb_rx *rx = &g->rx;
    unsigned n;

    for (n = 0; n < RX_BUDGET && rx->head != rx->tail; n++) {
        unsigned i = rx->head % IGB_RING;
        volatile union igb_rxd *d = &rx->ring[i];
        union igb_rxd copy = {.wb.status = d->wb.status};

        if (!(copy.wb.status & RXD_STATUS_DD))
            break;
        copy.wb.info = d->wb.info;
        copy.wb.length = d->wb.length;
        copy.wb.vlan = d->wb.vlan;
        rx->head++;
        rx_complete(g, rx->buf[i], &copy);
        if (IGB_RING - 1 - (rx->tail - rx->head) >= RX_BATCH)
            rx_fill(g);
    }
    /* With the pool empty the ring runs dry; what the stack gives back is posted as soon as we are called
     * again. */
    if (rx->tail - rx->head < IGB_RING / 2)
        rx_fill(g);
    return n == RX_BUDGET;
}

bool igb_tx_reclaim(struct igb *g)
{
    struct igb_tx *tx = &g->tx;
    unsigned end = tx->head, from = tx->head;

    /* The device reports whole frames: DD stands in a frame's last descriptor. */
    while (end != tx->tail) {
        volatile struct igb_txd *d = &tx->ring[end % IGB_RING];

        if (!tx->last[end % IGB_RING]) {
            end++;
            continue;
        }
        if (!(d->status & TXD_STATUS_DD))
            break;
        end++;
        tx->head = end;
        if (tx->cookie[(end - 1) % IGB_RING])
            g->nic.events->sent(&g->nic, tx->cookie[(end - 1) % IGB_RING]);
    }
    return tx->head != from;
}

int igb_transmit(struct nic *nic, const struct nic_frag *frag, unsigned n, void *cookie)
{
    struct igb *g = igb_of(nic);
    struct igb_tx *tx = &g->tx;
    uint32_t total = 0;

    if (n == 0 || n > NIC_FRAGS_MAX)
        return -EINVAL;
    if (IGB_RING - 1 - (tx->tail - tx->head) < n) {
        nic->stats.tx_full++;
        return -ENOBUFS;
    }
    for (unsigned i = 0; i < n; i++)
        total += frag[i].len;
    for (unsigned i = 0; i < n; i++) {
        unsigned at = (tx->tail + i) % IGB_RING;
        bool last = i == n - 1;

        tx->last[at] = last;
        tx->cookie[at] = last ? cookie : NULL;
        tx->ring[at].buffer = (uint64_t)(uintptr_t)frag[i].data;
        tx->ring[at].command = IGB_PREP(TXD_DTALEN, frag[i].len) | TXD_DTYP_DATA | TXD_IFCS | TXD_DEXT |
                               (last ? TXD_EOP | TXD_RS : 0);
        tx->ring[at].status = IGB_PREP(TXD_PAYLEN, total);
    }
    tx->tail += n;
    nic->stats.tx_frames++;
    nic->stats.tx_bytes += total;
    __asm__ volatile("" : : : "memory");
    igb_wr(g, IGB_TDT(QUEUE), tx->tail % IGB_RING);
    return 0;
}

int igb_send_now(struct igb *g, const struct nic_frag *frag, unsigned n)
{
    int err;

    (void)igb_tx_reclaim(g);
    err = igb_transmit(&g->nic, frag, n, NULL);
    if (err)
        return err;
    return sys_wait((igb_tx_reclaim(g), g->tx.head == g->tx.tail), SEND_WAIT_NS) ? 0 : -ETIMEDOUT;
}
