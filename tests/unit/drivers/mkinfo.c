/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mkinfo FILE [VFS]: writes the configuration that the hypervisor would hand the I/O domain, so that iodom.elf can be booted
 * directly: qemu-system-x86_64 -kernel iodom.elf -initrd FILE. One NIC, lan0, by DHCP; VF i has the MAC 02:00:00:00:00:0(i+1),
 * VF 2 the VLAN 100, VF 3 no MAC of its own.
 */
#include "vm/abi/iodom.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <x86intrin.h>

/* The TSC of QEMU's TCG is the host's. */
static uint32_t measure_tsc_khz(void)
{
    struct timespec a, b, pause = {0, 100 * 1000 * 1000};
    unsigned long long from, to;

    clock_gettime(CLOCK_MONOTONIC, &a);
    from = __rdtsc();
    nanosleep(&pause, NULL);
    clock_gettime(CLOCK_MONOTONIC, &b);
    to = __rdtsc();
    return (uint32_t)((double)(to - from) * 1e6 / ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)));
}

int main(int argc, char **argv)
{
    static struct iodom_info info;
    FILE *f = argc > 1 ? fopen(argv[1], "wb") : NULL;
    unsigned vfs = argc > 2 ? (unsigned)atoi(argv[2]) : 4;

    if (!f)
        return fprintf(stderr, "usage: mkinfo FILE [VFS]\n"), 2;
    info.magic = IODOM_INFO_MAGIC;
    info.size = sizeof(info);
    info.nnics = 1;
    info.tsc_khz = measure_tsc_khz();
    strcpy(info.nic[0].name, "lan0");
    info.nic[0].vfs = (uint16_t)vfs;
    for (unsigned i = 0; i < vfs && i < IODOM_VFS_MAX; i++) {
        struct iodom_vf *vf = &info.nic[0].vf[i];

        vf->assigned = 1;
        vf->vlan = i == 2 ? 100 : 0;
        if (i != 3)
            memcpy(vf->mac, (uint8_t[]){2, 0, 0, 0, 0, (uint8_t)(i + 1)}, 6);
    }
    if (fwrite(&info, sizeof(info), 1, f) != 1 || fclose(f) != 0)
        return perror(argv[1]), 1;
    return 0;
}
