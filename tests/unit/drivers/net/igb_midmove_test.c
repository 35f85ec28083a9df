/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The driver dies at every single register write of a move, and at every call of the hypervisor's; the next one takes the device over, and mends what the
 * hypervisor's record says: mbx.c, msg.c, vf.c, move.c, park.c and takeover.c together, with a model of the device's heads and of vm/migrate/.
 */
#include "tests/unit/test.h"

#include "tests/unit/fake/igb.c"
#include "tests/unit/fake/igb_idle.c"
#include "tests/unit/fake/igb_start.c"
#include <setjmp.h>

#include "drivers/net/buf.c"
#include "drivers/net/igb/late.c"
#include "drivers/net/igb/mbx.c"
#include "drivers/net/igb/move.c"
#include "drivers/net/igb/msg.c"
#include "drivers/net/igb/park.c"
#include "drivers/net/igb/takeover.c"
#include "drivers/net/igb/vf.c"
#include "drivers/net/vf/announce.c"

#define VFS    4
#define FROM   1
#define TO     3
#define SIZE   64
#define RX     0x10000 /* the guest's rings and buffers */
#define TX     0x20000
#define BUFS   0x40000
#define HEAD   60 /* of both rings: they wrap */
#define POSTED 20
#define FRAMES 5

#define CHOSEN_VLAN 100
#define PORT_VLAN   9

static struct igb nic;
static uint8_t guest[0x80000], ring_before[16 * SIZE];
static uint64_t number[VFS], cleaned[VFS];
static struct nic_channel policy[VFS];
static const uint8_t chosen[NIC_MAC_LEN] = {2, 9, 9, 9, 9, 9}, extra[NIC_MAC_LEN] = {6, 0, 0, 0, 0, 1};
static uint8_t station[NIC_MAC_LEN]; /* of the guest */
static uint8_t keepsake[1024];
static size_t kept_length;

/* --- the hypervisor: what it knows of the move --- */

static struct {
    bool begun, still, switched, over;
    unsigned from, to;
    uint8_t record[512];
    uint32_t length;
} hv;

static jmp_buf dead;
static unsigned events_left;

static void event(void)
{
    if (events_left && --events_left == 0)
        longjmp(dead, 1);
}

/* Queues whose tails do not count: they were switched off since these were written. */
static bool rx_idle[VFS], tx_idle[VFS];

static uint32_t reg(igb_reg r)
{
    return *fake_reg(r);
}

static void flr(unsigned vf)
{
    *fake_reg(IGB_VFRE) &= ~IGB_BIT(vf);
    *fake_reg(IGB_VFTE) &= ~IGB_BIT(vf);
    *fake_reg(IGB_VFLRE) |= IGB_BIT(vf);
    *fake_reg(IGB_RXDCTL(vf)) &= ~XDCTL_ENABLE;
    *fake_reg(IGB_TXDCTL(vf)) &= ~XDCTL_ENABLE;
    rx_idle[vf] = tx_idle[vf] = true;
    number[vf]++;
}

static int map_page(uint64_t iova, void *page)
{
    (void)iova, (void)page;
    event();
    return 0;
}

static int read_guest(uint64_t at, void *own, uint32_t length)
{
    CHECK(hv.still);
    event();
    memcpy(own, guest + at, length);
    return 0;
}

static int write_guest(uint64_t at, const void *own, uint32_t length)
{
    CHECK(hv.still && !hv.switched);
    event();
    memcpy(guest + at, own, length);
    return 0;
}

static const struct vf_host test_host = {map_page, read_guest, write_guest};

static void hand_over(void)
{
    uint64_t at;
    const void *own = record(&nic.nic, &hv.length);
    struct nic_channel old = policy[hv.from];

    event();
    memcpy(hv.record, own, hv.length);
    own = ring(&nic.nic, &at, &hv.length);
    memcpy(guest + at, own, hv.length);
    hv.length = sizeof(move.r);
    policy[hv.from] = policy[hv.to];
    policy[hv.to] = old;
    hv.switched = true;
    event();
}

/* --- the rest of the driver and of its surroundings --- */

int keep_put(enum keep_type type, unsigned index, unsigned version, const void *data, size_t length)
{
    CHECK(type == KEEP_NIC && index == 1 && version == KEPT_VERSION && length <= sizeof(keepsake));
    event();
    memcpy(keepsake, data, length);
    kept_length = length;
    return 0;
}

