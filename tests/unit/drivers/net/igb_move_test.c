/* SPDX-License-Identifier: BSD-2-Clause */
/* drivers/net/igb/move.c, park.c and late.c against devices whose heads only tails and frames can move. */
#include "tests/unit/test.h"

#include "tests/unit/fake/igb.c"
#include "tests/unit/fake/igb_idle.c"

#include "drivers/net/buf.c"
#include "drivers/net/igb/late.c"
#include "drivers/net/igb/move.c"
#include "drivers/net/igb/park.c"
#include "drivers/net/igb/vf.c"
#include "drivers/net/vf/announce.c"

#define FROM  1
#define TO    2
#define SIZE  64
#define RX    0x10000 /* the guest's rings and buffers */
#define TX    0x20000
#define BUFS  0x40000
#define HEADS 0x70000

static struct igb nic, other, *dst = &nic;
static const struct nic_ops nic_ops = {.vf = &igb_vf_ops};
static uint8_t guest[0x80000];
static struct igb_txd context[2]; /* what the destination holds */
static unsigned sent, announced, bad_writes;
static unsigned announced_in[256]; /* each VLAN, by the lower half of its number */
static uint8_t last_frame[IGB_JUMBO_MAX];
static unsigned last_length;
static bool back;  /* the source has its frames again */
static bool taken; /* one of the guest's addresses, at the other NIC */

/* --- the rest of the driver --- */

/* The frame through the switch: null descriptors are skipped, the next with a buffer takes it. */
int igb_send_now(struct igb *g, const struct nic_frag *frag, unsigned n)
{
    uint32_t *head = fake_reg_of(g, IGB_RDH(TO)), tail = *fake_reg_of(g, IGB_RDT(TO));
    const uint8_t *bytes = frag->data;

    last_length = 0;
    for (unsigned i = 0; i < n; i++) {
        memcpy(last_frame + last_length, frag[i].data, frag[i].len);
        last_length += frag[i].len;
    }
    CHECK(g == (back ? &nic : dst) && last_length >= 60);
    if (bytes[0] == 0xff) {
        announced++;
        announced_in[last_frame[12] == 0x81 ? last_frame[15] : 0]++;
        return 0;
    }
    sent++;
    if (bytes[0] != 0x06) { /* for the guest */
        if (!back && *head != tail)
            *head = (*head + 1) % SIZE;
        return 0;
    }
    while (*head != tail) {
        const union igb_rxd *d = (void *)scratch_at(RX + 16 * *head);

        *head = (*head + 1) % SIZE;
        if (d->read.packet)
            return 0;
    }
    CHECK(!"a frame without a buffer");
    return 0;
}

bool igb_mbx_has_request(const struct igb *g, unsigned vf)
{
    (void)g;
    return *fake_reg(IGB_MBVFICR) >> vf & 1;
}

bool igb_mbx_lock(struct igb *g, unsigned vf)
{
    igb_wr(g, IGB_P2VMAILBOX(vf), P2V_PFU);
    return *fake_reg(IGB_P2VMAILBOX(vf)) & P2V_PFU;
}

void igb_mbx_unlock(struct igb *g, unsigned vf)
{
    igb_wr(g, IGB_P2VMAILBOX(vf), 0);
}

void igb_vf_keep(const struct igb *g, unsigned vf, struct igb_kept_vf *k)
{
    memcpy(k->mac, g->vf[vf].mac, NIC_MAC_LEN);
}

void igb_vf_recall(struct igb *g, unsigned vf, const struct igb_kept_vf *k)
{
    memcpy(g->vf[vf].mac, k->mac, NIC_MAC_LEN);
}

bool igb_mac_is_taken(const struct igb *g, unsigned vf, const uint8_t *mac)
{
    CHECK(g == &other && vf == TO && mac);
    return taken;
}

bool igb_mbx_clean(struct igb *g, unsigned vf)
{
    (void)g, (void)vf;
    return true;
}

void igb_mbx_scrub(struct igb *g, unsigned vf)
{
    (void)g, (void)vf;
}

uint32_t igb_msg_link(void)
{
    return 0x20000100;
}

void igb_keep(struct igb *g)
{
    (void)g;
}

/* --- the device and the hypervisor --- */

static void device(uint32_t off, uint32_t v)
{
    bad_writes += off == IGB_RDH(TO).off || off == IGB_TDH(TO).off || off == IGB_RDH(FROM).off;
    if (off != IGB_TDT(TO).off || !move.host)
        return;
    CHECK(fake_writer == dst);
    for (uint32_t *head = fake_reg_of(dst, IGB_TDH(TO)); *head != v; *head = (*head + 1) % SIZE) {
        const struct igb_txd *d = (void *)scratch_at(TX + 16 * *head);

        CHECK((d->command & TXD_DTYP) == TXD_DTYP_CONTEXT);
        context[IGB_GET(TXD_CONTEXT_IDX, d->status)] = *d;
    }
}

static int map_page(uint64_t iova, void *page)
{
    CHECK(iova % 4096 == 0 && (uintptr_t)page % 4096 == 0);
    return 0;
}

static int read_guest(uint64_t at, void *own, uint32_t length)
{
    memcpy(own, guest + at, length);
    return 0;
}

