/* SPDX-License-Identifier: BSD-2-Clause */
/* Choices for lwIP (its opt.h documents each): no threads, IPv4, raw API, static memory of known size. */
#pragma once

#define NO_SYS               1
#define SYS_LIGHTWEIGHT_PROT 0
#define LWIP_NETCONN         0
#define LWIP_SOCKET          0
#define LWIP_TIMEVAL_PRIVATE 0
#define LWIP_NO_CTYPE_H      0
#define LWIP_NETIF_HOSTNAME  1

#define LWIP_IPV4                1
#define LWIP_IPV6                0
#define LWIP_RAW                 0
#define LWIP_ICMP                1
#define LWIP_UDP                 1
#define LWIP_TCP                 1
#define LWIP_DHCP                1
#define DHCP_DOES_ARP_CHECK      0 /* up to lwIP 2.1 */
#define LWIP_ACD                 0 /* from lwIP 2.2 */
#define LWIP_DHCP_DOES_ACD_CHECK 0

#define LWIP_NETIF_STATUS_CALLBACK 1
#define LWIP_NETIF_LINK_CALLBACK   0
#define LWIP_SUPPORT_CUSTOM_PBUF   1

#define MEM_ALIGNMENT    8
#define MEM_SIZE         (1024 * 1024)
#define MEMP_NUM_PBUF    256
#define MEMP_NUM_TCP_PCB 32
#define MEMP_NUM_TCP_SEG 512
#define MEMP_NUM_UDP_PCB 8
#define PBUF_POOL_SIZE   64

#define TCP_MSS            1460
#define TCP_WND            (44 * TCP_MSS)
#define TCP_SND_BUF        (44 * TCP_MSS)
#define TCP_SND_QUEUELEN   (4 * TCP_SND_BUF / TCP_MSS)
#define TCP_LISTEN_BACKLOG 1

#define LWIP_STATS            0
#define LWIP_CHECKSUM_ON_COPY 1
