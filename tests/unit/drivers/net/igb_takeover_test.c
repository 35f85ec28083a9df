/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Taking a device over from a driver that died, against a fake register file: mbx.c, msg.c, vf.c and takeover.c together, with the
 * keepsake between two lives. The driver dies at every single register write of every request and reset.
 */
#include "tests/unit/test.h"

#include "tests/unit/fake/igb.c"
#include "tests/unit/fake/igb_idle.c"
#include "tests/unit/fake/keepsake.c"
#include <setjmp.h>

#include "drivers/net/igb/mbx.c"
#include "drivers/net/igb/msg.c"
#include "drivers/net/igb/takeover.c"
#include "drivers/net/igb/vf.c"

#define VFS  4
#define ACK  0x80000000u
#define NACK 0x40000000u
#define CTS  0x20000000u

static struct igb nic;
static uint64_t number[VFS], cleaned[VFS];
static bool closed[VFS];
static int rings_rc;
static bool link_up, bus_master;
static uint8_t life; /* number of the incarnation */

static bool on_channel(struct nic *n, unsigned channel, bool ready)
{
    (void)n, (void)ready;
    return !closed[channel];
}

static uint64_t on_resetting(struct nic *n, unsigned channel)
{
    (void)n;
    return closed[channel] ? NIC_CHANNEL_CLOSED : number[channel];
}

static void on_cleaned(struct nic *n, unsigned channel, uint64_t of)
{
    (void)n;
    cleaned[channel] = of;
}

static const struct nic_events events = {
    .channel = on_channel, .resetting = on_resetting, .cleaned = on_cleaned};

int igb_rings_start(struct igb *g)
{
    (void)g;
    CHECK(bus_master);
    return rings_rc;
}

bool igb_link_update(struct igb *g)
{
    bool changed = g->nic.link.up != link_up;

    g->nic.link.up = link_up;
    return changed;
}

/* Memory is not reached again before the old queues have stopped. */
void pci_enable(unsigned devfn, uint32_t bits)
{
    CHECK(devfn == 8 && bits == PCI_COMMAND_MASTER);
    CHECK(!(*fake_reg(IGB_RXDCTL(7)) & XDCTL_ENABLE) && !(*fake_reg(IGB_TXDCTL(7)) & XDCTL_ENABLE));
    bus_master = true;
}

/* VF 0 and 1 have a configured address, VF 2 the VLAN 100 too, VF 3 may choose, and is given another random one in each life. */
static void be_born(void)
{
    life++;
    memset(&nic, 0, sizeof(nic));
    memset(cleaned, 0, sizeof(cleaned));
    bus_master = false;
    nic.nic.events = &events;
    nic.nic.name = "lan0";
    nic.nic.channels = VFS;
    nic.devfn = 8;
    for (unsigned v = 0; v < VFS; v++) {
        memcpy(nic.vf[v].given, (uint8_t[]){2, 0, 0, 0, v == 3 ? life : 0, (uint8_t)(v + 1)}, 6);
        memcpy(nic.vf[v].mac, nic.vf[v].given, 6);
        if (v != 3)
            memcpy(nic.vf[v].policy.mac, nic.vf[v].mac, 6);
        nic.vf[v].allowed = true;
    }
    nic.vf[2].policy.vlan = 100;
    keep_init();
}

static uint32_t reg(igb_reg r)
{
    return *fake_reg(r);
}

/* A device after its reset, and a driver that has started on it. */
static void start(void)
{
    fake_reset();
    memset(fake_keepsake, 0, sizeof(fake_keepsake));
    memset(number, 0, sizeof(number));
    memset(closed, 0, sizeof(closed));
    rings_rc = 0;
    life = 0;
    link_up = true;
    be_born();
    memcpy(nic.nic.mac, (uint8_t[]){0x52, 0x54, 0, 0x12, 0x34, 0x56}, 6);
    nic.nic.link.up = true;
    *fake_reg(IGB_CTRL_EXT) = CTRL_EXT_DRV_LOAD | CTRL_EXT_PFRSTD;
    *fake_reg(IGB_RXCTL(7)) = nic.rxctl = 0xa200;
    *fake_reg(IGB_TXCTL(7)) = nic.txctl = 0x2a00;
    igb_vmdq_setup(&nic);
    for (unsigned v = 0; v < VFS; v++)
        igb_vf_clean(&nic, v);
    igb_keep(&nic);
    fake_ns += NS_PER_S;
}