static int write_guest(uint64_t at, const void *own, uint32_t length)
{
    memcpy(guest + at, own, length);
    return 0;
}

static const struct vf_host test_host = {map_page, read_guest, write_guest};

/* A guest with rings at rx and tx, 20 receive buffers posted. */
static void set_up(uint32_t rx, uint32_t tx)
{
    static const uint8_t mac[NIC_MAC_LEN] = {2, 0, 0, 0, 0, 1};
    union igb_rxd *ring = (void *)(guest + RX);

    fake_reset();
    memset(&nic, 0, sizeof(nic));
    memset(guest, 0, sizeof(guest));
    memset(context, 0, sizeof(context));
    nic.nic = (struct nic){.ops = &nic_ops, .channels = 4, .link.up = true};
    memcpy(nic.vf[FROM].mac, mac, NIC_MAC_LEN);
    nic.vf[FROM].cts = nic.vf[TO].allowed = true;
    *fake_reg(IGB_RDBAL(FROM)) = RX;
    *fake_reg(IGB_TDBAL(FROM)) = TX;
    *fake_reg(IGB_RDLEN(FROM)) = *fake_reg(IGB_TDLEN(FROM)) = 16 * SIZE;
    *fake_reg(IGB_SRRCTL(FROM)) =
        IGB_PREP(SRRCTL_BSIZEPACKET, 2) | IGB_PREP(SRRCTL_DESCTYPE, SRRCTL_ADV_ONEBUF);
    *fake_reg(IGB_RXDCTL(FROM)) = *fake_reg(IGB_TXDCTL(FROM)) = XDCTL_ENABLE;
    *fake_reg(IGB_RDH(FROM)) = rx;
    *fake_reg(IGB_RDT(FROM)) = (rx + 20) % SIZE;
    *fake_reg(IGB_TDH(FROM)) = *fake_reg(IGB_TDT(FROM)) = tx;
    for (unsigned i = 0; i < SIZE; i++)
        ring[i].read.packet = BUFS + 2048 * i;
    other = (struct igb){.nic = nic.nic, .vf[TO].allowed = true};
    dst = &nic;
    fake_second = &other;
    back = taken = false;
    buf_init();
    sent = announced = bad_writes = 0;
    move = (struct igb_move){0};
    fake_on_write = device;
    CHECK(refuses(&nic.nic, FROM, &nic.nic, TO) == NULL);
}

static void receive(unsigned char what)
{
    static const uint8_t mac[NIC_MAC_LEN] = {2, 0, 0, 0, 0, 1};
    struct nic_buf *buf = buf_alloc();
    union igb_rxd d = {.wb = {.status = RXD_STATUS_DD | RXD_STATUS_EOP, .length = 100}};

    memcpy(buf->data, mac, NIC_MAC_LEN);
    buf->data[20] = what;
    buf->len = 100;
    CHECK(igb_park_take(&nic, buf, &d));
}

/* The hypervisor's part of the switch. */
static void hand_over(void)
{
    uint64_t at;
    uint32_t length;
    const void *own = ring(&nic.nic, &at, &length);

    memcpy(guest + at, own, length);
    CHECK(record(&nic.nic, &length) == &move.r && length == sizeof(move.r));
}

static void to_load(void)
{
    CHECK_EQ(stage(&nic.nic, FROM, &nic.nic, TO, &test_host), 0);
    park(&nic.nic);
    CHECK_EQ(IGB_GET(RAH_POOLS, *fake_reg(IGB_RAH(IGB_RAR_VF(FROM)))), IGB_BIT(IGB_PF_POOL));
    CHECK_EQ(stop(&nic.nic), 0);
    CHECK_EQ(save(&nic.nic), 0);
}

TEST(heads_are_where_they_were_and_only_tails_were_written)
{
    for (unsigned rx = 0; rx < SIZE; rx += 9) {
        for (unsigned tx = 0; tx < SIZE; tx += 7) {
            set_up(rx, tx);
            to_load();
            CHECK_EQ(load(&nic.nic), 0);
            CHECK(*fake_reg(IGB_RDH(TO)) == rx && *fake_reg(IGB_TDH(TO)) == tx);
            start(&nic.nic);
            CHECK(*fake_reg(IGB_RDT(TO)) == (rx + 20) % SIZE && *fake_reg(IGB_TDT(TO)) == tx);
            CHECK_EQ(IGB_GET(RAH_POOLS, *fake_reg(IGB_RAH(IGB_RAR_VF(FROM)))), IGB_BIT(TO));
            CHECK_EQ(bad_writes, 0);
            finish(&nic.nic);
            CHECK(nic.vf[TO].cts && !nic.vf[FROM].cts && !nic.move);
            CHECK_EQ(buf_count_free(), BUF_COUNT);
        }
    }
}

