/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pools, address filters and VLANs (datasheet 7.10, "Virtualization"). The filters' registers are the state:
 * membership is read back from them, so that a driver that takes a running device over finds what is in
 * force.
 */
#include "drivers/net/igb/igb.h"
#include "drivers/net/igb/io.h"
#include "drivers/sys/sys.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define QUEUE_STOP_NS (NS_PER_MS) /* a queue takes up to 100 us to stop */

static void set_bit(struct igb *g, igb_reg r, uint32_t bits, bool on)
{
    uint32_t v = igb_rd(g, r);

    igb_wr(g, r, on ? v | bits : v & ~bits);
}

/* --- receive addresses --- */

void igb_rar_set(struct igb *g, unsigned entry, const uint8_t *mac, unsigned pool)
{
    uint32_t lo = mac[0] | (uint32_t)mac[1] << 8 | (uint32_t)mac[2] << 16 | (uint32_t)mac[3] << 24;
    uint32_t hi = mac[4] | (uint32_t)mac[5] << 8;

    igb_wr(g, IGB_RAH(entry), 0); /* never valid with half an address */
    igb_wr(g, IGB_RAL(entry), lo);
    igb_wr(g, IGB_RAH(entry), hi | RAH_AV | IGB_PREP(RAH_POOLS, IGB_BIT(pool)));
}

void igb_rar_clear(struct igb *g, unsigned entry)
{
    igb_wr(g, IGB_RAH(entry), 0);
    igb_wr(g, IGB_RAL(entry), 0);
}

void igb_rar_get(const struct igb *g, unsigned entry, uint8_t mac[NIC_MAC_LEN])
{
    uint64_t address = (uint64_t)igb_rd(g, IGB_RAH(entry)) << 32 | igb_rd(g, IGB_RAL(entry));

    for (unsigned i = 0; i < NIC_MAC_LEN; i++)
        mac[i] = (uint8_t)(address >> 8 * i);
}

bool igb_rar_holds(const struct igb *g, unsigned entry, const uint8_t *mac)
{
    uint8_t has[NIC_MAC_LEN];

    igb_rar_get(g, entry, has);
    return memcmp(has, mac, NIC_MAC_LEN) == 0 && (igb_rd(g, IGB_RAH(entry)) & RAH_AV);
}

void igb_rar_check(struct igb *g, unsigned entry, const uint8_t *mac, unsigned pool)
{
    if (!igb_rar_holds(g, entry, mac) || IGB_GET(RAH_POOLS, igb_rd(g, IGB_RAH(entry))) != IGB_BIT(pool))
        igb_rar_set(g, entry, mac, pool);
}

void igb_mta_update(struct igb *g)
{
    uint32_t table[IGB_MTAS] = {0};

    for (unsigned v = 0; v < g->nic.channels; v++) {
        for (unsigned i = 0; i < g->vf[v].mc_hashes; i++) {
            unsigned hash = g->vf[v].mc_hash[i] % (IGB_MTAS * 32);

            table[hash / 32] |= IGB_BIT(hash % 32);
        }
    }
    for (unsigned i = 0; i < IGB_MTAS; i++)
        igb_wr(g, IGB_MTA(i), table[i]);
}

/* --- VLANs
 * ----------------------------------------------------------------------------------------------------------
 */

/* The filter entry of `vid`; if there is none, a free one when asked for; else -ENOENT or -ENOSPC. */
static int vlvf_find(const struct igb *g, unsigned vid, bool or_free)
{
    int free = -ENOSPC;

    for (unsigned i = 0; i < IGB_VLVFS; i++) {
        uint32_t v = igb_rd(g, IGB_VLVF(i));

        if ((v & VLVF_VI_EN) && IGB_GET(VLVF_VLAN_ID, v) == vid)
            return (int)i;
        if (!(v & VLVF_VI_EN) && free < 0)
            free = (int)i;
    }
    return or_free ? free : -ENOENT;
}

int igb_vlan_set(struct igb *g, unsigned pool, unsigned vid, bool member)
{
    int entry = vlvf_find(g, vid, member);
    uint32_t pools;

    if (entry < 0)
        return member ? entry : 0;
    pools = IGB_GET(VLVF_POOLSEL, igb_rd(g, IGB_VLVF((unsigned)entry)));
    pools = member ? pools | IGB_BIT(pool) : pools & ~IGB_BIT(pool);
    if (member)
        set_bit(g, IGB_VFTA(vid / 32), IGB_BIT(vid % 32), true);
    igb_wr(g, IGB_VLVF((unsigned)entry),
           pools ? VLVF_VI_EN | IGB_PREP(VLVF_POOLSEL, pools) | IGB_PREP(VLVF_VLAN_ID, vid) : 0);
    if (!pools)
        set_bit(g, IGB_VFTA(vid / 32), IGB_BIT(vid % 32), false);
    return 0;
}

