/* SPDX-License-Identifier: BSD-2-Clause */
/* The I/O domain: opens the NICs that the configuration lists, then turns the event loop for ever. */
#include "drivers/net/nic.h"
#include "drivers/stack/stack.h"
#include "drivers/svc/svc.h"
#include "drivers/sys/keep.h"
#include "drivers/sys/sys.h"
#include "vm/abi/hypercall.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALIVE_PERIOD_NS (100 * NS_PER_MS)

int main(void);

/* nics[i] is NIC i of the configuration; NULL if it could not be opened. */
static struct nic *nics[IODOM_NICS_MAX];
static unsigned nics_count;

static unsigned index_of(const struct nic *nic)
{
    unsigned i = 0;

    while (nics[i] != nic)
        i++;
    return i;
}

static void on_link(struct nic *nic)
{
    if (nic->link.up)
        printf("%s: link up %u Mb/s %s\n", nic->name, nic->link.mbps,
               nic->link.full_duplex ? "full" : "half");
    else
        printf("%s: link down\n", nic->name);
    stack_link(nic);
}

static bool on_channel(struct nic *nic, unsigned channel, bool ready)
{
    printf("%s/%u: %s\n", nic->name, channel, ready ? "driver is up" : "reset");
    return !ready || hypercall(HC_VF_STATUS, index_of(nic), channel, true) != -EBUSY;
}

static uint64_t on_resetting(struct nic *nic, unsigned channel)
{
    long number = hypercall(HC_VF_STATUS, index_of(nic), channel, false);

    return number == -EBUSY ? NIC_CHANNEL_CLOSED : number > 0 ? (uint64_t)number : 0;
}

/* Refused if the VF has been reset again: then it comes again. */
static void on_cleaned(struct nic *nic, unsigned channel, uint64_t number)
{
    (void)hypercall(HC_VF_CLEAN, index_of(nic), channel, number);
}

static const struct nic_events events = {
    .received = stack_received,
    .sent = stack_sent,
    .link = on_link,
    .channel = on_channel,
    .resetting = on_resetting,
    .cleaned = on_cleaned,
};

static void print_channel(const char *name, unsigned i, const struct iodom_vf *vf)
{
    printf("%s/%u: ", name, i);
    if (nic_mac_is_zero(vf->mac))
        printf("mac random");
    else
        printf("mac %02x:%02x:%02x:%02x:%02x:%02x", vf->mac[0], vf->mac[1], vf->mac[2], vf->mac[3],
               vf->mac[4], vf->mac[5]);
    if (vf->vlan)
        printf(", vlan %u", vf->vlan);
    printf(", ready\n");
}

static void open_nic(unsigned i, const struct iodom_nic *cfg)
{
    static struct nic_channel channel[IODOM_VFS_MAX];
    struct nic_config config = {.name = cfg->name,
                                .devfn = (i + 1) << 3,
                                .channels = cfg->vfs,
                                .vepa = cfg->mode == 1,
                                .channel = channel};
    struct stack_address address = {cfg->ip, cfg->netmask, cfg->gateway};
    struct nic *nic;
    int err;

    for (unsigned v = 0; v < cfg->vfs; v++) {
        memcpy(channel[v].mac, cfg->vf[v].mac, NIC_MAC_LEN);
        channel[v].vlan = cfg->vf[v].vlan;
    }
    if (nic_open(&config, &events, &nic) != 0)
        return;
    nics[i] = nic;
    err = nic->ops->start(nic);
    if (!err)
        err = stack_attach(nic, &address);
    if (err) {
        printf("%s: does not start (error %d)\n", cfg->name, -err);
        nics[i] = NULL;
        return;
    }
    printf("%s: mac %02x:%02x:%02x:%02x:%02x:%02x, driver %s, %u VFs\n", nic->name, nic->mac[0], nic->mac[1],
           nic->mac[2], nic->mac[3], nic->mac[4], nic->mac[5], nic->ops->driver, nic->channels);
    for (unsigned v = 0; v < cfg->vfs && !nic->taken_over; v++)
        print_channel(nic->name, v, &cfg->vf[v]);
    (void)hypercall(HC_NIC_READY, i, 0, 0);
    if (nic->link.up)
        on_link(nic);
}

static bool poll_all(void)
{
    bool more = false;

    for (unsigned i = 0; i < nics_count; i++)
        more |= nics[i] && nics[i]->ops->poll(nics[i]);
    return more;
}

static uint64_t arm_all(uint64_t deadline)
{
    for (unsigned i = 0; i < nics_count; i++) {
        uint64_t due = nics[i] ? nics[i]->ops->arm(nics[i]) : UINT64_MAX;

        if (due < deadline)
            deadline = due;
    }
    return deadline;
}

/* Now and then tells the hypervisor that the loop still turns; returns when next. */
static uint64_t tell_alive(void)
{
    static uint64_t due;

    if (clock_ns() >= due) {
        (void)hypercall(HC_ALIVE, ALIVE_LIMIT_MS, 0, 0);
        stack_keep();
        due = clock_ns() + ALIVE_PERIOD_NS;
    }
    return due;
}

int main(void)
{
    const struct iodom_info *cfg = sys_config();

    if (!cfg)
        sys_crash("no usable configuration (PVH module 0)");
    keep_init();
    srand((unsigned)clock_seed());
    buf_init();
    stack_init();
    nics_count = cfg->nnics;
    for (unsigned i = 0; i < cfg->nnics; i++)
        open_nic(i, &cfg->nic[i]);
    if (echo_start() != 0)
        printf("iodom: the echo service does not start\n");
    if (migrate_start(nics, nics_count) != 0)
        printf("iodom: no guest can be moved\n");
    migrate_poll(); /* a move that the last one died in comes before what guests ask for */
    for (;;) {
        bool more = poll_all();
        uint64_t deadline = stack_timers(), alive = tell_alive(), news = migrate_poll();

        more |= console_send();
        if (more)
            continue;
        deadline = alive < deadline ? alive : deadline;
        deadline = news < deadline ? news : deadline;
        /* Interrupts on, and only then the last look: what comes after it wakes us. */
        deadline = arm_all(deadline);
        if (!poll_all())
            sys_idle(deadline);
    }
}