TEST(the_last_contexts_are_restored)
{
    struct igb_txd *ring = (void *)(guest + TX);

    set_up(3, 40);
    ring[20] = (struct igb_txd){.buffer = 1, .command = TXD_DTYP_CONTEXT | TXD_DEXT, .status = 0};
    ring[25] = (struct igb_txd){.buffer = 2, .command = TXD_DTYP_CONTEXT | TXD_DEXT, .status = 0x10};
    ring[39] = (struct igb_txd){.buffer = 3, .command = TXD_DTYP_CONTEXT | TXD_DEXT, .status = 0};
    ring[50] =
        (struct igb_txd){.buffer = 4, .command = TXD_DTYP_CONTEXT | TXD_DEXT, .status = 0x10}; /* unsent */
    CHECK_EQ(stage(&nic.nic, FROM, &nic.nic, TO, &test_host), 0);
    *fake_reg(IGB_TDT(FROM)) = 60;
    CHECK_EQ(stop(&nic.nic) | save(&nic.nic) | load(&nic.nic), 0);
    CHECK(context[0].buffer == 3 && context[1].buffer == 2);
    CHECK_EQ(*fake_reg(IGB_TDH(TO)), 40);
}

TEST(parked_frames_come_in_order_and_the_rest_is_looped)
{
    const union igb_rxd *ring = (const void *)(guest + RX);

    set_up(60, 0); /* wraps */
    CHECK_EQ(stage(&nic.nic, FROM, &nic.nic, TO, &test_host), 0);
    park(&nic.nic);
    for (unsigned i = 0; i < 23; i++)
        receive((unsigned char)i);
    CHECK_EQ(stop(&nic.nic) | save(&nic.nic) | replay(&nic.nic) | load(&nic.nic), 0);
    CHECK_EQ(move.figures.replayed, 20);
    CHECK_EQ(*fake_reg(IGB_RDH(TO)), (60 + 20) % SIZE);
    for (unsigned i = 0; i < SIZE; i++)
        CHECK_EQ(ring[i].read.packet, BUFS + 2048 * i); /* not before the destination is the guest's */
    hand_over();
    for (unsigned i = 0; i < 20; i++) {
        unsigned slot = (60 + i) % SIZE;

        CHECK(ring[slot].wb.status & RXD_STATUS_DD);
        CHECK_EQ(ring[slot].wb.length, 100);
        CHECK_EQ(guest[BUFS + 2048 * slot + 20], i);
    }
    sent = 0;
    CHECK_EQ(move.r.left, 3);
    start(&nic.nic);
    CHECK_EQ(sent, 0); /* there is nowhere to put them yet */
    *fake_reg(IGB_RDT(TO)) = 30;
    finish(&nic.nic);
    CHECK_EQ(sent, 3);
    CHECK_EQ(move.figures.looped, 3);
    CHECK_EQ(move.figures.overflowed, 0);
    CHECK_EQ(buf_count_free(), BUF_COUNT);
}

static unsigned pools(const struct igb *g, unsigned entry)
{
    uint32_t rah = *fake_reg_of(g, IGB_RAH(entry));

    return rah & RAH_AV ? IGB_GET(RAH_POOLS, rah) : 0;
}

static bool comes_late(const struct igb *g, uint8_t last)
{
    uint8_t frame[60] = {2, 0, 0, 0, 0, last};
    const struct nic_buf buf = {.data = frame, .len = sizeof(frame)};
    const union igb_rxd d = {.wb = {.status = RXD_STATUS_DD | RXD_STATUS_EOP}};

    return igb_late_take(g, &buf, &d);
}

TEST(to_another_nic)
{
    set_up(60, 9);
    dst = &other;
    nic.vf[FROM].mc_hashes = 3;
    nic.vf[FROM].mc_hash[1] = 0x21;
    nic.vf[FROM].max_frame = 9000;
    CHECK(!refuses(&nic.nic, FROM, &other.nic, TO));
    CHECK_EQ(stage(&nic.nic, FROM, &other.nic, TO, &test_host), 0);
    CHECK_EQ(*fake_reg_of(&other, IGB_MTA(1)), 2);
    park(&nic.nic);
    CHECK(pools(&nic, IGB_RAR_VF(FROM)) == IGB_BIT(IGB_PF_POOL));
    for (unsigned i = 0; i < 10; i++)
        receive((unsigned char)i);
    *fake_reg(IGB_V2PMAILBOX(FROM)) = V2P_PFSTS;
    *fake_reg(IGB_VMBMEM_WORD(FROM, 5)) = 0x1234;
    *fake_reg(IGB_VTIVAR(FROM)) = 0x8180;
    CHECK_EQ(stop(&nic.nic) | save(&nic.nic) | replay(&nic.nic) | load(&nic.nic), 0);
    CHECK(*fake_reg_of(&other, IGB_RDH(TO)) == (60 + 10) % SIZE && *fake_reg_of(&other, IGB_TDH(TO)) == 9);
    CHECK(*fake_reg_of(&other, IGB_P2VMAILBOX(TO)) == P2V_STS &&
          *fake_reg_of(&other, IGB_VMBMEM_WORD(TO, 5)) == 0x1234);
    CHECK_EQ(*fake_reg_of(&other, IGB_VTIVAR(TO)), 0x8180);
    receive(10);
    receive(11);
    CHECK(*fake_reg(IGB_RDH(TO)) == 0 &&
          *fake_reg(IGB_TDT(TO)) == 0); /* of the VF here with that number, nothing */
    sent = 0;
    start(&nic.nic);
    CHECK(sent == 2 && announced == 1 && bad_writes == 0);
    CHECK(pools(&other, IGB_RAR_VF(TO)) == IGB_BIT(TO));
    CHECK_EQ(*fake_reg_of(&other, IGB_RAL(IGB_RAR_VF(TO))), 2);
    CHECK_EQ(*fake_reg_of(&other, IGB_RDT(TO)), (60 + 20) % SIZE);
    finish(&nic.nic);
    CHECK(other.vf[TO].cts && other.vf[TO].max_frame == 9000 && !nic.vf[FROM].cts && !nic.move);
    CHECK_EQ(buf_count_free(), BUF_COUNT);
    CHECK(!pools(&nic, IGB_RAR_VF(FROM)) && pools(&nic, IGB_RARS - 1) == IGB_BIT(IGB_PF_POOL));
    CHECK(comes_late(&nic, 1) && !comes_late(&nic, 2) && !comes_late(&other, 1));
    CHECK(igb_late_announce(false) == 1 && igb_late_announce(true) == 1);
    CHECK(announced == 3 && sent == 3);
    CHECK(!pools(&nic, IGB_RARS - 1) && !comes_late(&nic, 1));
}

