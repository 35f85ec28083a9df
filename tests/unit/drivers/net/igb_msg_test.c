/* SPDX-License-Identifier: BSD-2-Clause */
/* The mailbox protocol and the clean-up of VFs against a fake register file: mbx.c, msg.c and vf.c together.
 */
#include "tests/unit/test.h"

#include "tests/unit/fake/igb.c"

#include "drivers/net/igb/mbx.c"
#include "drivers/net/igb/msg.c"
#include "drivers/net/igb/vf.c"

#define VFS  4
#define ACK  0x80000000u
#define NACK 0x40000000u
#define CTS  0x20000000u

static struct igb nic;
static unsigned channel_events[VFS], channel_ready[VFS];
/* Of the reset that hands a VF over, and of the one that it was last said clean after. */
static uint64_t number[VFS], cleaned[VFS];

static bool channel_closed[VFS];

static bool on_channel(struct nic *n, unsigned channel, bool ready)
{
    (void)n;
    channel_events[channel]++;
    channel_ready[channel] = ready;
    return !channel_closed[channel];
}

static uint64_t on_resetting(struct nic *n, unsigned channel)
{
    (void)n;
    return channel_closed[channel] ? NIC_CHANNEL_CLOSED : number[channel];
}

static void on_cleaned(struct nic *n, unsigned channel, uint64_t of)
{
    (void)n;
    cleaned[channel] = of;
}

static unsigned kept_hashes[VFS], kept_late;

/* What a VF has been told outlives the driver. */
void igb_keep(struct igb *g)
{
    for (unsigned vf = 0; vf < g->nic.channels; vf++) {
        kept_hashes[vf] = g->vf[vf].mc_hashes;
        kept_late += fake_v2p[vf] != 0;
    }
}

static const struct nic_events events = {
    .channel = on_channel, .resetting = on_resetting, .cleaned = on_cleaned};

/* VF 0 and 1 have a configured address, VF 2 the VLAN 100 too, VF 3 may choose. */
static void start(void)
{
    fake_reset();
    memset(&nic, 0, sizeof(nic));
    memset(channel_events, 0, sizeof(channel_events));
    memset(number, 0, sizeof(number));
    memset(cleaned, 0, sizeof(cleaned));
    memset(channel_closed, 0, sizeof(channel_closed));
    nic.rxctl = nic.txctl = 0;
    nic.nic.events = &events;
    nic.nic.name = "lan0";
    nic.nic.channels = VFS;
    memcpy(nic.nic.mac, (uint8_t[]){0x52, 0x54, 0, 0x12, 0x34, 0x56}, 6);
    for (unsigned v = 0; v < VFS; v++) {
        memcpy(nic.vf[v].given, (uint8_t[]){2, 0, 0, 0, 0, (uint8_t)(v + 1)}, 6);
        memcpy(nic.vf[v].mac, nic.vf[v].given, 6);
        if (v != 3)
            memcpy(nic.vf[v].policy.mac, nic.vf[v].mac, 6);
        nic.vf[v].allowed = true;
    }
    nic.vf[2].policy.vlan = 100;
    igb_vmdq_setup(&nic);
    for (unsigned v = 0; v < VFS; v++)
        igb_vf_clean(&nic, v);
    fake_ns += NS_PER_S;
}

/* Sends a message and lets the PF have one turn; returns word 0 of what is in the buffer then. */
static uint32_t send(unsigned vf, uint32_t w0, uint32_t w1, uint32_t w2)
{
    uint32_t msg[3] = {w0, w1, w2};

    fake_vf_send(vf, msg, 3);
    igb_msg_poll(&nic);
    return fake_vf_word(vf, 0);
}

static void handshake(unsigned vf)
{
    CHECK_EQ(send(vf, VF_RESET, 0, 0), VF_RESET | ACK);
}

static uint32_t reg(igb_reg r)
{
    return *fake_reg(r);
}