bool igb_vlan_is_member(const struct igb *g, unsigned pool, unsigned vid)
{
    int entry = vlvf_find(g, vid, false);

    return entry >= 0 && (IGB_GET(VLVF_POOLSEL, igb_rd(g, IGB_VLVF((unsigned)entry))) & IGB_BIT(pool));
}

unsigned igb_vlan_count(const struct igb *g, unsigned pool)
{
    unsigned n = 0;

    for (unsigned i = 0; i < IGB_VLVFS; i++)
        n += IGB_GET(VLVF_POOLSEL, igb_rd(g, IGB_VLVF(i))) >> pool & 1;
    return n;
}

void igb_vlan_leave_all(struct igb *g, unsigned pool)
{
    for (unsigned i = 0; i < IGB_VLVFS; i++) {
        uint32_t v = igb_rd(g, IGB_VLVF(i));

        if (IGB_GET(VLVF_POOLSEL, v) & IGB_BIT(pool))
            (void)igb_vlan_set(g, pool, IGB_GET(VLVF_VLAN_ID, v), false);
    }
}

struct igb_vlans igb_vlans_of(const struct igb *g, unsigned vf)
{
    struct igb_vlans all = {.port = g->vf[vf].policy.vlan};

    for (unsigned i = 0; i < IGB_VLVFS && all.n < IGB_VF_VLANS; i++) {
        uint32_t v = igb_rd(g, IGB_VLVF(i));

        if (IGB_GET(VLVF_POOLSEL, v) & IGB_BIT(vf))
            all.vid[all.n++] = (uint16_t)IGB_GET(VLVF_VLAN_ID, v);
    }
    return all;
}

bool igb_vlans_fit(const struct igb *g, const struct igb_vlans *v)
{
    unsigned missing = 0, free = 0;

    for (unsigned i = 0; i < v->n; i++)
        missing += vlvf_find(g, v->vid[i], false) < 0;
    for (unsigned i = 0; i < IGB_VLVFS; i++)
        free += !(igb_rd(g, IGB_VLVF(i)) & VLVF_VI_EN);
    return missing <= free;
}

/* --- pools
 * ----------------------------------------------------------------------------------------------------------
 */

void igb_vf_update_pool(struct igb *g, unsigned vf)
{
    const struct igb_vf *s = &g->vf[vf];
    uint32_t v = VMOLR_BAM | VMOLR_STRVLAN | VMOLR_STRCRC | VMOLR_LPE;

    v |= IGB_PREP(VMOLR_RLPML, s->max_frame ? s->max_frame + IGB_VLAN_TAG_LEN : IGB_FRAME_MAX);
    if (!s->policy.vlan)
        v |= VMOLR_AUPE;
    if (s->mc_hashes)
        v |= VMOLR_ROMPE;
    if (s->mc_all)
        v |= VMOLR_MPME;
    igb_wr(g, IGB_VMOLR(vf), v);
}

/* Tags are taken off here as in guests' pools: what is kept for a guest is then as its own VF would have it. */
void igb_pf_update_pool(struct igb *g, unsigned like)
{
    uint32_t groups = like == IGB_PF_POOL ? 0 : igb_rd(g, IGB_VMOLR(like)) & (VMOLR_ROMPE | VMOLR_MPME);

    igb_wr(g, IGB_VMOLR(IGB_PF_POOL),
           groups | VMOLR_BAM | VMOLR_AUPE | VMOLR_STRVLAN | VMOLR_STRCRC | VMOLR_LPE |
               IGB_PREP(VMOLR_RLPML, IGB_JUMBO_MAX));
}

void igb_vf_update_tag(struct igb *g, unsigned vf, const struct nic_channel *policy)
{
    igb_wr(g, IGB_VMVIR(vf),
           policy->vlan ? VMVIR_VLANA_DEFAULT | IGB_PREP(VMVIR_PORT_VLAN_ID, policy->vlan) : 0);
}