TEST(a_move_ends_what_is_late_of_the_last_one)
{
    set_up(1, 1);
    dst = &other;
    CHECK_EQ(stage(&nic.nic, FROM, &other.nic, TO, &test_host), 0);
    park(&nic.nic);
    CHECK_EQ(stop(&nic.nic) | save(&nic.nic) | load(&nic.nic), 0);
    start(&nic.nic);
    finish(&nic.nic);
    CHECK(comes_late(&nic, 1));
    CHECK_EQ(stage(&other.nic, TO, &other.nic, TO, &test_host), 0);
    CHECK(!comes_late(&nic, 1) && !pools(&nic, IGB_RARS - 1));
    announced = 0;
    (void)igb_late_announce(true);
    CHECK_EQ(announced, 0);
}

TEST(of_a_move_to_another_nic_all_is_taken_back)
{
    set_up(10, 5);
    dst = &other;
    CHECK_EQ(stage(&nic.nic, FROM, &other.nic, TO, &test_host), 0);
    park(&nic.nic);
    CHECK_EQ(stop(&nic.nic) | save(&nic.nic), 0);
    receive(1);
    back = true;
    sent = 0;
    undo(&nic.nic, true);
    CHECK(sent == 1 && announced == 0 && !nic.move);
    CHECK(pools(&nic, IGB_RAR_VF(FROM)) == IGB_BIT(FROM) && nic.vf[FROM].cts && !other.vf[TO].cts);
    CHECK_EQ(buf_count_free(), BUF_COUNT);
}

TEST(an_announcement)
{
    static const uint8_t mac[NIC_MAC_LEN] = {2, 0, 0, 0, 0, 1};
    static const uint8_t want[42] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 0x80,
                                     0x35, 0,    1,    8,    0,    6,    4, 0, 3, 2, 0, 0, 0,
                                     0,    1,    0,    0,    0,    0,    2, 0, 0, 0, 0, 1};
    uint8_t frame[ANNOUNCE_BYTES];

    vf_announcement(frame, mac);
    CHECK(!memcmp(frame, want, sizeof(want)));
}

TEST(all_is_taken_back)
{
    static uint8_t before[16 * SIZE];

    set_up(10, 5);
    memcpy(before, guest + RX, sizeof(before));
    to_load();
    receive(1);
    receive(2);
    CHECK_EQ(replay(&nic.nic), 0);
    CHECK(memcmp(before, guest + RX, sizeof(before)) == 0);
    sent = 0;
    back = true;
    undo(&nic.nic, true);
    CHECK_EQ(sent, 2);
    CHECK(*fake_reg(IGB_RXDCTL(FROM)) & *fake_reg(IGB_TXDCTL(FROM)) & XDCTL_ENABLE);
    CHECK_EQ(IGB_GET(RAH_POOLS, *fake_reg(IGB_RAH(IGB_RAR_VF(FROM)))), IGB_BIT(FROM));
    CHECK(*fake_reg(IGB_RDH(FROM)) == 10 && *fake_reg(IGB_RDT(FROM)) == 30);
    CHECK_EQ(buf_count_free(), BUF_COUNT);
}

TEST(what_only_the_guest_can_end_is_waited_for)
{
    set_up(1, 1);
    CHECK_EQ(stage(&nic.nic, FROM, &nic.nic, TO, &test_host), 0);
    *fake_reg(IGB_MBVFICR) = IGB_BIT(FROM);
    CHECK_EQ(stop(&nic.nic), -EAGAIN);
    *fake_reg(IGB_MBVFICR) = 0;
    *fake_reg(IGB_P2VMAILBOX(FROM)) = P2V_VFU;
    CHECK_EQ(stop(&nic.nic), -EAGAIN);
    *fake_reg(IGB_P2VMAILBOX(FROM)) = 0;
    *fake_reg(IGB_RDBAL(FROM)) = RX + 0x1000; /* set up anew since */
    CHECK_EQ(stop(&nic.nic), 0);
    CHECK_EQ(save(&nic.nic), -EAGAIN);
}