/* Dead, and born again on the device as it is; what the VFs see of it in the meantime. */
static int restart(void)
{
    *fake_reg(IGB_RXDCTL(7)) = *fake_reg(IGB_TXDCTL(7)) = XDCTL_ENABLE;
    be_born();
    memset(fake_v2p, 0, sizeof(fake_v2p));
    return igb_take_over(&nic);
}

static uint32_t send(unsigned vf, uint32_t w0, uint32_t w1, uint32_t w2)
{
    uint32_t msg[3] = {w0, w1, w2};

    fake_ns += 10 * NS_PER_MS;
    fake_vf_send(vf, msg, 3);
    igb_msg_poll(&nic);
    return fake_vf_word(vf, 0);
}

/* Two VFs in service with all that a driver can ask for. */
static void use_everything(void)
{
    start();
    for (unsigned vf = 1; vf < VFS; vf++)
        CHECK_EQ(send(vf, VF_RESET, 0, 0), VF_RESET | ACK);
    CHECK(send(1, VF_SET_VLAN | 1 << 16, 7, 0) & ACK);
    CHECK(send(1, VF_SET_MULTICAST | 3 << 16, 0x00210000, 5) & ACK);
    CHECK(send(1, VF_SET_LPE, 9000, 0) & ACK);
    CHECK(send(3, VF_SET_LPE, 1418, 0) & ACK);
    CHECK(send(3, VF_SET_PROMISC | 2 << 16, 0, 0) & ACK);
    CHECK(send(3, VF_SET_MAC_ADDR, 0x03020106, 0x0504) & ACK);
    CHECK(send(3, VF_SET_MAC_ADDR | 2 << 16, 0x6, 0x0100) & ACK);
}

/* Registers that are no VF's business: the PF's queue. */
static bool is_pfs(uint32_t off)
{
    return off == IGB_RXDCTL(7).off || off == IGB_TXDCTL(7).off;
}

static unsigned differences(const uint32_t *before)
{
    unsigned n = 0;

    for (uint32_t i = 0; i < IGB_BAR_SIZE / 4; i++) {
        if (before[i] == fake_regs[i] || is_pfs(4 * i))
            continue;
        if (++n <= 3)
            printf("    register %#x: %#x, was %#x\n", 4 * i, fake_regs[i], before[i]);
    }
    return n;
}

static bool same_vf(const struct igb_vf *a, const struct igb_vf *b)
{
    return a->cts == b->cts && a->closed == b->closed && a->broken == b->broken && a->mc_all == b->mc_all &&
           (a->max_frame ? a->max_frame : 1518) == (b->max_frame ? b->max_frame : 1518) &&
           a->mc_hashes == b->mc_hashes && memcmp(a->mc_hash, b->mc_hash, a->mc_hashes * 2) == 0 &&
           a->extra_macs == b->extra_macs && memcmp(a->given, b->given, 6) == 0 &&
           memcmp(a->mac, b->mac, 6) == 0;
}

static uint32_t before[IGB_BAR_SIZE / 4];