TEST(handshake_is_answered_with_the_address_and_opens_the_pool)
{
    start();
    CHECK_EQ(reg(IGB_VFRE), 0x80);
    handshake(1);
    CHECK_EQ(fake_v2p[1], FAKE_V2P_PFSTS | FAKE_V2P_PFACK);
    CHECK_EQ(fake_vf_word(1, 1), 0x00000002);
    CHECK_EQ(fake_vf_word(1, 2), 0x0200);
    CHECK_EQ(reg(IGB_VFRE), 0x82);
    CHECK_EQ(reg(IGB_VFTE), 0x82);
    CHECK_EQ(reg(IGB_RAL(2)), 0x00000002);
    CHECK_EQ(reg(IGB_RAH(2)), RAH_AV | 2u << 18 | 0x0200);
    CHECK(reg(IGB_VMOLR(1)) & VMOLR_AUPE);
    CHECK_EQ(channel_events[1], 1);
    CHECK_EQ(channel_ready[1], 1);
    handshake(1); /* again, without a reset: nothing new to tell */
    CHECK_EQ(channel_events[1], 1);
}

TEST(everything_is_refused_before_the_handshake)
{
    start();
    for (uint32_t type = 0; type < 0x110; type++) {
        if (type == VF_RESET)
            continue;
        fake_ns += NS_PER_S;
        CHECK_EQ(send(0, type, 4, 0), type | NACK);
    }
    CHECK_EQ(reg(IGB_VFRE), 0x80);
    CHECK_EQ(reg(IGB_RAH(1)), 0);
}

TEST(words_are_read_once)
{
    start();
    handshake(3);
    CHECK_EQ(send(3, VF_SET_MAC_ADDR, 0x00000602, 0x0100), VF_SET_MAC_ADDR | ACK | CTS);
    for (unsigned w = 1; w < IGB_MSG_WORDS; w++)
        CHECK_EQ(fake_word_reads[3][w], 1);
}

TEST(own_answers_are_not_messages)
{
    start();
    handshake(0);
    CHECK_EQ(send(0, VF_SET_LPE | ACK, 1518, 0), VF_SET_LPE | ACK);
    CHECK_EQ(fake_v2p[0], FAKE_V2P_PFACK);
}

TEST(malformed_messages_change_nothing)
{
    static const uint32_t bad[][2] = {
        {0, 0},
        {7, 0},
        {0xffff, 0},
        {PF_CONTROL_MSG, 0},
        {VF_RESET | 1 << 16, 0},
        {VF_SET_MULTICAST | 31 << 16, 0},
        {VF_SET_MULTICAST | 255 << 16, 0},
        {VF_SET_VLAN | 1 << 16, 4096},
        {VF_SET_VLAN | 1 << 16, 0xffffffff},
        {VF_SET_VLAN | 2 << 16, 5},
        {VF_SET_LPE, 0},
        {VF_SET_LPE, 63},
        {VF_SET_LPE, 9725},
        {VF_SET_LPE, 0xffffffff},
        {VF_SET_PROMISC | 1 << 16, 0},
        {VF_SET_PROMISC | 0xff << 16, 0},
        {VF_SET_MAC_ADDR, 0x00000001},
        {VF_SET_MAC_ADDR, 0},
        {VF_SET_MAC_ADDR | 3 << 16, 0x602},
    };
    static uint32_t before[sizeof(fake_regs) / 4];

    start();
    handshake(3);
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        struct igb_vf was = nic.vf[3], now;

        fake_ns += NS_PER_S;
        memcpy(before, fake_regs, sizeof(before));
        CHECK_EQ(send(3, bad[i][0], bad[i][1], 0), bad[i][0] | NACK | CTS);
        now = nic.vf[3];
        now.tokens = was.tokens;
        now.tokens_at = was.tokens_at;
        CHECK(memcmp(&was, &now, sizeof(was)) == 0);
        memcpy(&before[IGB_VMBMEM(0).off / 4], fake_reg(IGB_VMBMEM(0)), IGB_POOLS * 0x40);
        CHECK(memcmp(before, fake_regs, sizeof(before)) == 0);
    }
}

