/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Taking a running device over from a driver that died: no reset, because VFs go on meanwhile. Pools, filters and mailboxes are read
 * back from the registers, the rest from the keepsake; what contradicts the configuration, or is of no VF that is in service, is put right.
 * A register is written only where it is wrong, or where the same value again is without effect.
 */
#include "drivers/net/igb/igb.h"
#include "drivers/net/igb/io.h"
#include "drivers/sys/keep.h"
#include "drivers/sys/sys.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define KEPT_VERSION 2

/* What the registers do not say. */
struct kept {
    struct igb_kept_vf vf[IGB_VFS_MAX];
    uint8_t link_up; /* as the VFs were told */
    uint8_t pad[3];
};
_Static_assert(sizeof(struct kept) == IGB_VFS_MAX * 92 + 4, "no holes in the record");

void igb_vf_keep(const struct igb *g, unsigned vf, struct igb_kept_vf *k)
{
    const struct igb_vf *s = &g->vf[vf];

    *k = (struct igb_kept_vf){.extra_macs = (uint16_t)s->extra_macs,
                              .max_frame = s->max_frame,
                              .mc_all = s->mc_all,
                              .mc_hashes = (uint16_t)s->mc_hashes};
    memcpy(k->given, s->given, NIC_MAC_LEN);
    memcpy(k->mac, s->mac, NIC_MAC_LEN);
    memcpy(k->extra, s->extra, sizeof(k->extra));
    memcpy(k->mc_hash, s->mc_hash, s->mc_hashes * sizeof(s->mc_hash[0]));
}

void igb_keep(struct igb *g)
{
    struct kept k = {.link_up = g->nic.link.up};

    for (unsigned vf = 0; vf < g->nic.channels; vf++)
        igb_vf_keep(g, vf, &k.vf[vf]);
    if (keep_put(KEEP_NIC, g->devfn >> 3, KEPT_VERSION, &k, sizeof(k)) != 0)
        printf("%s: no room to keep its state: the next start will reset it\n", g->nic.name);
}

void igb_forget(struct igb *g)
{
    keep_drop(KEEP_NIC, g->devfn >> 3);
}

/* --- registers of all --- */

/* Entries that are neither the PF's nor a VF's. */
static void addresses_check(struct igb *g)
{
    unsigned vfs = g->nic.channels;

    for (unsigned i = IGB_RAR_VF(vfs); i < IGB_RARS; i++)
        if ((i < IGB_RAR_EXTRA(0, 0) || i >= IGB_RAR_EXTRA(vfs, 0)) && igb_rd(g, IGB_RAH(i)))
            igb_rar_clear(g, i);
}

/* Pools that are no VF's leave; VFTA has a bit for each VLAN that is left. Its writer may have died between the two. */
static void vlans_check(struct igb *g)
{
    uint32_t vfta[IGB_VFTAS] = {0};

    for (unsigned i = 0; i < IGB_VLVFS; i++) {
        uint32_t v = igb_rd(g, IGB_VLVF(i)), vid = IGB_GET(VLVF_VLAN_ID, v);
        uint32_t pools = IGB_GET(VLVF_POOLSEL, v) & (IGB_BIT(g->nic.channels) - 1);
        uint32_t right = pools && (v & VLVF_VI_EN)
                             ? VLVF_VI_EN | IGB_PREP(VLVF_POOLSEL, pools) | IGB_PREP(VLVF_VLAN_ID, vid)
                             : 0;

        if (v != right)
            igb_wr(g, IGB_VLVF(i), right);
        if (right)
            vfta[vid / 32] |= IGB_BIT(vid % 32);
    }
    for (unsigned i = 0; i < IGB_VFTAS; i++)
        if (igb_rd(g, IGB_VFTA(i)) != vfta[i])
            igb_wr(g, IGB_VFTA(i), vfta[i]);
}

/* --- one VF --- */

/* Its guest's driver has completed the handshake, and no reset has come since. */
static bool in_service(const struct igb *g, unsigned vf)
{
    return igb_rd(g, IGB_VFRE) & igb_rd(g, IGB_VFTE) & ~igb_rd(g, IGB_VFLRE) & IGB_BIT(vf);
}

/* The address that it had, unless the configuration says another, or that is none. */
static void addresses_recall(struct igb *g, unsigned vf, const struct igb_kept_vf *k)
{
    struct igb_vf *s = &g->vf[vf];
    bool may = nic_mac_is_zero(s->policy.mac);

    memcpy(s->mac, may && nic_mac_is_station(k->mac) ? k->mac : s->given, NIC_MAC_LEN);
    igb_rar_check(g, IGB_RAR_VF(vf), s->mac, vf);
    s->extra_macs = 0;
    for (unsigned i = 0; i < IGB_EXTRA_MACS; i++) {
        may = may && i < k->extra_macs && nic_mac_is_station(k->extra[i]);
        if (may) {
            memcpy(s->extra[s->extra_macs++], k->extra[i], NIC_MAC_LEN);
            igb_rar_check(g, IGB_RAR_EXTRA(vf, i), k->extra[i], vf);
        } else if (igb_rd(g, IGB_RAH(IGB_RAR_EXTRA(vf, i)))) {
            igb_rar_clear(g, IGB_RAR_EXTRA(vf, i));
        }
    }
}

static void groups_recall(struct igb_vf *s, const struct igb_kept_vf *k)
{
    s->mc_hashes = k->mc_hashes <= IGB_MC_HASHES ? k->mc_hashes : 0;
    memcpy(s->mc_hash, k->mc_hash, sizeof(s->mc_hash));
}