/* The answer that it has not read, at both VFs until one of them is gone. */
TEST(what_is_unread_in_the_mailbox_goes_along)
{
    set_up(1, 1);
    *fake_reg(IGB_V2PMAILBOX(FROM)) = V2P_PFSTS | V2P_PFACK;
    *fake_reg(IGB_VMBMEM_WORD(FROM, 0)) = 0xa0000005;
    to_load();
    CHECK_EQ(fake_v2p[FROM], FAKE_V2P_PFSTS | FAKE_V2P_PFACK);
    CHECK_EQ(fake_vf_word(FROM, 0), 0xa0000005);
    CHECK_EQ(load(&nic.nic), 0);
    CHECK_EQ(fake_v2p[TO], FAKE_V2P_PFSTS | FAKE_V2P_PFACK);
    CHECK_EQ(fake_vf_word(TO, 0), 0xa0000005);
    set_up(1, 1);
    to_load();
    CHECK_EQ(load(&nic.nic), 0);
    CHECK_EQ(fake_v2p[TO], 0);
    CHECK_EQ(fake_vf_word(TO, 0), igb_msg_link());
}

TEST(a_guest_that_went_on_without_us_is_left_alone)
{
    set_up(10, 5);
    to_load();
    CHECK_EQ(load(&nic.nic), 0);
    hand_over();
    *fake_reg(IGB_RDT(TO)) = 44; /* its own */
    fake_on_write = NULL;
    *fake_reg(IGB_TDH(TO)) = *fake_reg(IGB_TDT(TO)) = 9;
    start(&nic.nic);
    CHECK(*fake_reg(IGB_RDT(TO)) == 44 && *fake_reg(IGB_TDT(TO)) == 9);
    *fake_reg(IGB_RDT(TO)) = 10; /* and as far as that one was, by chance */
    *fake_reg(IGB_RDH(TO)) = 60;
    load_tails(&nic);
    CHECK_EQ(*fake_reg(IGB_RDT(TO)), 10);
    finish(&nic.nic);
    set_up(10, 5);
    to_load();
    undo(&nic.nic, false);
    CHECK(!(*fake_reg(IGB_RXDCTL(FROM)) & XDCTL_ENABLE)); /* wake()'s, with the guest standing still */
    CHECK_EQ(IGB_GET(RAH_POOLS, *fake_reg(IGB_RAH(IGB_RAR_VF(FROM)))), IGB_BIT(FROM));
}

TEST(a_ring_that_cannot_be_put_in_one_piece)
{
    set_up(1, 1);
    *fake_reg(IGB_RDBAL(FROM)) = PIECE - 16 * SIZE / 2;
    CHECK_EQ(stage(&nic.nic, FROM, &nic.nic, TO, &test_host), -EINVAL);
}

TEST(reasons_to_refuse)
{
    set_up(1, 1);
    nic.nic.link.up = false;
    CHECK(!strcmp(refuses(&nic.nic, FROM, &nic.nic, TO), "link-down"));
    nic.nic.link.up = true;
    other.nic.link.up = false;
    CHECK(!strcmp(refuses(&nic.nic, FROM, &other.nic, TO), "link-down"));
    other.nic.link.up = true;
    nic.nic.link.up = false; /* a reason to move, not one against it */
    CHECK(!refuses(&nic.nic, FROM, &other.nic, TO));
    nic.nic.link.up = true;
    other.nic.vepa = true;
    CHECK(!strcmp(refuses(&nic.nic, FROM, &other.nic, TO), "vepa"));
    other.nic.vepa = false;
    taken = true;
    CHECK(!strcmp(refuses(&nic.nic, FROM, &other.nic, TO), "mac-in-use"));
    taken = false;
    other.vf[TO].broken = true;
    CHECK(!strcmp(refuses(&nic.nic, FROM, &other.nic, TO), "vf-broken"));
    *fake_reg(IGB_RXDCTL(FROM + IGB_POOLS)) = XDCTL_ENABLE;
    CHECK(!strcmp(refuses(&nic.nic, FROM, &nic.nic, TO), "two-queues"));
    *fake_reg(IGB_RXDCTL(FROM + IGB_POOLS)) = 0;
    CHECK(refuses(&nic.nic, FROM, &nic.nic, FROM) == NULL);
    nic.vf[FROM].cts = false;
    CHECK(!strcmp(refuses(&nic.nic, FROM, &nic.nic, FROM), "driver-not-up"));
}

/* --- VLANs, long frames, groups --- */

static bool is_in(const struct igb *g, unsigned pool, unsigned vid)
{
    return igb_vlan_is_member(g, pool, vid);
}

static struct nic_buf *frame_of(const uint8_t *mac, unsigned length)
{
    struct nic_buf *first = NULL, **end = &first;

    for (unsigned at = 0; at < length; at += BUF_SIZE) {
        *end = buf_alloc();
        (*end)->len = (uint16_t)(length - at < BUF_SIZE ? length - at : BUF_SIZE);
        for (unsigned i = 0; i < (*end)->len; i++)
            (*end)->data[i] = (uint8_t)((at + i) * 7 + (at + i) / 256);
        end = &(*end)->next;
    }
    memcpy(first->data, mac, NIC_MAC_LEN);
    return first;
}