TEST(vfs_in_service_notice_nothing)
{
    struct igb_vf was[VFS];

    use_everything();
    memcpy(was, nic.vf, sizeof(was));
    memcpy(before, fake_regs, sizeof(before));
    CHECK_EQ(restart(), 0);
    CHECK_EQ(differences(before), 0);
    for (unsigned v = 1; v < VFS; v++) {
        CHECK(same_vf(&was[v], &nic.vf[v]));
        CHECK_EQ(fake_v2p[v], 0); /* not told a word */
    }
    CHECK(nic.rxctl == 0xa200 && nic.txctl == 0x2a00);
    CHECK(memcmp(nic.nic.mac, "\x52\x54\x00\x12\x34\x56", 6) == 0);
    CHECK(!nic.vf[0].cts && nic.nic.link.up);
    CHECK_EQ(send(1, VF_SET_VLAN, 7, 0), VF_SET_VLAN | ACK | CTS); /* and it goes on */
    CHECK_EQ(reg(IGB_VLVF(1)), 0);
    CHECK_EQ(restart(), 0); /* once more */
    CHECK(nic.vf[1].cts && nic.vf[1].mc_hashes == 3);
}

static unsigned rah_writes;

static void count_rah(uint32_t off, uint32_t v)
{
    (void)v;
    for (unsigned i = 1; i < IGB_RARS; i++)
        rah_writes += off == IGB_RAH(i).off && reg(IGB_RAH(i)) != before[off / 4];
}

TEST(an_address_is_in_force_all_the_time)
{
    use_everything();
    memcpy(before, fake_regs, sizeof(before));
    rah_writes = 0;
    fake_on_write = count_rah;
    CHECK_EQ(restart(), 0);
    CHECK_EQ(rah_writes, 0);
}

TEST(a_request_that_waits_is_answered)
{
    use_everything();
    fake_vf_send(1, (const uint32_t[]){VF_SET_MULTICAST | 1 << 16, 0x0fff}, 2);
    be_born();
    CHECK_EQ(igb_take_over(&nic), 0);
    igb_msg_poll(&nic);
    CHECK_EQ(fake_vf_word(1, 0), VF_SET_MULTICAST | 1 << 16 | ACK | CTS);
    CHECK_EQ(fake_v2p[1], FAKE_V2P_PFSTS | FAKE_V2P_PFACK);
    CHECK_EQ(reg(IGB_MTA(127)), 0x80000000);
}

TEST(vfs_without_a_guest_are_cleaned)
{
    use_everything();
    number[3] = 12; /* its guest was stopped meanwhile: the reset has taken its enable bits */
    *fake_reg(IGB_VFRE) &= ~8u;
    *fake_reg(IGB_VFTE) &= ~8u;
    *fake_reg(IGB_VFLRE) = 8;
    number[1] = 5; /* and this one's reset was taken note of, but not more */
    *fake_reg(IGB_VFRE) &= ~2u;
    *fake_reg(IGB_VFTE) &= ~2u;
    CHECK_EQ(restart(), 0);
    CHECK(cleaned[3] == 12 && cleaned[1] == 5 && cleaned[2] == 0);
    CHECK(!nic.vf[3].cts && !nic.vf[1].cts && nic.vf[2].cts);
    CHECK_EQ(reg(IGB_MTA(0)) | reg(IGB_VLVF(1)) | reg(IGB_RAH(2)) | reg(IGB_RAH(4)), 0);
    CHECK(nic.vf[3].given[4] == nic.vf[3].mac[4]);
    CHECK_EQ(send(2, VF_SET_LPE, 1518, 0), VF_SET_LPE | ACK | CTS);
}

TEST(one_that_has_bits_but_no_guest_is_cleaned_too)
{
    use_everything();
    number[2] = 9;
    CHECK_EQ(restart(), 0);
    CHECK(cleaned[2] == 9 && !nic.vf[2].cts);
    CHECK_EQ(reg(IGB_VFRE), 0x8a);
}

TEST(a_closed_one_stays_closed)
{
    use_everything();
    closed[1] = true;
    CHECK_EQ(restart(), 0);
    CHECK(nic.vf[1].closed && !nic.vf[1].cts && !(reg(IGB_VFRE) & 2));
}

TEST(a_random_address_is_given_again)
{
    uint8_t given[6];

    use_everything();
    memcpy(given, nic.vf[3].given, 6);
    CHECK_EQ(restart(), 0);
    CHECK(memcmp(given, nic.vf[3].given, 6) == 0);
    CHECK(memcmp(given, nic.vf[3].mac, 6) != 0); /* it had chosen one */
}

