/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the I/O domain is told at start: PVH module 0 (struct hvm_modlist_entry) holds one struct iodom_info. NIC i of it is the
 * virtual PCI function 00:(i + 1).0.
 */
#pragma once

#include <stdint.h>

#define IODOM_INFO_MAGIC 0x4f464e494d4f4449ull
#define IODOM_NAME_MAX   16
#define IODOM_NICS_MAX   8
#define IODOM_VFS_MAX    256
#define IODOM_KEEP_MAX   16384 /* of HC_KEEP */

struct iodom_vf {
    uint8_t mac[6]; /* all zero: the driver gives the VF a random one */
    uint16_t vlan;  /* 0: none */
    uint8_t assigned; /* 1: a guest owns it */
    uint8_t pad[7];
};

struct iodom_nic {
    char name[IODOM_NAME_MAX];
    uint16_t vfs;  /* VFs that are enabled */
    uint16_t mode; /* 0 VEB, 1 VEPA */
    uint32_t ip, netmask, gateway; /* network byte order; ip 0: DHCP */
    struct iodom_vf vf[IODOM_VFS_MAX];
};

struct iodom_info {
    uint64_t magic;
    uint32_t size; /* of this structure */
    uint32_t nnics;
    uint32_t tsc_khz;
    uint32_t pad;
    struct iodom_nic nic[IODOM_NICS_MAX];
};