void igb_vf_enable(struct igb *g, unsigned vf, bool on)
{
    set_bit(g, IGB_VFTE, IGB_BIT(vf), on);
    set_bit(g, IGB_VFRE, IGB_BIT(vf), on);
}

void igb_vf_open(struct igb *g, unsigned vf)
{
    struct igb_vf *s = &g->vf[vf];

    igb_rar_set(g, IGB_RAR_VF(vf), s->mac, vf);
    if (s->policy.vlan) {
        /* Its own entry is always to be had: guests' shares of the table leave room for one VLAN per VF. */
        (void)igb_vlan_set(g, vf, s->policy.vlan, true);
        igb_vf_update_tag(g, vf, &s->policy);
    }
    igb_vf_update_pool(g, vf);
}

bool igb_queues_stop(struct igb *g, unsigned q)
{
    igb_wr(g, IGB_TXDCTL(q), 0);
    igb_wr(g, IGB_RXDCTL(q), 0);
    return sys_wait(!((igb_rd(g, IGB_TXDCTL(q)) | igb_rd(g, IGB_RXDCTL(q))) & XDCTL_ENABLE), QUEUE_STOP_NS);
}

/* What a register must hold when a VF is clean. A function-level reset need not see to it. */
struct scrubbed {
    igb_reg reg;
    uint32_t value;
};

static bool scrub(struct igb *g, const struct scrubbed *s, unsigned n)
{
    bool clean = true;

    for (unsigned i = 0; i < n; i++)
        igb_wr(g, s[i].reg, s[i].value);
    for (unsigned i = 0; i < n; i++)
        clean &= igb_rd(g, s[i].reg) == s[i].value;
    return clean;
}

static bool scrub_queue(struct igb *g, unsigned q)
{
    const struct scrubbed regs[] = {
        {IGB_RXDCTL(q), 0}, {IGB_TXDCTL(q), 0},       {IGB_RDBAL(q), 0}, {IGB_RDBAH(q), 0},
        {IGB_RDLEN(q), 0},  {IGB_SRRCTL(q), 0},       {IGB_RDH(q), 0},   {IGB_RXCTL(q), g->rxctl},
        {IGB_RDT(q), 0},    {IGB_TDBAL(q), 0},        {IGB_TDBAH(q), 0}, {IGB_TDLEN(q), 0},
        {IGB_TDH(q), 0},    {IGB_TXCTL(q), g->txctl}, {IGB_TDT(q), 0},   {IGB_TDWBAL(q), 0},
        {IGB_TDWBAH(q), 0},
    };
    bool stopped = igb_queues_stop(g, q);

    return scrub(g, regs, ARRAY_SIZE(regs)) && stopped;
}

/* Masks, causes, moderation and allocation of its three vectors. */
static bool scrub_vectors(struct igb *g, unsigned vf)
{
    const struct scrubbed regs[] =
        {
            {IGB_PVTEIMS(vf), 0},    {IGB_PVTEIAC(vf), 0},    {IGB_PVTEIAM(vf), 0},
            {IGB_PVTEICR(vf), 0},    {IGB_VTIVAR(vf), 0},     {IGB_VTIVAR_MISC(vf), 0},
            {IGB_VT_EITR(vf, 0), 0}, {IGB_VT_EITR(vf, 1), 0}, {IGB_VT_EITR(vf, 2), 0},
            {IGB_PSRTYPE(vf), 0},    {IGB_IVAR(vf), 0}, /* last: a VF's writes, and those above, may only ever add to it */
        };

    igb_wr(g, IGB_PVTEIMC(vf), VT_VECTORS);
    igb_wr(g, IGB_PVTEICR(vf), VT_VECTORS);
    return scrub(g, regs, ARRAY_SIZE(regs));
}

static void forget_requests(struct igb_vf *s)
{
    s->cts = false;
    s->mc_all = false;
    s->unread = false;
    s->mc_hashes = 0;
    s->extra_macs = 0;
    s->max_frame = 0;
    s->locked_out = 0;
    memcpy(s->mac, s->given, NIC_MAC_LEN);
}

/* What must read as zero of a clean VF, beside its queues and vectors. */
static bool filters_clean(const struct igb *g, unsigned vf)
{
    uint32_t left = igb_rd(g, IGB_VMOLR(vf)) & ~VMOLR_STRCRC;

    left |= igb_rd(g, IGB_VMVIR(vf)) | igb_rd(g, IGB_RAH(IGB_RAR_VF(vf)));
    for (unsigned i = 0; i < IGB_EXTRA_MACS; i++)
        left |= igb_rd(g, IGB_RAH(IGB_RAR_EXTRA(vf, i)));
    left |= (igb_rd(g, IGB_VFRE) | igb_rd(g, IGB_VFTE)) & IGB_BIT(vf);
    return left == 0 && igb_vlan_count(g, vf) == 0;
}

