/* SPDX-License-Identifier: BSD-2-Clause */
/* lwIP on NICs: one netif per port. */
#pragma once

#include "drivers/net/nic.h"
#include <stdint.h>

/* Addresses in network byte order; ip 0: DHCP. */
struct stack_address {
    uint32_t ip, netmask, gateway;
};

void stack_init(void);

/* Puts an interface on the NIC. -ENOSPC */
int stack_attach(struct nic *nic, const struct stack_address *address);

/* Puts the leases that the interfaces have into the keepsake, if they changed; stack_attach() begins with the one that is there. */
void stack_keep(void);

/* For the NIC's events. */
void stack_received(struct nic *nic, struct nic_buf *buf);
void stack_sent(struct nic *nic, void *cookie);
void stack_link(struct nic *nic);

/* Runs what is due and returns when to call again (clock_ns). */
uint64_t stack_timers(void);