TEST(configured_address_cannot_be_changed)
{
    start();
    handshake(0);
    CHECK_EQ(send(0, VF_SET_MAC_ADDR, 0x00000002, 0x0100), VF_SET_MAC_ADDR | ACK | CTS);
    CHECK_EQ(send(0, VF_SET_MAC_ADDR, 0x00000002, 0x0900), VF_SET_MAC_ADDR | NACK | CTS);
    CHECK_EQ(send(0, VF_SET_MAC_ADDR | 2 << 16, 0x00000002, 0x0900), VF_SET_MAC_ADDR | 2 << 16 | NACK | CTS);
    CHECK_EQ(reg(IGB_RAH(1)), RAH_AV | 1u << 18 | 0x0100);
    CHECK_EQ(reg(IGB_RAH(IGB_RAR_EXTRA(0, 0))), 0);
}

TEST(free_address_is_chosen_within_limits)
{
    start();
    handshake(3);
    CHECK_EQ(send(3, VF_SET_MAC_ADDR, 0x00000002, 0x0900), VF_SET_MAC_ADDR | ACK | CTS);
    CHECK_EQ(reg(IGB_RAH(4)), RAH_AV | 8u << 18 | 0x0900);
    CHECK_EQ(send(3, VF_SET_MAC_ADDR, 0x00000002, 0x0100), VF_SET_MAC_ADDR | NACK | CTS); /* VF 0's */
    CHECK_EQ(send(3, VF_SET_MAC_ADDR, 0x12005452, 0x5634), VF_SET_MAC_ADDR | NACK | CTS); /* the PF's */
    for (uint32_t i = 0; i < IGB_EXTRA_MACS; i++)
        CHECK(send(3, VF_SET_MAC_ADDR | 2 << 16, 0x00000006, 0x0100 + i) & ACK);
    CHECK(send(3, VF_SET_MAC_ADDR | 2 << 16, 0x00000006, 0x0700) & NACK);
    CHECK_EQ(reg(IGB_RAH(IGB_RAR_EXTRA(3, 1))), RAH_AV | 8u << 18 | 0x0101);
    memset(nic.vf[1].policy.mac, 0, 6); /* a second VF that may choose cannot have them */
    handshake(1);
    CHECK(send(1, VF_SET_MAC_ADDR, 0x00000006, 0x0101) & NACK);
    CHECK(send(1, VF_SET_MAC_ADDR, 0x00000006, 0x0109) & ACK);
    CHECK(send(3, VF_SET_MAC_ADDR | 1 << 16, 0, 0) & ACK);
    CHECK_EQ(reg(IGB_RAH(IGB_RAR_EXTRA(3, 1))), 0);
}

TEST(port_vlan_is_enforced)
{
    start();
    handshake(2);
    CHECK_EQ(reg(IGB_VMVIR(2)), VMVIR_VLANA_DEFAULT | 100);
    CHECK(!(reg(IGB_VMOLR(2)) & VMOLR_AUPE));
    CHECK(reg(IGB_VMOLR(2)) & VMOLR_STRVLAN);
    CHECK(igb_vlan_is_member(&nic, 2, 100));
    CHECK_EQ(reg(IGB_VFTA(3)), 1u << 4);
    CHECK_EQ(send(2, VF_SET_VLAN | 1 << 16, 5, 0), VF_SET_VLAN | 1 << 16 | NACK | CTS);
    CHECK_EQ(send(2, VF_SET_VLAN, 100, 0), VF_SET_VLAN | NACK | CTS);
    CHECK(igb_vlan_is_member(&nic, 2, 100));
    CHECK(!igb_vlan_is_member(&nic, 2, 5));
}

TEST(vlans_are_shared_and_limited)
{
    start();
    handshake(0);
    handshake(1);
    CHECK(send(0, VF_SET_VLAN | 1 << 16, 7, 0) & ACK);
    CHECK(send(1, VF_SET_VLAN | 1 << 16, 7, 0) & ACK);
    CHECK_EQ(reg(IGB_VLVF(0)), VLVF_VI_EN | 3u << 12 | 7);
    CHECK(send(0, VF_SET_VLAN, 7, 0) & ACK);
    CHECK_EQ(reg(IGB_VLVF(0)), VLVF_VI_EN | 2u << 12 | 7);
    CHECK_EQ(reg(IGB_VFTA(0)), 1u << 7);
    CHECK(send(1, VF_SET_VLAN, 7, 0) & ACK);
    CHECK_EQ(reg(IGB_VLVF(0)), 0);
    CHECK_EQ(reg(IGB_VFTA(0)), 0);
    for (uint32_t vid = 1; vid <= 40; vid++) {
        fake_ns += NS_PER_S;
        CHECK_EQ(!!(send(0, VF_SET_VLAN | 1 << 16, vid, 0) & ACK), vid <= IGB_VLVFS / IGB_POOLS);
    }
    CHECK(send(1, VF_SET_VLAN | 1 << 16, 200, 0) & ACK);
}