static const uint8_t own_mac[NIC_MAC_LEN] = {2, 0, 0, 0, 0, 1},
                     group_mac[NIC_MAC_LEN] = {1, 0, 0x5e, 0, 0, 1};

/* False: it is nobody's who moves, and goes to the stack. */
static bool receive_frame(const uint8_t *mac, unsigned length, uint32_t status, uint16_t tag)
{
    struct nic_buf *frame = frame_of(mac, length);
    union igb_rxd d = {.wb = {.status = RXD_STATUS_DD | RXD_STATUS_EOP | status, .vlan = tag}};
    bool taken = igb_park_take(&nic, frame, &d);

    if (!taken)
        buf_free_frame(frame);
    return taken;
}

TEST(vlans_follow_the_guest_and_frames_keep_their_tags)
{
    const union igb_rxd *ring = (const void *)(guest + RX);

    set_up(5, 5);
    *fake_reg(IGB_RDT(FROM)) = 6; /* one free descriptor */
    CHECK_EQ(igb_vlan_set(&nic, FROM, 100, true) | igb_vlan_set(&nic, FROM, 5, true) |
                 igb_vlan_set(&nic, 3, 5, true) | igb_vlan_set(&nic, 3, 7, true),
             0);
    CHECK(!refuses(&nic.nic, FROM, &nic.nic, TO));
    to_load();
    CHECK(is_in(&nic, TO, 100) && is_in(&nic, TO, 5) && !is_in(&nic, TO, 7));
    CHECK(is_in(&nic, IGB_PF_POOL, 100) && is_in(&nic, IGB_PF_POOL, 5) && !is_in(&nic, IGB_PF_POOL, 7));
    CHECK(receive_frame(own_mac, 100, RXD_STATUS_VP, 0x2064) &&
          receive_frame(own_mac, 100, RXD_STATUS_VP, 5) && receive_frame(own_mac, 100, 0, 0));
    CHECK_EQ(replay(&nic.nic) | load(&nic.nic), 0);
    hand_over();
    CHECK((ring[5].wb.status & RXD_STATUS_VP) && ring[5].wb.vlan == 0x2064 && ring[5].wb.length == 100);
    sent = 0;
    start(&nic.nic);
    CHECK(sent == 0 && move.figures.overflowed == 0 && !move.flows); /* no descriptors: it must run first */
    CHECK_EQ(IGB_GET(RAH_POOLS, *fake_reg(IGB_RAH(IGB_RAR_VF(FROM)))), IGB_BIT(IGB_PF_POOL));
    *fake_reg(IGB_RDT(TO)) = 7; /* one, for the next */
    CHECK(!loop_parked(&nic));
    CHECK(sent == 1 && last_length == 104 && !memcmp(last_frame + 12, "\x81\0\0\5", 4));
    CHECK(last_frame[16] == 12 * 7 && last_frame[103] == (uint8_t)(99 * 7));
    *fake_reg(IGB_RDT(TO)) = 20;
    finish(&nic.nic);
    CHECK(sent == 2 && last_length == 100 && move.figures.looped == 2 && move.figures.overflowed == 0);
    CHECK_EQ(IGB_GET(RAH_POOLS, *fake_reg(IGB_RAH(IGB_RAR_VF(TO)))), IGB_BIT(TO));
    CHECK(is_in(&nic, TO, 100) && !is_in(&nic, IGB_PF_POOL, 100) && !is_in(&nic, IGB_PF_POOL, 5));
    CHECK_EQ(buf_count_free(), BUF_COUNT);
}

TEST(a_guest_that_never_has_descriptors_is_not_waited_for)
{
    set_up(5, 5);
    *fake_reg(IGB_RDT(FROM)) = 5;
    to_load();
    receive(1);
    receive(2);
    CHECK_EQ(replay(&nic.nic) | load(&nic.nic), 0);
    sent = 0;
    start(&nic.nic);
    finish(&nic.nic);
    CHECK(sent == 0 && move.figures.overflowed == 2 && move.flows);
    CHECK_EQ(IGB_GET(RAH_POOLS, *fake_reg(IGB_RAH(IGB_RAR_VF(TO)))), IGB_BIT(TO));
    CHECK_EQ(buf_count_free(), BUF_COUNT);
}

TEST(a_configured_vlan_is_the_only_one)
{
    set_up(5, 5);
    nic.vf[FROM].policy.vlan = 9;
    CHECK_EQ(igb_vlan_set(&nic, FROM, 9, true), 0);
    to_load();
    CHECK_EQ(*fake_reg(IGB_VMVIR(TO)), VMVIR_VLANA_DEFAULT | 9);
    CHECK(receive_frame(own_mac, 100, 0, 0) &&
          receive_frame(own_mac, 100, RXD_STATUS_VP, 8)); /* its VF would not */
    CHECK(!receive_frame(group_mac, 100, 0, 0));
    CHECK_EQ(move.figures.parked, 0);
    CHECK(receive_frame(own_mac, 100, RXD_STATUS_VP, 0xe009) &&
          !receive_frame(group_mac, 100, RXD_STATUS_VP, 9));
    CHECK_EQ(move.figures.parked, 2);
    CHECK_EQ(replay(&nic.nic) | load(&nic.nic), 0);
    start(&nic.nic);
    CHECK_EQ(nic.vf[TO].policy.vlan, 9);
    CHECK(!(*fake_reg(IGB_VMOLR(TO)) & VMOLR_AUPE) && is_in(&nic, TO, 9));
    finish(&nic.nic);
    CHECK_EQ(buf_count_free(), BUF_COUNT);
}

