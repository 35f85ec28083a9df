/* SPDX-License-Identifier: BSD-2-Clause */
/* The frame that tells a network where a station is: a reverse ARP request (RFC 903), broadcast. */
#pragma once

#include "drivers/net/nic.h"

#define ANNOUNCE_BYTES 60

/* In the name of the station `mac`, which asks for its own address; nobody need answer. */
void vf_announcement(uint8_t frame[ANNOUNCE_BYTES], const uint8_t mac[NIC_MAC_LEN]);
