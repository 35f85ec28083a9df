/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lwIP's network interface on a NIC. Receive buffers go up without a copy, wrapped in a custom pbuf and freed
 * to their pool when lwIP lets go; frames to send keep their pbuf until the NIC has sent them.
 */
#include "lwip/netif.h"
#include "drivers/stack/stack.h"
#include "drivers/sys/keep.h"
#include "drivers/sys/sys.h"
#include "lwip/dhcp.h"
#include "lwip/etharp.h"
#include "lwip/init.h"
#include "lwip/prot/dhcp.h"
#include "lwip/sys.h"
#include "lwip/timeouts.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

struct rx_pbuf {
    struct pbuf_custom custom; /* first: lwIP's pointer is ours */
    struct nic_buf *buf;
};

static struct netif netifs[IODOM_NICS_MAX];
static unsigned netifs_used;
static struct rx_pbuf rx_pbufs[BUF_COUNT];

u32_t sys_now(void)
{
    return (u32_t)(clock_ns() / NS_PER_MS);
}

static void rx_pbuf_free(struct pbuf *p)
{
    buf_free(((struct rx_pbuf *)(void *)p)->buf);
}

void stack_received(struct nic *nic, struct nic_buf *buf)
{
    struct netif *netif = nic->user;
    struct rx_pbuf *r = &rx_pbufs[buf->index];
    struct pbuf *p;

    r->buf = buf;
    r->custom.custom_free_function = rx_pbuf_free;
    p = pbuf_alloced_custom(PBUF_RAW, buf->len, PBUF_REF, &r->custom, buf->data, BUF_SIZE);
    if (!p)
        buf_free(buf);
    else if (netif->input(p, netif) != ERR_OK)
        pbuf_free(p);
}

void stack_sent(struct nic *nic, void *cookie)
{
    (void)nic;
    pbuf_free(cookie);
}

/* The chain as it is, or its copy in one piece if it has too many. The caller owns the reference. */
static struct pbuf *sendable(struct pbuf *p)
{
    if (pbuf_clen(p) > NIC_FRAGS_MAX)
        return pbuf_clone(PBUF_RAW, PBUF_RAM, p);
    pbuf_ref(p);
    return p;
}

static err_t link_output(struct netif *netif, struct pbuf *p)
{
    struct nic *nic = netif->state;
    struct nic_frag frag[NIC_FRAGS_MAX];
    unsigned n = 0;

    p = sendable(p);
    if (!p)
        return ERR_MEM;
    for (struct pbuf *q = p; q; q = q->next)
        frag[n++] = (struct nic_frag){q->payload, q->len};
    if (nic->ops->transmit(nic, frag, n, p) == 0)
        return ERR_OK;
    pbuf_free(p);
    return ERR_MEM;
}

static void address_changed(struct netif *netif)
{
    const struct nic *nic = netif->state;
    char text[IP4ADDR_STRLEN_MAX];
    unsigned bits = 0;

    if (ip4_addr_isany_val(*netif_ip4_addr(netif)))
        return;
    for (u32_t m = lwip_ntohl(ip4_addr_get_u32(netif_ip4_netmask(netif))); m; m <<= 1)
        bits++;
    printf("%s: address %s/%u (%s)\n", nic->name, ip4addr_ntoa_r(netif_ip4_addr(netif), text, sizeof(text)),
           bits, dhcp_supplied_address(netif) ? "DHCP" : "configured");
}

static err_t netif_setup(struct netif *netif)
{
    struct nic *nic = netif->state;

    netif->name[0] = 'n';
    netif->name[1] = 'i';
    netif->hostname = "lastmile";
    netif->mtu = 1500;
    netif->hwaddr_len = NIC_MAC_LEN;
    memcpy(netif->hwaddr, nic->mac, NIC_MAC_LEN);
    netif->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET;
    netif->output = etharp_output;
    netif->linkoutput = link_output;
    return ERR_OK;
}

/* --- an address that DHCP gave to the last incarnation --- */

#define LEASE_VERSION 1

struct lease {
    struct stack_address address;
    uint32_t end; /* minute of clock_board_s() */
};

static uint32_t board_minute(void)
{
    return (uint32_t)(clock_board_s() / DHCP_COARSE_TIMER_SECS);
}

void stack_keep(void)
{
    for (unsigned i = 0; i < netifs_used; i++) {
        const struct netif *n = &netifs[i];
        const struct dhcp *d = netif_dhcp_data(n);
        struct lease l = {.address = {n->ip_addr.addr, n->netmask.addr, n->gw.addr}};

        if (!d || !dhcp_supplied_address(n))
            continue;
        l.end = board_minute() + (d->t0_timeout > d->lease_used ? d->t0_timeout - d->lease_used : 0);
        (void)keep_put(KEEP_LEASE, i, LEASE_VERSION, &l, sizeof(l));
    }
}

/* A lease that has not ended, or nothing. */
static struct lease lease_kept(unsigned i)
{
    struct lease l;
    uint32_t now = board_minute();

    if (!keep_get(KEEP_LEASE, i, LEASE_VERSION, &l, sizeof(l)) || l.end <= now || l.end - now > UINT16_MAX)
        return (struct lease){0};
    l.end -= now;
    return l;
}

/* Just started, without a link. When the link comes, its owner asks whether it may keep it (RFC 2131 3.2), and uses it meanwhile. */
static void lease_resume(struct netif *netif, const struct lease *l)
{
    struct dhcp *d = netif_dhcp_data(netif);

    d->offered_ip_addr.addr = l->address.ip;
    d->offered_sn_mask.addr = l->address.netmask;
    d->offered_gw_addr.addr = l->address.gateway;
    d->t0_timeout = (u16_t)l->end;
    d->state = DHCP_STATE_BOUND;
}

void stack_init(void)
{
    lwip_init();
}

int stack_attach(struct nic *nic, const struct stack_address *address)
{
    struct netif *netif = &netifs[netifs_used];
    struct lease lease = address->ip ? (struct lease){*address, 0} : lease_kept(netifs_used);
    ip4_addr_t ip = {lease.address.ip}, mask = {lease.address.netmask}, gateway = {lease.address.gateway};

    if (netifs_used == IODOM_NICS_MAX)
        return -ENOSPC;
    if (!netif_add(netif, &ip, &mask, &gateway, nic, netif_setup, netif_input))
        return -EIO;
    netifs_used++;
    nic->user = netif;
    netif_set_status_callback(netif, address_changed);
    if (netifs_used == 1)
        netif_set_default(netif);
    netif_set_up(netif);
    if (!address->ip && dhcp_start(netif) != ERR_OK)
        return -ENOMEM;
    if (!address->ip && lease.address.ip)
        lease_resume(netif, &lease);
    return 0;
}

void stack_link(struct nic *nic)
{
    if (nic->link.up)
        netif_set_link_up(nic->user);
    else
        netif_set_link_down(nic->user);
}

uint64_t stack_timers(void)
{
    u32_t wait;

    sys_check_timeouts();
    wait = sys_timeouts_sleeptime();
    return wait == SYS_TIMEOUTS_SLEEPTIME_INFINITE ? UINT64_MAX : clock_ns() + wait * NS_PER_MS;
}