TEST(multicast_is_the_union_of_all)
{
    start();
    handshake(0);
    handshake(1);
    CHECK(send(0, VF_SET_MULTICAST | 2 << 16, 0x00210000, 0) & ACK);
    CHECK(send(1, VF_SET_MULTICAST | 1 << 16, 0x0fff, 0) & ACK);
    CHECK_EQ(reg(IGB_MTA(0)), 1);
    CHECK_EQ(reg(IGB_MTA(1)), 2);
    CHECK_EQ(reg(IGB_MTA(127)), 0x80000000);
    CHECK(reg(IGB_VMOLR(0)) & VMOLR_ROMPE);
    kept_late = 0;
    CHECK(send(0, VF_SET_MULTICAST | 3 << 16, 0x00210000, 0) & ACK);
    CHECK_EQ(kept_hashes[0], 3);
    CHECK_EQ(kept_late, 1); /* VF 1's answer from before, and not this one's */
    CHECK(send(0, VF_SET_MULTICAST, 0, 0) & ACK);
    CHECK_EQ(reg(IGB_MTA(0)), 0);
    CHECK_EQ(reg(IGB_MTA(127)), 0x80000000);
    CHECK(!(reg(IGB_VMOLR(0)) & VMOLR_ROMPE));
}

TEST(a_flood_is_held_to_its_share_and_delays_nobody)
{
    const uint32_t junk[1] = {VF_SET_PROMISC | 0xff << 16}, reset[1] = {VF_RESET};
    unsigned answered = 0;
    uint64_t from;

    start();
    handshake(0);
    from = fake_ns;
    for (unsigned turn = 0; turn < 1000; turn++) {
        fake_vf_send(0, junk, 1);
        igb_msg_poll(&nic);
        answered += fake_v2p[0] != 0;
    }
    CHECK(answered <= TOKENS_MAX + (fake_ns - from) / TOKEN_NS);
    CHECK(answered >= TOKENS_MAX - 1);
    CHECK_EQ(reg(IGB_MBVFIMR), 0xe);
    CHECK(nic.events_due > fake_ns - NS_PER_MS && nic.events_due <= fake_ns + THROTTLED_NS);

    fake_vf_send(1, reset, 1);
    igb_msg_poll(&nic);
    CHECK_EQ(fake_vf_word(1, 0), VF_RESET | ACK);

    fake_ns += 10 * TOKEN_NS;
    igb_msg_poll(&nic);
    CHECK_EQ(fake_vf_word(0, 0), junk[0] | NACK | CTS); /* late, but answered */
    CHECK_EQ(reg(IGB_MBVFIMR), 0xf);
}

TEST(a_turn_takes_bounded_work)
{
    const uint32_t msg[2] = {VF_SET_MULTICAST | 30 << 16, 1};

    start();
    for (unsigned v = 0; v < VFS; v++)
        handshake(v);
    for (unsigned v = 0; v < VFS; v++)
        fake_vf_send(v, msg, 2);
    fake_accesses = 0;
    igb_msg_poll(&nic);
    CHECK(fake_accesses < VFS * 200);
}

TEST(a_vf_that_keeps_the_buffer_loses_it)
{
    const uint32_t msg[1] = {VF_SET_LPE};
    unsigned turns = 0;

    start();
    handshake(0);
    fake_vf_send(0, msg, 1);
    *fake_reg(IGB_P2VMAILBOX(0)) |= P2V_VFU;
    handshake(1);
    CHECK_EQ(fake_v2p[0], 0);
    for (; turns < 200 && reg(IGB_P2VMAILBOX(0)) & P2V_VFU; turns++) {
        fake_ns += NS_PER_S;
        igb_msg_poll(&nic);
    }
    CHECK(turns < LOCKED_TURNS + 1);
    CHECK_EQ(reg(IGB_MBVFICR), 0);
    fake_ns += NS_PER_S;
    CHECK_EQ(send(0, VF_SET_LPE, 1518, 0), VF_SET_LPE | NACK);
}

