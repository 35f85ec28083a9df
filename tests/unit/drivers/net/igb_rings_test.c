/* SPDX-License-Identifier: BSD-2-Clause */
/* Ring invariants under a device and a stack that do as they like: buffers are conserved, frames are sent and
 * reported once. */
#include "tests/unit/test.h"

#include "tests/unit/fake/igb.c"

#include "drivers/net/igb/move.h"

/* The parking queue takes every other frame. */
static unsigned offered, parked, longest;

/* And of the rest every fourth goes to another NIC, where its guest is now. */
static unsigned late;

bool igb_late_take(const struct igb *g, const struct nic_buf *frame, const union igb_rxd *d)
{
    (void)g, (void)frame, (void)d;
    return late++ % 4 == 0;
}

bool igb_park_take(struct igb *g, struct nic_buf *frame, const union igb_rxd *d)
{
    unsigned length = 0;

    (void)g;
    for (const struct nic_buf *b = frame; b; b = b->next) {
        CHECK(b->next || b->len == d->wb.length);
        length += b->len;
        longest = length > longest ? length : longest;
    }
    CHECK(d->wb.status & RXD_STATUS_EOP);
    parked += offered++ & 1;
    if (offered & 1)
        return false;
    buf_free_frame(frame);
    return true;
}

#include "drivers/net/buf.c"
#include "drivers/net/igb/rings.c"

#define Q IGB_PF_POOL

static struct igb nic;
static struct nic_buf *held[BUF_COUNT];
static unsigned held_count;
static uintptr_t next_sent = 1;
static bool out_of_order;

static void on_received(struct nic *n, struct nic_buf *buf)
{
    (void)n;
    held[held_count++] = buf;
}

static void on_sent(struct nic *n, void *cookie)
{
    (void)n;
    out_of_order |= (uintptr_t)cookie != next_sent++;
}

static const struct nic_events events = {.received = on_received, .sent = on_sent};

static void start(void)
{
    free(nic.rx.ring);
    free(nic.tx.ring);
    fake_reset();
    memset(&nic, 0, sizeof(nic));
    nic.nic.events = &events;
    buf_init();
    held_count = 0;
    next_sent = 1;
    out_of_order = false;
    CHECK_EQ(igb_rings_alloc(&nic), 0);
    CHECK_EQ(igb_rings_start(&nic), 0);
}

static bool is_last_rx_seen(uint64_t packet)
{
    for (unsigned i = 0; i < held_count; i++) {
        if ((uint64_t)(uintptr_t)held[i]->data == packet)
            return true;
    }
    return false;
}

/* The device completes up to n descriptors from RDH on. */
static void device_receive(unsigned n, uint32_t status, uint16_t len)
{
    uint32_t *rdh = fake_reg(IGB_RDH(Q)), rdt = *fake_reg(IGB_RDT(Q));

    for (; n && *rdh != rdt; n--) {
        CHECK(!is_last_rx_seen(nic.rx.ring[*rdh].read.packet));
        nic.rx.ring[*rdh].wb.length = len;
        nic.rx.ring[*rdh].wb.status = status;
        *rdh = (*rdh + 1) % IGB_RING;
    }
}

static void stack_gives_back(unsigned n)
{
    while (n-- && held_count) {
        unsigned i = (unsigned)rand() % held_count;

        buf_free(held[i]);
        held[i] = held[--held_count];
    }
}

/* Of a frame whose end has not come. */
static unsigned pieces(void)
{
    unsigned n = 0;

    for (const struct nic_buf *b = nic.rx.first; b; b = b->next)
        n++;
    return n;
}

TEST(receive_buffers_are_conserved)
{
    static struct igb_move move;

    start();
    parked = late = 0;
    for (unsigned i = 0; i < 20000; i++) {
        uint32_t status =
            RXD_STATUS_DD | (rand() % 8 ? RXD_STATUS_EOP : 0) | (rand() % 8 ? 0 : RXD_ERROR_RXE);

        nic.move = i / 1000 % 2 ? &move : NULL;
        device_receive((unsigned)rand() % 100, status, (uint16_t)(rand() % 3000));
        igb_rx_poll(&nic);
        stack_gives_back((unsigned)rand() % (i / 5000 % 2 ? 20 : 100));
        CHECK_EQ(buf_count_free() + (nic.rx.tail - nic.rx.head) + held_count + pieces(), BUF_COUNT);
        CHECK(nic.rx.tail - nic.rx.head <= IGB_RING - 1);
        if (test_failures)
            return;
    }
    CHECK(nic.nic.stats.rx_frames > 10000 && parked > 1000 && late > 1000);
    CHECK(longest > 3 * BUF_SIZE && longest <= IGB_JUMBO_MAX);
    CHECK(nic.nic.stats.rx_no_buffer > 0);
}