TEST(vlans_at_another_nic)
{
    set_up(5, 5);
    dst = &other;
    CHECK_EQ(igb_vlan_set(&nic, FROM, 100, true) | igb_vlan_set(&nic, FROM, 0, true), 0);
    for (unsigned i = 0; i < IGB_VLVFS - 1; i++)
        *fake_reg_of(&other, IGB_VLVF(i)) = VLVF_VI_EN | (200 + i) | IGB_PREP(VLVF_POOLSEL, 1);
    CHECK(!strcmp(refuses(&nic.nic, FROM, &other.nic, TO), "vlan-not-there"));
    *fake_reg_of(&other, IGB_VLVF(3)) = 0;
    CHECK(!refuses(&nic.nic, FROM, &other.nic, TO));
    CHECK_EQ(stage(&nic.nic, FROM, &other.nic, TO, &test_host), 0);
    CHECK(is_in(&other, TO, 100) && is_in(&other, TO, 0) && !is_in(&other, IGB_PF_POOL, 100));
    CHECK(is_in(&nic, IGB_PF_POOL, 100));
    park(&nic.nic);
    CHECK_EQ(stop(&nic.nic) | save(&nic.nic) | load(&nic.nic), 0);
    memset(announced_in, 0, sizeof(announced_in));
    start(&nic.nic);
    finish(&nic.nic);
    CHECK(announced == 2 && announced_in[0] == 1 && announced_in[100] == 1);
    CHECK(is_in(&nic, IGB_PF_POOL, 100)); /* for what comes late */
    (void)igb_late_announce(true);
    CHECK(announced == 4 && !is_in(&nic, IGB_PF_POOL, 100) && !is_in(&nic, IGB_PF_POOL, 0));
}

TEST(of_vlans_all_is_taken_back)
{
    set_up(5, 5);
    CHECK_EQ(igb_vlan_set(&nic, FROM, 100, true), 0);
    *fake_reg(IGB_VMOLR(FROM)) = VMOLR_ROMPE;
    CHECK_EQ(stage(&nic.nic, FROM, &nic.nic, FROM, &test_host), 0);
    CHECK(is_in(&nic, IGB_PF_POOL, 100) && (*fake_reg(IGB_VMOLR(IGB_PF_POOL)) & VMOLR_ROMPE));
    park(&nic.nic);
    CHECK_EQ(stop(&nic.nic) | save(&nic.nic), 0);
    back = true;
    dst = &nic;
    undo(&nic.nic, true);
    CHECK(is_in(&nic, FROM, 100) && !is_in(&nic, IGB_PF_POOL, 100));
    CHECK(!(*fake_reg(IGB_VMOLR(IGB_PF_POOL)) & VMOLR_ROMPE));
}

/* What lies in the guest's buffers from descriptor `slot` on, as its driver would put it together. */
static unsigned gathered(unsigned slot, unsigned slots, uint8_t *to)
{
    const union igb_rxd *ring = (const void *)(guest + RX);
    unsigned sum = 0;

    for (unsigned i = 0; i < slots; i++) {
        const union igb_rxd *d = &ring[(slot + i) % SIZE];
        unsigned header = IGB_GET(RXD_INFO_HLEN, d->wb.info), at = (slot + i) % SIZE;

        CHECK_EQ(!!(d->wb.status & RXD_STATUS_EOP), i == slots - 1);
        CHECK((d->wb.status & RXD_STATUS_DD) && (i == 0 || header == 0));
        memcpy(to + sum, guest + HEADS + 128 * at, header);
        memcpy(to + sum + header, guest + BUFS + 2048 * at, d->wb.length);
        sum += header + d->wb.length;
    }
    return sum;
}

static void long_frames(uint32_t control, unsigned length, unsigned slots)
{
    static uint8_t got[IGB_JUMBO_MAX], want[IGB_JUMBO_MAX];
    unsigned at = 0;

    set_up(60, 1);
    *fake_reg(IGB_SRRCTL(FROM)) = control;
    for (unsigned i = 0; i < SIZE; i++)
        ((union igb_rxd *)(void *)(guest + RX))[i].read.header = HEADS + 128 * i;
    *fake_reg(IGB_RDT(FROM)) = (60 + 2 * slots + slots - 1) % SIZE; /* the third finds no room */
    to_load();
    for (unsigned i = 0; i < 3; i++)
        CHECK(receive_frame(own_mac, length, 0, 0));
    for (const struct nic_buf *b = igb_park_next()->frame; b; b = b->next) {
        memcpy(want + at, b->data, b->len);
        at += b->len;
    }
    CHECK_EQ(replay(&nic.nic) | load(&nic.nic), 0);
    CHECK_EQ(move.figures.replayed, 2);
    CHECK_EQ(*fake_reg(IGB_RDH(TO)), (60 + 2 * slots) % SIZE);
    hand_over();
    for (unsigned i = 0; i < 2; i++) {
        CHECK_EQ(gathered((60 + i * slots) % SIZE, slots, got), length);
        CHECK(!memcmp(got, want, length));
    }
    start(&nic.nic);
    *fake_reg(IGB_RDT(TO)) = (*fake_reg(IGB_RDH(TO)) + slots) % SIZE;
    sent = 0;
    finish(&nic.nic);
    CHECK(sent == 1 && last_length == length && !memcmp(last_frame, want, length));
    CHECK_EQ(buf_count_free(), BUF_COUNT);
}

