/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a driver that died has left, and anybody may have written: the record of a move, and a VF's state. The one that goes on by it keeps to the one VF, gives it
 * no address that its policy forbids, and changes nothing by a record that it refuses.
 */
#include "tests/unit/fake/igb.c"
#include "tests/unit/fake/igb_idle.c"
#include "tests/unit/fake/igb_start.c"

#include "drivers/net/buf.c"
#include "drivers/net/igb/late.c"
#include "drivers/net/igb/mbx.c"
#include "drivers/net/igb/move.c"
#include "drivers/net/igb/msg.c"
#include "drivers/net/igb/park.c"
#include "drivers/net/igb/takeover.c"
#include "drivers/net/igb/vf.c"
#include "drivers/net/vf/announce.c"

#define VFS           4
#define ACCESSES_WAKE 4000

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct igb nic;
static uint32_t before[IGB_BAR_SIZE / 4];

static void must(bool ok)
{
    if (!ok)
        abort();
}

/* --- what is around --- */

int keep_put(enum keep_type type, unsigned index, unsigned version, const void *data, size_t length)
{
    (void)type, (void)index, (void)version, (void)data, (void)length;
    return 0;
}

bool keep_get(enum keep_type type, unsigned index, unsigned version, void *data, size_t length)
{
    (void)type, (void)index, (void)version, (void)data, (void)length;
    return false;
}

void keep_drop(enum keep_type type, unsigned index)
{
    (void)type, (void)index;
}

int igb_send_now(struct igb *g, const struct nic_frag *frag, unsigned n)
{
    (void)g, (void)frag;
    must(n > 0 && n <= NIC_FRAGS_MAX);
    return 0;
}

/* --- one life --- */

static void be_born(void)
{
    fake_reset();
    memset(&nic, 0, sizeof(nic));
    memset(&move, 0, sizeof(move));
    nic.nic = (struct nic){.name = "lan0", .channels = VFS, .link.up = true};
    memcpy(nic.nic.mac, (uint8_t[]){0x52, 0x54, 0, 0x12, 0x34, 0x56}, NIC_MAC_LEN);
    for (unsigned v = 0; v < VFS; v++) {
        memcpy(nic.vf[v].given, (uint8_t[]){2, 0, 0, 0, 0, (uint8_t)(v + 1)}, NIC_MAC_LEN);
        memcpy(nic.vf[v].mac, nic.vf[v].given, NIC_MAC_LEN);
        if (v < 2)
            memcpy(nic.vf[v].policy.mac, nic.vf[v].mac, NIC_MAC_LEN);
        nic.vf[v].allowed = nic.vf[v].cts = true;
    }
    igb_vmdq_setup(&nic);
    nic.vf[3].policy.vlan = 9;
    for (unsigned v = 0; v < VFS; v++) {
        must(igb_vlan_set(&nic, v, v == 3 ? 9 : 100 + v, true) == 0);
        igb_rar_set(&nic, IGB_RAR_VF(v), nic.vf[v].mac, v);
        igb_vf_update_pool(&nic, v);
        igb_vf_enable(&nic, v, true);
        *fake_reg(IGB_RDLEN(v)) = *fake_reg(IGB_TDLEN(v)) = 1024;
    }
}

static bool same(igb_reg r)
{
    return *fake_reg(r) == before[r.off / 4];
}

static void others_are_as_they_were(unsigned vf)
{
    must(same(IGB_RAH(IGB_RAR_PF)) && same(IGB_RAL(IGB_RAR_PF)) && same(IGB_VMOLR(IGB_PF_POOL)));
    for (unsigned v = 0; v < VFS; v++) {
        if (v == vf)
            continue;
        must(igb_vlan_count(&nic, v) == 1 && igb_vlan_is_member(&nic, v, v == 3 ? 9 : 100 + v));
        must(same(IGB_RAH(IGB_RAR_VF(v))) && same(IGB_RAL(IGB_RAR_VF(v))) && same(IGB_VMOLR(v)));
        must(same(IGB_RDT(v)) && same(IGB_TDT(v)) && same(IGB_RXDCTL(v)) && same(IGB_TXDCTL(v)));
        for (unsigned i = 0; i < IGB_EXTRA_MACS; i++)
            must(same(IGB_RAH(IGB_RAR_EXTRA(v, i))));
    }
}

static void is_within_its_policy(unsigned vf)
{
    const struct igb_vf *s = &nic.vf[vf];

    must(s->extra_macs <= IGB_EXTRA_MACS && s->mc_hashes <= IGB_MC_HASHES && s->max_frame <= IGB_JUMBO_MAX);
    must(igb_vlan_count(&nic, vf) <= IGB_VF_VLANS && (!s->policy.vlan || igb_vlan_count(&nic, vf) == 1));
    must(nic_mac_is_station(s->mac) && igb_rar_holds(&nic, IGB_RAR_VF(vf), s->mac));
    must(IGB_GET(RAH_POOLS, *fake_reg(IGB_RAH(IGB_RAR_VF(vf)))) == IGB_BIT(vf));
    if (!nic_mac_is_zero(s->policy.mac))
        must(memcmp(s->mac, s->policy.mac, NIC_MAC_LEN) == 0 && s->extra_macs == 0);
}

/* Without what the driver prints. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    return freopen("/dev/null", "w", stdout) ? 0 : 1;
}

/* The first byte: which VF, whether the record's head is made right, perhaps of another VF, and how long it is said to be. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct igb_record r;
    unsigned vf = size ? data[0] % VFS : 0;
    uint32_t length = sizeof(r);
    int err;

    if (size < 2)
        return 0;
    be_born();
    memset(&r, 0, sizeof(r));
    memcpy(&r, data + 1, size - 1 < sizeof(r) ? size - 1 : sizeof(r));
    if (data[0] & 0x40) {
        r.version = IGB_MOVE_RECORD;
        r.length = sizeof(r);
        r.to = data[0] & 0x20 ? r.to % VFS : vf;
    }
    if (data[0] & 0x80)
        length = data[0] & 0x3f;
    memcpy(before, fake_regs, sizeof(before));
    fake_accesses = 0;
    err = wake(&nic.nic, vf, &r, length);
    must(fake_accesses < ACCESSES_WAKE);
    others_are_as_they_were(vf);
    if (err == 0 && length)
        is_within_its_policy(vf);
    else if (length)
        must(memcmp(before, fake_regs, sizeof(before)) == 0);
    return 0;
}