bool keep_get(enum keep_type type, unsigned index, unsigned version, void *data, size_t length)
{
    (void)type, (void)index, (void)version;
    memcpy(data, keepsake, length);
    return length == kept_length;
}

void keep_drop(enum keep_type type, unsigned index)
{
    (void)type, (void)index;
    kept_length = 0;
}

static unsigned announced; /* where the guest is */

/* The frame through the switch: null descriptors are skipped, the next with a buffer takes it. */
int igb_send_now(struct igb *g, const struct nic_frag *frag, unsigned n)
{
    uint32_t *head = fake_reg(IGB_RDH(move.r.to)), tail = reg(IGB_RDT(move.r.to));
    const uint8_t *bytes = frag->data;

    (void)g, (void)n;
    event();
    announced += bytes[0] == 0xff && memcmp(bytes + NIC_MAC_LEN, station, NIC_MAC_LEN) == 0;
    if (memcmp(bytes, "\x06move", 5) != 0)
        return 0;
    while (*head != tail) {
        const union igb_rxd *d = (void *)scratch_at(RX + 16 * *head);

        *head = (*head + 1) % SIZE;
        if (d->read.packet)
            break;
    }
    return 0;
}

static bool on_channel(struct nic *n, unsigned channel, bool ready)
{
    (void)n, (void)channel, (void)ready;
    return true;
}

/* 0 of one that a guest has. */
static uint64_t on_resetting(struct nic *n, unsigned channel)
{
    bool has = channel == 2 || channel == (hv.switched ? hv.to : hv.from);

    (void)n;
    return has ? 0 : number[channel];
}

static void on_cleaned(struct nic *n, unsigned channel, uint64_t of)
{
    (void)n;
    cleaned[channel] = of;
}

static const struct nic_events events = {
    .channel = on_channel, .resetting = on_resetting, .cleaned = on_cleaned};
static const struct nic_ops nic_ops = {.vf = &igb_vf_ops};

static void queue(bool *idle, uint32_t off, igb_reg control, igb_reg tail)
{
    bool on = reg(control) & XDCTL_ENABLE;

    if (off == control.off && !on)
        *idle = true;
    if (off == tail.off && on)
        *idle = false;
}

static void device(uint32_t off, uint32_t v)
{
    for (unsigned vf = 0; vf < VFS; vf++) {
        queue(&rx_idle[vf], off, IGB_RXDCTL(vf), IGB_RDT(vf));
        queue(&tx_idle[vf], off, IGB_TXDCTL(vf), IGB_TDT(vf));
        CHECK(off != IGB_RDH(vf).off || v == 0); /* but when it is scrubbed */
        if (off == IGB_TDT(vf).off && vf == hv.to && !hv.switched && hv.begun)
            *fake_reg(IGB_TDH(vf)) = v;
    }
    event();
}

/* --- lives --- */

static void be_born(void)
{
    static uint8_t life;

    life++;
    memset(&nic, 0, sizeof(nic));
    memset(&move, 0, sizeof(move));
    memset(cleaned, 0, sizeof(cleaned));
    buf_init();
    nic.nic =
        (struct nic){.ops = &nic_ops, .events = &events, .name = "lan0", .channels = VFS, .link.up = true};
    nic.devfn = 8;
    for (unsigned v = 0; v < VFS; v++) {
        nic.vf[v].policy = policy[v];
        memcpy(nic.vf[v].given, (uint8_t[]){2, life, 0, 0, 0, (uint8_t)v}, NIC_MAC_LEN);
        if (!nic_mac_is_zero(policy[v].mac))
            memcpy(nic.vf[v].given, policy[v].mac, NIC_MAC_LEN);
        memcpy(nic.vf[v].mac, nic.vf[v].given, NIC_MAC_LEN);
        nic.vf[v].allowed = true;
    }
}

static void ask(unsigned vf, uint32_t w0, uint32_t w1, uint32_t w2)
{
    const uint32_t msg[3] = {w0, w1, w2};

    fake_ns += NS_PER_S;
    fake_vf_send(vf, msg, 3);
    igb_msg_poll(&nic);
    CHECK(fake_vf_word(vf, 0) & MSG_ACK);
}