/* Of queue 0: all that a VF reaches of a queue. */
static const uint32_t queue_regs[] = {0xc000, 0xc004, 0xc008, 0xc00c, 0xc010, 0xc014, 0xc018, 0xc028, 0xe000,
                                      0xe004, 0xe008, 0xe010, 0xe014, 0xe018, 0xe028, 0xe038, 0xe03c};
/* Of VF 3: masks, auto clear, auto mask, causes; allocation as the VF and as the PF see it; moderation; PSRTYPE. */
static const uint32_t vector_regs[] = {0x10324, 0x1032c, 0x10330, 0x10380, 0x1170c, 0x1172c,
                                       0x170c,  0x16b4,  0x16b8,  0x16bc,  0x548c};

static void use_everything(unsigned vf)
{
    handshake(vf);
    CHECK(send(vf, VF_SET_VLAN | 1 << 16, 7, 0) & ACK);
    CHECK(send(vf, VF_SET_MULTICAST | 1 << 16, 5, 0) & ACK);
    CHECK(send(vf, VF_SET_LPE, 9000, 0) & ACK);
    CHECK(send(vf, VF_SET_PROMISC | 2 << 16, 0, 0) & ACK);
    CHECK(send(vf, VF_SET_MAC_ADDR | 2 << 16, 0x6, 0) & ACK);
    for (unsigned q = vf; q < 16; q += 8)
        for (unsigned i = 0; i < ARRAY_SIZE(queue_regs); i++)
            *fake_reg(IGB_REG(queue_regs[i] + 0x40 * q)) = 0x12340 | XDCTL_ENABLE;
    for (unsigned i = 0; i < ARRAY_SIZE(vector_regs); i++)
        *fake_reg(IGB_REG(vector_regs[i])) = 0x80818081;
}

TEST(reset_cleans_everything)
{
    start();
    use_everything(3);
    *fake_reg(IGB_VFLRE) = 1u << 3;
    igb_msg_poll(&nic);
    CHECK_EQ(channel_events[3], 2);
    CHECK_EQ(channel_ready[3], 0);
    CHECK(!nic.vf[3].cts && !nic.vf[3].broken);
    CHECK_EQ(reg(IGB_VFLRE), 0);
    CHECK_EQ(reg(IGB_VFRE), 0x80);
    CHECK_EQ(reg(IGB_VFTE), 0x80);
    CHECK_EQ(reg(IGB_VMOLR(3)), VMOLR_STRCRC);
    CHECK_EQ(reg(IGB_VLVF(0)) | reg(IGB_VFTA(0)) | reg(IGB_MTA(0)), 0);
    CHECK_EQ(reg(IGB_RAH(4)) | reg(IGB_RAH(IGB_RAR_EXTRA(3, 0))), 0);
    for (unsigned q = 3; q < 16; q += 8)
        for (unsigned i = 0; i < ARRAY_SIZE(queue_regs); i++)
            CHECK_EQ(reg(IGB_REG(queue_regs[i] + 0x40 * q)), 0);
    for (unsigned i = 0; i < ARRAY_SIZE(vector_regs); i++)
        CHECK_EQ(reg(IGB_REG(vector_regs[i])), 0);
    for (unsigned w = 0; w < IGB_MSG_WORDS; w++)
        CHECK_EQ(fake_vf_word(3, w), 0);
    CHECK_EQ(cleaned[3], 0); /* it was its guest that reset it */
    CHECK_EQ(send(3, VF_SET_LPE, 1518, 0), VF_SET_LPE | NACK);
}