TEST(what_contradicts_is_put_right)
{
    use_everything();
    memcpy(before, fake_regs, sizeof(before));
    *fake_reg(IGB_RAL(2)) = 0x99;                    /* not what is configured */
    *fake_reg(IGB_RAH(3)) |= IGB_PREP(RAH_POOLS, 1); /* somebody else's frames, too */
    *fake_reg(IGB_RAH(IGB_RAR_EXTRA(1, 0))) = RAH_AV | IGB_PREP(RAH_POOLS, 2); /* may have none */
    *fake_reg(IGB_RAH(IGB_RAR_EXTRA(3, 1))) = RAH_AV | IGB_PREP(RAH_POOLS, 3); /* not its own */
    *fake_reg(IGB_RAH(23)) = *fake_reg(IGB_RAH(6)) = RAH_AV | RAH_POOLS;       /* nobody's */
    *fake_reg(IGB_VLVF(9)) = VLVF_VI_EN | IGB_PREP(VLVF_POOLSEL, 4) | 5;       /* beside the configured one */
    *fake_reg(IGB_VLVF(10)) = VLVF_VI_EN | IGB_PREP(VLVF_POOLSEL, 0x70) | 6;   /* nobody's */
    *fake_reg(IGB_VLVF(11)) = 77;                                              /* half an entry */
    *fake_reg(IGB_VFTA(20)) = 0x10;
    *fake_reg(IGB_VFTA(0)) = 0;
    *fake_reg(IGB_VMVIR(2)) = 0;
    *fake_reg(IGB_VMVIR(1)) = VMVIR_VLANA_DEFAULT | 3;
    *fake_reg(IGB_MTA(3)) = 1;
    *fake_reg(IGB_DTXSWC) = 0;
    *fake_reg(IGB_VMOLR(1)) &= ~VMOLR_ROMPE;
    CHECK_EQ(restart(), 0);
    CHECK_EQ(differences(before) - (reg(IGB_RAL(23)) | reg(IGB_RAL(6))), 0);
}

TEST(a_vf_keeps_its_share_of_vlans_only)
{
    use_everything();
    for (unsigned i = 0; i < 8; i++)
        *fake_reg(IGB_VLVF(20 + i)) = VLVF_VI_EN | IGB_PREP(VLVF_POOLSEL, 8) | (30 + i);
    CHECK_EQ(restart(), 0);
    CHECK_EQ(igb_vlan_count(&nic, 3), IGB_VF_VLANS);
}

TEST(a_link_that_changed_meanwhile_is_told)
{
    use_everything();
    link_up = false;
    CHECK_EQ(restart(), 0);
    CHECK_EQ(fake_vf_word(1, 0), PF_CONTROL_MSG | CTS);
    CHECK_EQ(fake_v2p[1], FAKE_V2P_PFSTS);
    CHECK_EQ(fake_v2p[0], 0);
}

TEST(one_that_is_not_as_it_was_left_is_not_taken_over)
{
    static const struct {
        uint32_t off, value;
    } other[] = {{0x18, CTRL_EXT_PFRSTD}, {0x18, CTRL_EXT_DRV_LOAD}, {0x5818, 0}, {0x5404, 0}, {0x5400, 1}};

    for (unsigned i = 0; i < ARRAY_SIZE(other); i++) {
        use_everything();
        *fake_reg(IGB_REG(other[i].off)) = other[i].value;
        CHECK_EQ(restart(), -ENOENT);
    }
    use_everything();
    igb_forget(&nic);
    CHECK_EQ(restart(), -ENOENT);
    use_everything();
    memset(fake_keepsake, 0xff, sizeof(fake_keepsake));
    CHECK_EQ(restart(), -ENOENT);
    use_everything();
    rings_rc = -EIO;
    CHECK_EQ(restart(), -EIO);
}