/* What its driver has set up, and asked for: groups, jumbo frames, all multicast; and addresses, where it may. */
static void guest_comes_up(bool configured)
{
    union igb_rxd *rx = (void *)(guest + RX);

    ask(FROM, VF_RESET, 0, 0);
    ask(FROM, VF_SET_MULTICAST | 3 << 16, 0x00210000, 5);
    ask(FROM, VF_SET_LPE, 9000, 0);
    ask(FROM, VF_SET_PROMISC | 2 << 16, 0, 0);
    if (!configured) {
        ask(FROM, VF_SET_MAC_ADDR, 0x09090902, 0x0909);
        ask(FROM, VF_SET_MAC_ADDR | 2 << 16, 0x6, 0x0100);
        ask(FROM, VF_SET_VLAN | 1 << 16, CHOSEN_VLAN, 0);
    }
    memcpy(station, configured ? policy[FROM].mac : chosen, NIC_MAC_LEN);
    *fake_reg(IGB_RDBAL(FROM)) = RX;
    *fake_reg(IGB_TDBAL(FROM)) = TX;
    *fake_reg(IGB_RDLEN(FROM)) = *fake_reg(IGB_TDLEN(FROM)) = 16 * SIZE;
    *fake_reg(IGB_SRRCTL(FROM)) =
        IGB_PREP(SRRCTL_BSIZEPACKET, 2) | IGB_PREP(SRRCTL_DESCTYPE, SRRCTL_ADV_ONEBUF);
    *fake_reg(IGB_RXDCTL(FROM)) = *fake_reg(IGB_TXDCTL(FROM)) = XDCTL_ENABLE;
    *fake_reg(IGB_RDH(FROM)) = *fake_reg(IGB_TDH(FROM)) = HEAD;
    *fake_reg(IGB_RDT(FROM)) = (HEAD + POSTED) % SIZE;
    *fake_reg(IGB_TDT(FROM)) = (HEAD + 7) % SIZE; /* seven that are not sent yet */
    memset(guest, 0, sizeof(guest));
    for (unsigned i = 0; i < SIZE; i++)
        rx[i].read.packet = BUFS + 2048 * i;
    memcpy(ring_before, guest + RX, sizeof(ring_before));
}

static void set_up(bool configured)
{
    fake_reset();
    events_left = 0;
    memset(policy, 0, sizeof(policy));
    memset(number, 0, sizeof(number));
    memset(rx_idle, 0, sizeof(rx_idle));
    memset(tx_idle, 0, sizeof(tx_idle));
    if (configured) {
        memcpy(policy[FROM].mac, (uint8_t[]){2, 0, 0, 0, 0, 1}, NIC_MAC_LEN);
        policy[FROM].vlan = PORT_VLAN;
    }
    memset(&hv, 0, sizeof(hv));
    hv.from = FROM;
    hv.to = TO;
    be_born();
    memcpy(nic.nic.mac, (uint8_t[]){0x52, 0x54, 0, 0x12, 0x34, 0x56}, NIC_MAC_LEN);
    *fake_reg(IGB_CTRL_EXT) = CTRL_EXT_DRV_LOAD | CTRL_EXT_PFRSTD;
    igb_vmdq_setup(&nic);
    for (unsigned v = 0; v < VFS; v++) {
        number[v] = 1;
        igb_vf_clean(&nic, v);
    }
    ask(2, VF_RESET, 0, 0); /* a bystander's */
    guest_comes_up(configured);
    igb_keep(&nic);
}

static void receive(void)
{
    struct nic_buf *buf = buf_alloc();
    union igb_rxd d = {
        .wb = {.status = RXD_STATUS_DD | RXD_STATUS_EOP | RXD_STATUS_VP, .length = 100, .vlan = PORT_VLAN}};

    memcpy(buf->data, station, NIC_MAC_LEN);
    buf->len = 100;
    CHECK(igb_park_take(&nic, buf, &d));
}

/* As drivers/svc/migrate.c takes the steps. */
static void run_move(void)
{
    int err = 0;

    hv.begun = true;
    event();
    err |= stage(&nic.nic, hv.from, &nic.nic, hv.to, &test_host);
    park(&nic.nic);
    for (unsigned i = 0; i < FRAMES; i++)
        receive();
    hv.still = true;
    event();
    err |= stop(&nic.nic);
    event();
    err |= save(&nic.nic);
    err |= replay(&nic.nic);
    err |= load(&nic.nic);
    CHECK_EQ(err, 0);
    hand_over();
    start(&nic.nic);
    event();
    hv.over = true;
    hv.still = false;
    flr(hv.from);
    event();
    finish(&nic.nic);
}

/* end_alone() */
static bool hypervisor_ends_it(void)
{
    bool mend = hv.still;

    if (!hv.over && hv.begun)
        flr(hv.switched ? hv.from : hv.to);
    hv.still = false;
    return mend;
}