TEST(a_dry_ring_recovers)
{
    start();
    while (buf_count_free()) {
        device_receive(IGB_RING, RXD_STATUS_DD | RXD_STATUS_EOP, 60);
        igb_rx_poll(&nic);
    }
    for (unsigned i = 0; i < 100; i++) {
        device_receive(IGB_RING, RXD_STATUS_DD | RXD_STATUS_EOP, 60);
        igb_rx_poll(&nic);
    }
    CHECK_EQ(nic.rx.tail - nic.rx.head, 0);
    stack_gives_back(BUF_COUNT);
    igb_rx_poll(&nic);
    CHECK_EQ(nic.rx.tail - nic.rx.head, IGB_RING - 1);
}

TEST(bad_frames_are_dropped_whole)
{
    start();
    late = 1;                               /* nothing is, for three frames */
    device_receive(1, RXD_STATUS_DD, 2048); /* goes on in the next buffer */
    device_receive(1, RXD_STATUS_DD | RXD_STATUS_EOP, 100);
    device_receive(1, RXD_STATUS_DD | RXD_STATUS_EOP, 4000);
    device_receive(1, RXD_STATUS_DD | RXD_STATUS_EOP, 99);
    igb_rx_poll(&nic);
    CHECK_EQ(held_count, 1);
    CHECK_EQ(held[0]->len, 99);
    CHECK_EQ(nic.nic.stats.rx_errors, 2);
}

static unsigned frames_left; /* frames the device may still complete */

static void device_transmit(void)
{
    uint32_t *tdh = fake_reg(IGB_TDH(Q)), tdt = *fake_reg(IGB_TDT(Q));

    while (frames_left && *tdh != tdt) {
        struct igb_txd *d = &nic.tx.ring[*tdh];

        if (d->command & TXD_EOP) {
            frames_left--;
            d->status |= TXD_STATUS_DD;
        }
        *tdh = (*tdh + 1) % IGB_RING;
    }
}

TEST(frames_are_reported_once_and_in_order)
{
    static const char data[64];
    struct nic_frag frag[NIC_FRAGS_MAX];
    uintptr_t queued = 1;

    start();
    for (unsigned i = 0; i < NIC_FRAGS_MAX; i++)
        frag[i] = (struct nic_frag){data, sizeof(data)};
    for (unsigned i = 0; i < 20000; i++) {
        if (igb_transmit(&nic.nic, frag, 1 + (unsigned)rand() % NIC_FRAGS_MAX, (void *)queued) == 0)
            queued++;
        frames_left = rand() % 3 ? 0 : (unsigned)rand() % 6;
        device_transmit();
        igb_tx_reclaim(&nic);
        CHECK(nic.tx.tail - nic.tx.head <= IGB_RING - 1);
    }
    CHECK(nic.nic.stats.tx_full > 0);
    frames_left = IGB_RING;
    device_transmit();
    igb_tx_reclaim(&nic);
    CHECK(!out_of_order);
    CHECK_EQ(next_sent, queued);
    CHECK_EQ(nic.tx.tail, nic.tx.head);
    CHECK_EQ(igb_transmit(&nic.nic, frag, 0, NULL), -EINVAL);
    CHECK_EQ(igb_transmit(&nic.nic, frag, NIC_FRAGS_MAX + 1, NULL), -EINVAL);
}

/* The device sends at once, or not at all. */
static void send_at_once(uint32_t off, uint32_t v)
{
    if (off != IGB_TDT(Q).off)
        return;
    for (unsigned i = 0; i < IGB_RING; i++)
        nic.tx.ring[i].status |= TXD_STATUS_DD;
    *fake_reg(IGB_TDH(Q)) = v;
}

TEST(a_frame_of_the_drivers_own_is_nobody_elses)
{
    static const uint8_t frame[60];
    const struct nic_frag frag = {frame, sizeof(frame)};

    start();
    fake_on_write = send_at_once;
    CHECK_EQ(igb_send_now(&nic, &frag, 1), 0);
    CHECK_EQ(next_sent, 1); /* no event */
    CHECK_EQ(nic.tx.head, nic.tx.tail);
    fake_on_write = NULL;
}

TEST_MAIN()
