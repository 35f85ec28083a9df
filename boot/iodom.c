/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/iodom.h"
#include "boot/text.h"
#include <string.h>

#define IODOM_MEMORY ((uint64_t)16 << 20)

void iodom_guest(struct boot_guest *g)
{
    *g = (struct boot_guest){.memory = IODOM_MEMORY, .vcpus = 1, .on_crash = BOOT_CRASH_RESTART};
    text_copy(g->name, sizeof(g->name), "iodomain");
}

static void tell_nic(struct iodom_nic *out, const struct boot_nic *n)
{
    text_copy(out->name, sizeof(out->name), n->name);
    out->vfs = n->vfs;
    out->mode = n->mode;
    out->ip = n->ip;
    out->netmask = n->netmask;
    out->gateway = n->gateway;
}

static void tell_vf(struct iodom_info *info, const struct boot_vf *vf)
{
    struct iodom_vf *out = &info->nic[vf->nic].vf[vf->index];

    memcpy(out->mac, vf->mac, sizeof(out->mac));
    out->vlan = vf->vlan;
    out->assigned = 1;
}

_Static_assert(BOOT_NICS_MAX <= IODOM_NICS_MAX, "every NIC has a place");

void iodom_info(struct iodom_info *info, const struct boot_config *cfg)
{
    info->magic = IODOM_INFO_MAGIC;
    info->size = sizeof(*info);
    info->nnics = cfg->nnics;
    for (uint32_t i = 0; i < cfg->nnics; i++)
        tell_nic(&info->nic[i], &cfg->nic[i]);
    for (uint32_t g = 0; g < cfg->nguests; g++)
        for (uint32_t i = 0; i < cfg->guest[g].nvfs; i++)
            tell_vf(info, &cfg->guest[g].vf[i]);
}