TEST(queues_get_back_what_the_global_reset_left)
{
    start();
    nic.rxctl = 0xa200;
    nic.txctl = 0x2a00;
    use_everything(3);
    *fake_reg(IGB_VFLRE) = 1u << 3;
    igb_msg_poll(&nic);
    CHECK(reg(IGB_RXCTL(3)) == 0xa200 && reg(IGB_TXCTL(11)) == 0x2a00);
}

TEST(a_vf_that_is_handed_over_is_said_to_be_clean)
{
    const uint8_t own[6] = {6, 1, 2, 3, 4, 5};

    start();
    use_everything(3);
    CHECK(send(3, VF_SET_MAC_ADDR, 0x03020106, 0x0504) & ACK);
    CHECK(!memcmp(nic.vf[3].mac, own, 6));
    nic.vf[3].tokens = 1;
    fake_vf_send(3, (const uint32_t[]){VF_RESET, 0x5ec2e7}, 2); /* the last guest's, which nobody shall get */
    *fake_reg(IGB_P2VMAILBOX(3)) = P2V_VFU;
    *fake_reg(IGB_V2PMAILBOX(3)) = V2P_VFU;
    number[3] = 77;
    *fake_reg(IGB_VFLRE) = 1u << 3;
    igb_msg_poll(&nic);
    CHECK_EQ(cleaned[3], 77);
    CHECK(!nic.vf[3].broken && !nic.vf[3].cts);
    CHECK_EQ(reg(IGB_MBVFICR) | reg(IGB_V2PMAILBOX(3)) | (reg(IGB_P2VMAILBOX(3)) & P2V_VFU), 0);
    for (unsigned w = 0; w < IGB_MSG_WORDS; w++)
        CHECK_EQ(fake_vf_word(3, w), 0);
    CHECK(!memcmp(nic.vf[3].mac, nic.vf[3].given, 6));
    CHECK_EQ(nic.vf[3].tokens + nic.vf[3].tokens_at, 0);
    CHECK_EQ(cleaned[0] + cleaned[1] + cleaned[2], 0);
}

TEST(reset_keeps_the_first_message_after_it)
{
    const uint32_t reset[1] = {VF_RESET};

    start();
    handshake(1);
    *fake_reg(IGB_VFLRE) = 1u << 1;
    fake_vf_send(1, reset, 1);
    igb_msg_poll(&nic);
    CHECK_EQ(fake_vf_word(1, 0), VF_RESET | ACK);
    CHECK(nic.vf[1].cts);
}

TEST(a_vf_that_does_not_come_clean_is_cut_off)
{
    const uint32_t regs[] = {IGB_RDBAL(3).off,
                             IGB_TDLEN(11).off,
                             IGB_IVAR(3).off,
                             IGB_VMVIR(3).off,
                             IGB_VMBMEM_WORD(3, 15).off,
                             IGB_SRRCTL(3).off,
                             IGB_VT_EITR(3, 0).off,
                             IGB_RDH(3).off,
                             IGB_RXDCTL(3).off,
                             IGB_VMOLR(3).off,
                             IGB_RAH(4).off,
                             IGB_RAH(IGB_RAR_EXTRA(3, 0)).off,
                             IGB_VLVF(0).off};

    for (unsigned i = 0; i < ARRAY_SIZE(regs); i++) {
        start();
        use_everything(3);
        *fake_reg(IGB_REG(regs[i])) |= 0x80008000;
        if (regs[i] == IGB_RXDCTL(3).off)
            *fake_reg(IGB_RXDCTL(3)) = XDCTL_ENABLE;
        fake_stuck = regs[i];
        number[3] = 5;
        *fake_reg(IGB_VFLRE) = 1u << 3;
        igb_msg_poll(&nic);
        CHECK(nic.vf[3].broken);
        CHECK_EQ(cleaned[3], 0);
        fake_stuck = 0;
        CHECK_EQ(send(3, VF_RESET, 0, 0), VF_RESET | NACK);
        CHECK_EQ(reg(IGB_VFRE), 0x80);
        handshake(1); /* the others are well */
    }
}

TEST(a_disabled_channel_is_refused)
{
    start();
    nic.vf[1].allowed = false;
    CHECK_EQ(send(1, VF_RESET, 0, 0), VF_RESET | NACK);
    CHECK_EQ(reg(IGB_VFRE), 0x80);
}