/* --- what must hold --- */

static unsigned entries_of(const uint8_t *mac)
{
    unsigned n = 0;

    for (unsigned i = 0; i < IGB_RARS; i++)
        n += igb_rar_holds(&nic, i, mac);
    return n;
}

static bool has(unsigned vf, unsigned entry, const uint8_t *mac)
{
    return igb_rar_holds(&nic, entry, mac) && IGB_GET(RAH_POOLS, reg(IGB_RAH(entry))) == IGB_BIT(vf) &&
           entries_of(mac) == 1;
}

static uint32_t pools_of(unsigned vid)
{
    int entry = vlvf_find(&nic, vid, false);

    return entry < 0 ? 0 : IGB_GET(VLVF_POOLSEL, reg(IGB_VLVF((unsigned)entry)));
}

static void check_filters(unsigned vf, bool configured)
{
    const struct igb_vf *s = &nic.vf[vf];

    CHECK(has(vf, IGB_RAR_VF(vf), station));
    CHECK_EQ(pools_of(configured ? PORT_VLAN : CHOSEN_VLAN), IGB_BIT(vf));
    CHECK_EQ(reg(IGB_VMVIR(vf)), configured ? VMVIR_VLANA_DEFAULT | PORT_VLAN : 0);
    CHECK_EQ(!(reg(IGB_VMOLR(vf)) & VMOLR_AUPE), configured);
    CHECK_EQ(reg(IGB_VMOLR(IGB_PF_POOL)) & (VMOLR_ROMPE | VMOLR_MPME), 0);
    CHECK(configured || has(vf, IGB_RAR_EXTRA(vf, 0), extra));
    CHECK(s->cts && memcmp(s->mac, station, NIC_MAC_LEN) == 0);
    CHECK_EQ(s->extra_macs, configured ? 0 : 1);
    CHECK(s->mc_hashes == 3 && s->mc_hash[1] == 0x21 && s->mc_all);
    CHECK_EQ(IGB_GET(VMOLR_RLPML, reg(IGB_VMOLR(vf))), 9004);
    CHECK((reg(IGB_VMOLR(vf)) & VMOLR_MPME) && (reg(IGB_VMOLR(vf)) & VMOLR_ROMPE));
    CHECK(reg(IGB_MTA(1)) == 2 && reg(IGB_MTA(0)) == 0x21);
    CHECK((reg(IGB_VFRE) & reg(IGB_VFTE) & IGB_BIT(vf)));
}

/* A descriptor is the guest's or the VF's, and the VF knows which. */
static void check_rings(unsigned vf)
{
    const union igb_rxd *rx = (const void *)(guest + RX);

    CHECK(reg(IGB_RXDCTL(vf)) & reg(IGB_TXDCTL(vf)) & XDCTL_ENABLE);
    CHECK(!rx_idle[vf] && !tx_idle[vf]);
    CHECK_EQ(reg(IGB_RDBAL(vf)), RX);
    CHECK_EQ(reg(IGB_RDT(vf)), (HEAD + POSTED) % SIZE);
    CHECK_EQ(reg(IGB_TDT(vf)), (HEAD + 7) % SIZE);
    CHECK_EQ(reg(IGB_TDH(vf)), HEAD);
    CHECK_EQ(reg(IGB_RDH(vf)), (HEAD + (hv.switched ? FRAMES : 0)) % SIZE);
    for (unsigned i = HEAD; i != reg(IGB_RDH(vf)); i = (i + 1) % SIZE)
        CHECK(rx[i].wb.status & RXD_STATUS_DD);
    for (unsigned i = reg(IGB_RDH(vf)); i != HEAD; i = (i + 1) % SIZE)
        CHECK_EQ(rx[i].read.packet, BUFS + 2048 * i);
    CHECK(hv.switched || memcmp(ring_before, guest + RX, sizeof(ring_before)) == 0);
}

static void check(bool configured)
{
    unsigned owner = hv.switched ? TO : FROM, other = hv.switched ? FROM : TO;

    fake_on_write = NULL;
    check_filters(owner, configured);
    check_rings(owner);
    CHECK(nic.vf[2].cts && !nic.vf[other].cts && !nic.move);
    CHECK(!hv.begun || cleaned[other] == number[other]);
    CHECK_EQ(entries_of((const uint8_t[]){6, 'm', 'o', 'v', 'e', TO}), 0);
    CHECK_EQ(buf_count_free(), BUF_COUNT);
}