TEST(long_frames_lie_as_the_nic_lays_them)
{
    uint32_t whole = IGB_PREP(SRRCTL_BSIZEPACKET, 2) | IGB_PREP(SRRCTL_DESCTYPE, SRRCTL_ADV_ONEBUF),
             split = IGB_PREP(SRRCTL_BSIZEPACKET, 2) | IGB_PREP(SRRCTL_DESCTYPE, SRRCTL_ADV_ALWAYS) |
                     IGB_PREP(SRRCTL_BSIZEHEADER, 2);

    long_frames(whole, 9018, 5);
    long_frames(whole, 4096, 2);
    long_frames(whole, 2049, 2);
    long_frames(split, 9018, 5);
    long_frames(split, 128 + 2048, 1);
    long_frames(split, 128 + 2049, 2);
    long_frames(split, 100, 1);
}

TEST(the_queue_is_as_long_as_its_buffers)
{
    set_up(1, 1);
    to_load();
    for (unsigned i = 0; i < IGB_PARK_MAX / 5 + 3; i++)
        CHECK(receive_frame(own_mac, 9018, 0, 0));
    CHECK(move.figures.parked == IGB_PARK_MAX / 5 && move.figures.overflowed == 3);
    undo(&nic.nic, true);
    CHECK_EQ(buf_count_free(), BUF_COUNT);
}

TEST(groups_are_the_pfs_too_while_it_parks)
{
    set_up(5, 5);
    *fake_reg(IGB_VMOLR(FROM)) = VMOLR_ROMPE | VMOLR_BAM;
    CHECK_EQ(stage(&nic.nic, FROM, &nic.nic, TO, &test_host), 0);
    park(&nic.nic);
    CHECK_EQ(*fake_reg(IGB_VMOLR(IGB_PF_POOL)) & (VMOLR_ROMPE | VMOLR_MPME), VMOLR_ROMPE);
    CHECK(!receive_frame(group_mac, 100, 0, 0) && move.figures.parked == 0); /* the VF has it itself */
    CHECK_EQ(stop(&nic.nic) | save(&nic.nic), 0);
    CHECK(!receive_frame(group_mac, 9000, 0, 0) && move.figures.parked == 1);
    CHECK_EQ(replay(&nic.nic) | load(&nic.nic), 0);
    CHECK_EQ(move.figures.replayed, 1);
    hand_over();
    start(&nic.nic);
    CHECK(!receive_frame(group_mac, 100, 0, 0) && move.figures.parked == 1);
    finish(&nic.nic);
    CHECK_EQ(*fake_reg(IGB_VMOLR(IGB_PF_POOL)) & VMOLR_ROMPE, 0);
    CHECK_EQ(buf_count_free(), BUF_COUNT);
}

TEST(rings_without_anything_full_and_in_between)
{
    static const unsigned posted[] = {0, 1, SIZE / 2, SIZE - 2, SIZE - 1},
                          unsent[] = {0, 1, SIZE / 2, SIZE - 1};

    for (unsigned head = 0; head < SIZE; head += 21) {
        for (unsigned i = 0; i < ARRAY_SIZE(posted) * ARRAY_SIZE(unsent); i++) {
            unsigned rx = posted[i % ARRAY_SIZE(posted)], tx = unsent[i / ARRAY_SIZE(posted)];

            set_up(head, head);
            *fake_reg(IGB_RDT(FROM)) = (head + rx) % SIZE;
            *fake_reg(IGB_TDT(FROM)) = (head + tx) % SIZE;
            to_load();
            receive(1);
            CHECK_EQ(replay(&nic.nic) | load(&nic.nic), 0);
            CHECK_EQ(move.figures.replayed, rx != 0);
            CHECK_EQ(*fake_reg(IGB_RDH(TO)), (head + (rx != 0)) % SIZE);
            CHECK_EQ(*fake_reg(IGB_TDH(TO)), head);
            hand_over();
            fake_on_write = NULL;
            start(&nic.nic);
            CHECK_EQ(*fake_reg(IGB_RDT(TO)), (head + rx) % SIZE);
            CHECK_EQ(*fake_reg(IGB_TDT(TO)), (head + tx) % SIZE);
            finish(&nic.nic);
            CHECK_EQ(buf_count_free(), BUF_COUNT);
        }
    }
}

TEST(a_full_queue_says_so)
{
    set_up(1, 1);
    to_load();
    for (unsigned i = 0; i < IGB_PARK_MAX + 5; i++)
        receive(0);
    CHECK(move.figures.parked == IGB_PARK_MAX && move.figures.overflowed == 5);
    undo(&nic.nic, true);
    CHECK_EQ(buf_count_free(), BUF_COUNT);
}

TEST_MAIN()