TEST(link_changes_are_told_to_ready_vfs_only)
{
    const uint32_t msg[1] = {VF_SET_LPE};

    start();
    handshake(0);
    handshake(1);
    fake_vf_ack(0);
    fake_vf_ack(1);
    fake_vf_send(1, msg, 1); /* under way: must not be overwritten */
    igb_msg_notify_link(&nic);
    CHECK_EQ(fake_vf_word(0, 0), PF_CONTROL_MSG | CTS);
    CHECK_EQ(fake_v2p[0], FAKE_V2P_PFSTS);
    CHECK_EQ(fake_vf_word(1, 0), VF_SET_LPE);
    CHECK_EQ(fake_v2p[2], 0);
}

TEST(a_link_change_leaves_an_answer_alone_that_the_vf_has_not_read)
{
    const uint32_t answer = VF_SET_LPE | CTS | ACK;

    start();
    handshake(0);
    fake_vf_ack(0); /* nobody has seen that when the answer to the next one is on its way */
    CHECK_EQ(send(0, VF_SET_LPE, 1522, 0), answer);
    igb_msg_notify_link(&nic);
    CHECK_EQ(fake_vf_word(0, 0), answer);
    CHECK_EQ(fake_v2p[0], FAKE_V2P_PFSTS | FAKE_V2P_PFACK);
    fake_v2p[0] = 0; /* it looks at it */
    igb_msg_notify_link(&nic);
    CHECK_EQ(fake_vf_word(0, 0), answer);
    CHECK_EQ(fake_v2p[0], FAKE_V2P_PFSTS);
    fake_vf_ack(0);
    igb_msg_poll(&nic);
    igb_msg_notify_link(&nic);
    CHECK_EQ(fake_vf_word(0, 0), PF_CONTROL_MSG | CTS);
}

TEST(the_switch_follows_the_mode)
{
    start();
    CHECK_EQ(reg(IGB_DTXSWC), DTXSWC_LOOPBACK_EN | 0x0f0f);
    CHECK_EQ(reg(IGB_RPLOLR), 0xc0000000); /* no tag in a group's frames, either */
    CHECK_EQ(reg(IGB_MRQC), 3);
    CHECK_EQ(IGB_GET(VT_CTL_DEF_PL, reg(IGB_VT_CTL)), 7);
    nic.nic.vepa = true;
    igb_vmdq_setup(&nic);
    CHECK_EQ(reg(IGB_DTXSWC), 0x0f0f);
}

TEST(a_closed_vf_is_cut_off_and_told_so_until_it_is_opened)
{
    start();
    handshake(1);
    channel_closed[1] = true;
    *fake_reg(IGB_VFLRE) |= 1u << 1; /* the reset that comes with it */
    igb_msg_poll(&nic);
    CHECK_EQ(fake_vf_word(1, 0), PF_CONTROL_MSG | NACK);
    CHECK(!(reg(IGB_VFRE) & 2) && !(reg(IGB_VFTE) & 2));
    CHECK_EQ(send(1, VF_RESET, 0, 0), VF_RESET | NACK);
    CHECK(!(reg(IGB_VFRE) & 2));
    CHECK_EQ(channel_events[1], 2);
    channel_closed[1] = false;
    CHECK_EQ(send(1, VF_RESET, 0, 0), VF_RESET | NACK);
    *fake_reg(IGB_VFLRE) |= 1u << 1;
    igb_msg_poll(&nic);
    CHECK_EQ(fake_vf_word(1, 0), PF_CONTROL_MSG | NACK); /* it must try again */
    handshake(1);
    CHECK(reg(IGB_VFRE) & 2);
}

TEST(a_vf_that_is_found_closed_at_its_handshake_is_cut_off)
{
    start();
    channel_closed[1] = true;
    CHECK_EQ(send(1, VF_RESET, 0, 0), PF_CONTROL_MSG | NACK);
    CHECK(!(reg(IGB_VFRE) & 2) && !(reg(IGB_VFTE) & 2));
    CHECK_EQ(send(1, VF_SET_LPE, 1500, 0), VF_SET_LPE | NACK);
}

TEST_MAIN()
