/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/net/vf/announce.h"
#include <string.h>

enum { DESTINATION = 0, SOURCE = 6, TYPE = 12, SENDER = 22, TARGET = 32 };

void vf_announcement(uint8_t frame[ANNOUNCE_BYTES], const uint8_t mac[NIC_MAC_LEN])
{
    /* Ethertype RARP; hardware Ethernet, protocol IPv4, their lengths; operation 3, request reverse. */
    static const uint8_t head[] = {0x80, 0x35, 0, 1, 8, 0, NIC_MAC_LEN, 4, 0, 3};

    memset(frame, 0, ANNOUNCE_BYTES);
    memset(frame + DESTINATION, 0xff, NIC_MAC_LEN);
    memcpy(frame + SOURCE, mac, NIC_MAC_LEN);
    memcpy(frame + TYPE, head, sizeof(head));
    memcpy(frame + SENDER, mac, NIC_MAC_LEN);
    memcpy(frame + TARGET, mac, NIC_MAC_LEN);
}