static void given_recall(struct igb_vf *s, const struct igb_kept_vf *k)
{
    if (nic_mac_is_zero(s->policy.mac) && nic_mac_is_station(k->given))
        memcpy(s->given, k->given, NIC_MAC_LEN);
}

void igb_vf_recall(struct igb *g, unsigned vf, const struct igb_kept_vf *k)
{
    struct igb_vf *s = &g->vf[vf];

    given_recall(s, k);
    groups_recall(s, k);
    s->mc_all = k->mc_all;
    s->max_frame = k->max_frame <= IGB_JUMBO_MAX - IGB_VLAN_TAG_LEN ? k->max_frame : 0;
    addresses_recall(g, vf, k);
    igb_vf_update_pool(g, vf);
}

static void vlans_adopt(struct igb *g, unsigned vf)
{
    unsigned own = g->vf[vf].policy.vlan, n = 0;
    uint32_t vmvir = own ? VMVIR_VLANA_DEFAULT | IGB_PREP(VMVIR_PORT_VLAN_ID, own) : 0;

    for (unsigned i = 0; i < IGB_VLVFS; i++) {
        uint32_t v = igb_rd(g, IGB_VLVF(i)), vid = IGB_GET(VLVF_VLAN_ID, v);

        if (!(IGB_GET(VLVF_POOLSEL, v) & IGB_BIT(vf)))
            continue;
        if (own ? vid != own : ++n > IGB_VF_VLANS)
            (void)igb_vlan_set(g, vf, vid, false);
    }
    if (own && !igb_vlan_is_member(g, vf, own))
        (void)igb_vlan_set(g, vf, own, true);
    if (igb_rd(g, IGB_VMVIR(vf)) != vmvir)
        igb_wr(g, IGB_VMVIR(vf), vmvir);
}

static void adopt(struct igb *g, unsigned vf, const struct igb_kept_vf *k)
{
    struct igb_vf *s = &g->vf[vf];
    uint32_t vmolr = igb_rd(g, IGB_VMOLR(vf)), longest = IGB_GET(VMOLR_RLPML, vmolr);

    s->cts = true;
    s->mc_all = vmolr & VMOLR_MPME;
    groups_recall(s, k);
    if (longest >= IGB_FRAME_MIN + IGB_VLAN_TAG_LEN && longest <= IGB_JUMBO_MAX)
        s->max_frame = (uint16_t)(longest - IGB_VLAN_TAG_LEN);
    addresses_recall(g, vf, k);
    vlans_adopt(g, vf);
    igb_vf_update_pool(g, vf);
    igb_msg_finish(g, vf);
}

/* --- all of it --- */

/* Whether the device is as the last driver left it: not after a reset, or with a switch that is not ours. */
static bool is_ours(const struct igb *g)
{
    uint32_t ready = CTRL_EXT_DRV_LOAD | CTRL_EXT_PFRSTD;

    return (igb_rd(g, IGB_CTRL_EXT) & ready) == ready && igb_rd(g, IGB_MRQC) == MRQC_VMDQ &&
           (igb_rd(g, IGB_RAH(IGB_RAR_PF)) & RAH_AV) && nic_mac_is_station(g->nic.mac);
}

/* A VF that may not be used was closed by a reset, so that it is cleaned, too. */
static void vfs_take_over(struct igb *g, const struct kept *k)
{
    unsigned adopted = 0;

    for (unsigned vf = 0; vf < g->nic.channels; vf++) {
        struct igb_vf *s = &g->vf[vf];

        given_recall(s, &k->vf[vf]);
        memcpy(s->mac, s->given, NIC_MAC_LEN);
    }
    for (unsigned vf = 0; vf < g->nic.channels; vf++) {
        if (!in_service(g, vf) || g->nic.events->resetting(&g->nic, vf) != 0)
            continue;
        adopt(g, vf, &k->vf[vf]);
        adopted++;
    }
    igb_mta_update(g);
    for (unsigned vf = 0; vf < g->nic.channels; vf++)
        if (!g->vf[vf].cts)
            igb_vf_clean(g, vf);
    printf("%s: taken over from a driver that ended: %u VFs go on, %u cleaned\n", g->nic.name, adopted,
           g->nic.channels - adopted);
}

int igb_take_over(struct igb *g)
{
    struct kept k;
    int err;

    if (!keep_get(KEEP_NIC, g->devfn >> 3, KEPT_VERSION, &k, sizeof(k)))
        return -ENOENT;
    igb_rar_get(g, IGB_RAR_PF, g->nic.mac);
    if (!is_ours(g)) {
        printf("%s: is not as the last driver left it\n", g->nic.name);
        return -ENOENT;
    }
    igb_intr_off(g);
    g->rxctl = igb_rd(g, IGB_RXCTL(IGB_PF_POOL));
    g->txctl = igb_rd(g, IGB_TXCTL(IGB_PF_POOL));
    /* Before it may reach memory again: where its old rings were, we are now. */
    if (!igb_queues_stop(g, IGB_PF_POOL))
        return -ETIMEDOUT;
    pci_enable(g->devfn, PCI_COMMAND_MASTER);
    igb_switch_setup(g);
    addresses_check(g);
    vlans_check(g);
    vfs_take_over(g, &k);
    err = igb_rings_start(g);
    if (!err)
        err = igb_intr_setup(g);
    if (err)
        return err;
    g->nic.link.up = k.link_up;
    if (igb_link_update(g))
        igb_msg_notify_link(g);
    igb_mbx_mute(g, 0);
    return 0;
}