/* False: it lived through that. */
static bool dies_at(unsigned n, bool configured)
{
    set_up(configured);
    fake_on_write = device;
    events_left = n;
    if (setjmp(dead) != 0)
        return true;
    run_move();
    events_left = 0;
    fake_on_write = NULL;
    igb_msg_poll(&nic); /* what was the guest's is cleaned */
    return false;
}

static void be_mended(void)
{
    bool mend = hypervisor_ends_it();
    unsigned owner = hv.switched ? TO : FROM;

    fake_on_write = device;
    events_left = 0;
    be_born();
    CHECK_EQ(igb_take_over(&nic), 0);
    if (!mend)
        return;
    announced = 0;
    CHECK_EQ(wake(&nic.nic, owner, hv.record, hv.switched ? hv.length : 0), 0);
    CHECK_EQ(announced, hv.switched ? policy[owner].vlan ? 1 : 2
                                    : 0); /* untagged, too, unless that is not its to send */
}

static void die_everywhere(bool configured)
{
    unsigned deaths = 0, undone = 0, finished = 0;

    while (dies_at(deaths + 1, configured)) {
        deaths++;
        be_mended();
        check(configured);
        undone += !hv.switched;
        finished += hv.switched;
        be_mended(); /* and once more */
        check(configured);
        if (test_failures) {
            printf("    death %u: begun %d still %d switched %d over %d\n", deaths, hv.begun, hv.still,
                   hv.switched, hv.over);
            return;
        }
    }
    check(configured);
    CHECK(undone > 40 && finished > 10);
}

TEST(death_anywhere_in_a_move_of_a_vf_with_a_configured_address)
{
    die_everywhere(true);
}

TEST(death_anywhere_in_a_move_of_a_vf_that_has_chosen_its_addresses)
{
    die_everywhere(false);
}

/* While it is mended, too: the hypervisor gives the order again. */
TEST(the_next_one_dies_over_mending)
{
    for (volatile unsigned step = 1; step < 400; step += 7) {
        for (volatile unsigned n = 1; n < 60; n++) {
            volatile bool mend, again = false;

            if (!dies_at(step, false))
                return;
            mend = hypervisor_ends_it();
            fake_on_write = device;
            events_left = n;
            be_born();
            if (setjmp(dead) == 0) {
                CHECK_EQ(igb_take_over(&nic), 0);
                if (mend)
                    (void)wake(&nic.nic, hv.switched ? TO : FROM, hv.record, hv.switched ? hv.length : 0);
            } else {
                again = mend;
            }
            hv.still = again;
            be_mended();
            check(false);
            if (test_failures)
                return;
        }
    }
}

TEST(a_record_that_is_none_of_ours)
{
    static uint8_t bad[sizeof(struct igb_record)];

    for (volatile unsigned n = 1; !(hv.switched && hv.still); n++)
        CHECK(dies_at(n, true)); /* in start(), at last */
    (void)hypervisor_ends_it();
    events_left = 0;
    be_born();
    CHECK_EQ(igb_take_over(&nic), 0);
    CHECK_EQ(wake(&nic.nic, TO, bad, sizeof(bad)), -EINVAL);
    CHECK_EQ(wake(&nic.nic, TO, bad, sizeof(bad) - 1), -EINVAL);
    CHECK_EQ(wake(&nic.nic, VFS, bad, 0), -EINVAL);
    memset(bad, 0xff, sizeof(bad));
    CHECK_EQ(wake(&nic.nic, TO, bad, sizeof(bad)), -EINVAL);
}

/* Its driver has set it up anew, or is about to: nothing of the record holds for it any more. */
TEST(a_vf_that_was_reset_since_is_left_alone)
{
    set_up(true);
    *fake_reg(IGB_RXDCTL(FROM)) = *fake_reg(IGB_TXDCTL(FROM)) = 0;
    *fake_reg(IGB_VFLRE) = IGB_BIT(FROM);
    CHECK_EQ(wake(&nic.nic, FROM, NULL, 0), 0);
    CHECK_EQ(reg(IGB_RXDCTL(FROM)), 0);
    *fake_reg(IGB_VFLRE) = 0;
    nic.vf[FROM].cts = false;
    CHECK_EQ(wake(&nic.nic, FROM, NULL, 0), 0);
    CHECK_EQ(reg(IGB_RXDCTL(FROM)), 0);
}

TEST_MAIN()