static bool scrub_filters(struct igb *g, unsigned vf)
{
    igb_rar_clear(g, IGB_RAR_VF(vf));
    for (unsigned i = 0; i < IGB_EXTRA_MACS; i++)
        igb_rar_clear(g, IGB_RAR_EXTRA(vf, i));
    igb_vlan_leave_all(g, vf);
    igb_wr(g, IGB_VMVIR(vf), 0);
    igb_wr(g, IGB_VMOLR(vf), VMOLR_STRCRC);
    return filters_clean(g, vf);
}

void igb_vf_clean(struct igb *g, unsigned vf)
{
    struct igb_vf *s = &g->vf[vf];
    uint64_t number = g->nic.events->resetting(&g->nic, vf);
    bool clean, had_multicast = s->mc_hashes != 0;

    s->closed = number == NIC_CHANNEL_CLOSED;
    if (s->closed)
        number = 0; /* its guest's driver goes on talking */
    igb_vf_enable(g, vf, false);
    clean = scrub_queue(g, vf);
    clean &= scrub_queue(g, vf + IGB_POOLS);
    clean &= scrub_vectors(g, vf);
    clean &= scrub_filters(g, vf);
    forget_requests(s);
    if (had_multicast)
        igb_mta_update(g);
    if (number == 0) {
        igb_mbx_scrub(g, vf);
    } else {
        s->tokens_at = s->tokens = 0; /* a full budget at its first message */
        clean &= igb_mbx_clean(g, vf);
    }
    if (!clean && !s->broken)
        printf("%s/%u: did not come clean out of its reset: cut off\n", g->nic.name, vf);
    s->broken = !clean;
    if (clean && number)
        g->nic.events->cleaned(&g->nic, vf, number);
}

/* --- the whole switch --- */

void igb_vmdq_setup(struct igb *g)
{
    for (unsigned i = 0; i < IGB_RARS; i++)
        igb_rar_clear(g, i);
    for (unsigned i = 0; i < IGB_VLVFS; i++)
        igb_wr(g, IGB_VLVF(i), 0);
    for (unsigned i = 0; i < IGB_VFTAS; i++)
        igb_wr(g, IGB_VFTA(i), 0);
    igb_mta_update(g);
    igb_wr(g, IGB_VFRE, IGB_BIT(IGB_PF_POOL));
    igb_wr(g, IGB_VFTE, IGB_BIT(IGB_PF_POOL));
    igb_switch_setup(g);
}

void igb_switch_setup(struct igb *g)
{
    uint32_t vfs = IGB_BIT(g->nic.channels) - 1;

    igb_wr(g, IGB_MRQC, MRQC_VMDQ);
    /* Unicast that no filter knows is nobody's. Broadcast and multicast are copied to all pools that want
     * them. */
    igb_wr(g, IGB_VT_CTL, IGB_PREP(VT_CTL_DEF_PL, IGB_PF_POOL) | VT_CTL_DIS_DEF_POOL | VT_CTL_RPL_EN);
    /* The PF may use any source address: it will speak for guests that are on the move. */
    igb_wr(g, IGB_DTXSWC,
           IGB_PREP(DTXSWC_MACAS, vfs) | IGB_PREP(DTXSWC_VLANAS, vfs) |
               (g->nic.vepa ? 0 : DTXSWC_LOOPBACK_EN));
    igb_wr(g, IGB_QDE, 0xffff); /* a queue without descriptors loses its own frames and holds up nobody's */
    igb_rar_check(g, IGB_RAR_PF, g->nic.mac, IGB_PF_POOL);
    igb_pf_update_pool(g, IGB_PF_POOL);
    igb_wr(g, IGB_RPLOLR, VMOLR_STRVLAN | VMOLR_STRCRC); /* a group's frames come to all pools alike */
    igb_wr(g, IGB_RLPML, IGB_JUMBO_MAX);
    igb_wr(g, IGB_RXCSUM, 0);
    igb_wr(g, IGB_RCTL, RCTL_RXEN | RCTL_LPE | RCTL_BAM | RCTL_VFE | RCTL_SECRC);
}
