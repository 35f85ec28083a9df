/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hostile VFs: the input is a script of mailbox messages, resets, buffer locks and time steps of 4 VFs.
 * Whatever comes, the PF keeps its own filters, a VF never gets what its policy forbids, and a turn's work
 * stays bounded.
 */
#include "tests/unit/fake/igb.c"

#include "drivers/net/igb/mbx.c"
#include "drivers/net/igb/msg.c"
#include "drivers/net/igb/vf.c"

#define VFS           4
#define ACCESSES_TURN 4000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct igb nic;

static bool closed; /* VF 2, at every other of its resets and handshakes */

static bool on_channel(struct nic *n, unsigned channel, bool ready)
{
    if (channel >= n->channels)
        abort();
    closed ^= channel == 2 && ready;
    return channel != 2 || !closed;
}

/* VF 3 is handed over at each reset. */
static uint64_t on_resetting(struct nic *n, unsigned channel)
{
    if (channel == 2) {
        closed = !closed;
        return closed ? NIC_CHANNEL_CLOSED : 0;
    }
    return channel < n->channels ? channel == 3 : 0;
}

static void on_cleaned(struct nic *n, unsigned channel, uint64_t number)
{
    (void)n;
    if (channel != 3 || number != 1 || *fake_reg(IGB_VMBMEM(3)) != 0)
        abort();
}

void igb_keep(struct igb *g)
{
    for (unsigned vf = 0; vf < g->nic.channels; vf++)
        if (g->vf[vf].mc_hashes > IGB_MC_HASHES)
            abort();
}

static const struct nic_events events = {
    .channel = on_channel, .resetting = on_resetting, .cleaned = on_cleaned};

static void start(void)
{
    fake_reset();
    memset(&nic, 0, sizeof(nic));
    nic.nic.events = &events;
    nic.nic.name = "lan0";
    nic.nic.channels = VFS;
    memcpy(nic.nic.mac, (uint8_t[]){0x52, 0x54, 0, 0x12, 0x34, 0x56}, 6);
    for (unsigned v = 0; v < VFS; v++) {
        memcpy(nic.vf[v].given, (uint8_t[]){2, 0, 0, 0, 0, (uint8_t)(v + 1)}, 6);
        memcpy(nic.vf[v].mac, nic.vf[v].given, 6);
        if (v < 2)
            memcpy(nic.vf[v].policy.mac, nic.vf[v].mac, 6);
        nic.vf[v].allowed = true;
    }
    nic.vf[1].policy.vlan = 100;
    igb_vmdq_setup(&nic);
    for (unsigned v = 0; v < VFS; v++)
        igb_vf_clean(&nic, v);
}

static void must(bool ok)
{
    if (!ok)
        abort();
}

static void check(void)
{
    uint32_t vfs_seen = *fake_reg(IGB_VFRE) & ~(1u << IGB_PF_POOL);

    must(*fake_reg(IGB_VFRE) >> IGB_PF_POOL & 1);
    must(*fake_reg(IGB_VMOLR(IGB_PF_POOL)) & VMOLR_BAM);
    must(igb_rar_holds(&nic, IGB_RAR_PF, nic.nic.mac));
    must(vfs_seen < 1u << VFS);
    for (unsigned v = 0; v < VFS; v++) {
        uint32_t rah = *fake_reg(IGB_RAH(IGB_RAR_VF(v)));

        must(!(vfs_seen >> v & 1) || !(nic.vf[v].broken || nic.vf[v].closed));
        must(!(rah & RAH_AV) || IGB_GET(RAH_POOLS, rah) == 1u << v);
        must(!(rah & RAH_AV) || igb_rar_holds(&nic, IGB_RAR_VF(v), nic.vf[v].mac));
        must(nic_mac_is_station(nic.vf[v].mac));
        must(nic.vf[v].mc_hashes <= IGB_MC_HASHES);
        must(igb_vlan_count(&nic, v) <= IGB_VLVFS / IGB_POOLS);
    }
    must(memcmp(nic.vf[0].mac, nic.vf[0].policy.mac, 6) == 0);
    must(igb_vlan_count(&nic, 1) <= 1);
    must(!(*fake_reg(IGB_VMOLR(1)) & VMOLR_AUPE));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    start();
    while (size >= 2) {
        unsigned op = data[0] >> 4, vf = data[0] & 3, len = data[1] % (IGB_MSG_WORDS * 4 + 1);
        uint32_t msg[IGB_MSG_WORDS] = {0};

        data += 2;
        size -= 2;
        if (op < 10) {
            if (len > size)
                len = (unsigned)size;
            memcpy(msg, data, len);
            data += len;
            size -= len;
            fake_vf_send(vf, msg, IGB_MSG_WORDS);
        } else if (op < 12) {
            *fake_reg(IGB_VFLRE) |= 1u << vf;
        } else if (op == 12) {
            *fake_reg(IGB_P2VMAILBOX(vf)) |= P2V_VFU;
        } else if (op == 13) {
            *fake_reg(IGB_P2VMAILBOX(vf)) &= ~P2V_VFU;
        } else {
            fake_ns += (uint64_t)len * NS_PER_MS;
        }
        fake_accesses = 0;
        igb_msg_poll(&nic);
        must(fake_accesses < ACCESSES_TURN);
        check();
    }
    return 0;
}