TEST(a_hostile_keepsake_does_no_harm)
{
    struct kept k;

    use_everything();
    memset(&k, 0xff, sizeof(k));
    CHECK_EQ(keep_put(KEEP_NIC, 1, KEPT_VERSION, &k, sizeof(k)), 0);
    CHECK_EQ(restart(), 0);
    CHECK_EQ(nic.vf[1].mc_hashes, 0);
    CHECK(nic_mac_is_station(nic.vf[3].given));
}

TEST(queues_that_do_not_stop)
{
    use_everything();
    fake_stuck = IGB_RXDCTL(7).off;
    CHECK_EQ(restart(), -ETIMEDOUT);
    CHECK(!bus_master);
}

/* --- dying at every register write --- */

static jmp_buf dead;
static unsigned writes_left;

static void die_after(uint32_t off, uint32_t v)
{
    (void)off, (void)v;
    if (--writes_left == 0)
        longjmp(dead, 1);
}

struct request {
    unsigned vf;
    uint32_t msg[3];
    bool reset; /* of the VF, in the place of a message */
};

/* What the device looks like afterwards when nobody dies. */
static void undisturbed(const struct request *r)
{
    use_everything();
    if (r->reset) {
        *fake_reg(IGB_VFRE) &= ~(1u << r->vf);
        *fake_reg(IGB_VFTE) &= ~(1u << r->vf);
        *fake_reg(IGB_VFLRE) = 1u << r->vf;
        number[r->vf] = 3;
    } else {
        fake_vf_send(r->vf, r->msg, 3);
    }
}

static bool dies(const struct request *r, unsigned after)
{
    undisturbed(r);
    writes_left = after;
    fake_on_write = die_after;
    if (setjmp(dead) == 0) {
        igb_msg_poll(&nic);
        fake_on_write = NULL;
        return false;
    }
    fake_on_write = NULL;
    return true;
}

static void die_at_every_write(const struct request *r)
{
    struct igb_vf want;
    unsigned deaths = 0;

    undisturbed(r);
    igb_msg_poll(&nic);
    memcpy(before, fake_regs, sizeof(before));
    want = nic.vf[r->vf];
    while (dies(r, deaths + 1)) {
        deaths++;
        be_born();
        CHECK_EQ(igb_take_over(&nic), 0);
        igb_msg_poll(&nic);
        CHECK_EQ(differences(before), 0);
        CHECK(same_vf(&want, &nic.vf[r->vf]));
        if (r->reset)
            CHECK_EQ(cleaned[r->vf], 3);
        else
            CHECK_EQ(fake_v2p[r->vf], FAKE_V2P_PFSTS | FAKE_V2P_PFACK);
        if (test_failures) {
            printf("    message %#x of VF %u, death %u\n", r->msg[0], r->vf, deaths);
            return;
        }
    }
    CHECK(deaths >= 4);
}

TEST(death_at_any_write_of_a_request_or_a_reset_is_not_noticed)
{
    static const struct request requests[] = {
        {0, {VF_RESET}, false},
        {1, {VF_RESET}, false}, /* again, in service */
        {2, {VF_RESET}, false},
        {1, {VF_SET_VLAN | 1 << 16, 9}, false},
        {1, {VF_SET_VLAN, 7}, false},
        {1, {VF_SET_MULTICAST | 2 << 16, 0x00440055}, false},
        {1, {VF_SET_MULTICAST}, false},
        {1, {VF_SET_LPE, 4000}, false},
        {1, {VF_SET_PROMISC | 2 << 16}, false},
        {1, {0x77}, false}, /* no message that we know */
        {3, {VF_SET_MAC_ADDR, 0x03020106, 0x0909}, false},
        {3, {VF_SET_MAC_ADDR | 2 << 16, 0x6, 0x0200}, false},
        {3, {VF_SET_MAC_ADDR | 1 << 16}, false},
        {1, {0}, true},
        {3, {0}, true},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(requests); i++)
        die_at_every_write(&requests[i]);
}

TEST_MAIN()
