/* SPDX-License-Identifier: BSD-2-Clause */
/* The 82576 behind the NIC contract: opening, the event loop's hooks, channels. */
#include "drivers/net/igb/igb.h"
#include "drivers/net/igb/io.h"
#include "drivers/net/igb/move.h"
#include "drivers/sys/sys.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EVENTS_PERIOD_NS NS_PER_S /* however quiet the interrupt is */

/* A locally administered station address (IEEE 802, 8.2). */
static void random_mac(uint8_t mac[NIC_MAC_LEN])
{
    for (unsigned i = 0; i < NIC_MAC_LEN; i++)
        mac[i] = (uint8_t)(rand() >> 7);
    mac[0] = (uint8_t)((mac[0] & 0xfe) | 0x02);
}

static int igb_channel_set(struct nic *nic, unsigned channel, const struct nic_channel *policy)
{
    struct igb_vf *s;

    if (channel >= nic->channels || policy->vlan > 4094 ||
        (!nic_mac_is_zero(policy->mac) && !nic_mac_is_station(policy->mac)))
        return -EINVAL;
    s = &igb_of(nic)->vf[channel];
    s->policy = *policy;
    if (nic_mac_is_zero(policy->mac))
        random_mac(s->given);
    else
        memcpy(s->given, policy->mac, NIC_MAC_LEN);
    memcpy(s->mac, s->given, NIC_MAC_LEN);
    return 0;
}

static int igb_channel_enable(struct nic *nic, unsigned channel, bool on)
{
    struct igb *g = igb_of(nic);

    if (channel >= nic->channels)
        return -EINVAL;
    g->vf[channel].allowed = on;
    if (!on)
        igb_vf_clean(g, channel);
    return 0;
}

/* The order of the datasheet's initialization flow for IOV mode: queues and switch first, then "PF reset
 * done" for the VFs. */
static int start_anew(struct igb *g)
{
    int err;

    igb_forget(g); /* should we die over it, this state is nobody's to take over */
    err = igb_reset(g);
    if (err)
        return err;
    /* Not before the reset: the device may still hold addresses of whoever used it before. */
    pci_enable(g->devfn, PCI_COMMAND_MASTER);
    igb_vmdq_setup(g);
    for (unsigned vf = 0; vf < g->nic.channels; vf++)
        igb_vf_clean(g, vf);
    err = igb_rings_start(g);
    if (err)
        return err;
    err = igb_intr_setup(g);
    if (err)
        return err;
    igb_wr(g, IGB_CTRL_EXT, igb_rd(g, IGB_CTRL_EXT) | CTRL_EXT_PFRSTD);
    igb_mbx_mute(g, 0);
    return igb_link_start(g);
}

static int igb_start(struct nic *nic)
{
    struct igb *g = igb_of(nic);
    int err = igb_take_over(g);

    nic->taken_over = err == 0;
    if (err && err != -ENOENT)
        printf("%s: cannot be taken over (error %d): reset\n", nic->name, -err);
    if (err)
        err = start_anew(g);
    if (!err)
        igb_keep(g);
    return err;
}

static void igb_other_events(struct igb *g)
{
    (void)igb_rd(g, IGB_ICR); /* clears the causes; what happened is read from where it happened */
    igb_msg_poll(g);
    if (g->events_due > clock_ns() + EVENTS_PERIOD_NS)
        g->events_due = clock_ns() + EVENTS_PERIOD_NS;
    if (igb_link_update(g)) {
        g->nic.events->link(&g->nic);
        igb_msg_notify_link(g);
    }
    igb_keep(g);
}

static bool igb_poll(struct nic *nic)
{
    struct igb *g = igb_of(nic);
    bool more = igb_tx_reclaim(g);

    (void)irq_take(g->irq[IGB_VECTOR_QUEUES]);
    more |= igb_rx_poll(g);
    if (irq_take(g->irq[IGB_VECTOR_OTHER]) || clock_ns() >= g->events_due)
        igb_other_events(g);
    return more;
}

static uint64_t igb_arm(struct nic *nic)
{
    igb_intr_arm(igb_of(nic));
    return igb_of(nic)->events_due;
}

static const struct nic_ops igb_ops = {
    .driver = "igb",
    .start = igb_start,
    .poll = igb_poll,
    .arm = igb_arm,
    .transmit = igb_transmit,
    .channel_set = igb_channel_set,
    .channel_enable = igb_channel_enable,
    .vf = &igb_vf_ops,
};

static int igb_setup(struct igb *g, const struct nic_config *config)
{
    uint64_t bar = pci_bar(config->devfn, 0);
    int err = igb_rings_alloc(g);

    if (err)
        return err;
    for (unsigned i = 0; i < IGB_VECTORS; i++) {
        int irq = irq_alloc();

        if (irq < 0)
            return irq;
        g->irq[i] = (unsigned)irq;
    }
    for (unsigned vf = 0; vf < config->channels; vf++) {
        err = igb_channel_set(&g->nic, vf, &config->channel[vf]);
        if (err)
            return err;
        g->vf[vf].allowed = true;
    }
    if (!bar)
        return -ENXIO;
    g->regs = page_map_device(bar, IGB_BAR_SIZE);
    if (!g->regs)
        return -ENOMEM;
    pci_enable(config->devfn, PCI_COMMAND_MEMORY);
    return 0;
}

int igb_open(const struct nic_config *config, struct nic **out)
{
    struct igb *g;
    int err;

    if (config->channels > IGB_VFS_MAX) {
        printf("%s: %u VFs leave the 82576's physical function no queue: at most %u\n", config->name,
               config->channels, IGB_VFS_MAX);
        return -EINVAL;
    }
    g = calloc(1, sizeof(*g));
    if (!g)
        return -ENOMEM;
    g->nic.ops = &igb_ops;
    g->nic.name = config->name;
    g->nic.channels = config->channels;
    g->nic.vepa = config->vepa;
    g->devfn = config->devfn;
    err = igb_setup(g, config);
    if (err) {
        printf("%s: cannot set the 82576 up (error %d)\n", config->name, -err);
        return err; /* what was allocated stays: this happens at start only */
    }
    *out = &g->nic;
    return 0;
}
