/* SPDX-License-Identifier: BSD-2-Clause */
/* 82576 datasheet, sections 4.5 and 7.10.3. */
#include "tests/guest/attack/iodom.h"
#include "vm/abi/hypercall.h"
#include "vm/abi/iodom.h"

#define PF_ID        0x10c98086u
#define PF_POOL      7u /* pools from the number of VFs on are the PF's */
#define BAR0         0x10u
#define COMMAND      4u
#define MEMORY_ON    6u
#define CTRL         0x0000u
#define CTRL_SLU     0x40u
#define CTRL_EXT     0x0018u
#define CTRL_PFRSTD  (1u << 14)
#define MDIC         0x0020u
#define MDIC_AUTONEG (1u << 26 | 1u << 21 | 0x1200u) /* write PHY 1 register 0: enable and restart */
#define RCTL         0x0100u
#define RCTL_ON      (1u << 15 | 2u) /* broadcasts too */
#define TCTL         0x0400u
#define TCTL_ON      2u
#define VFRE         0x0c8cu
#define VFTE         0x0c90u
#define DTXSWC       0x3500u
#define DTXSWC_VEB   (1u << 31)
#define RAL(n)       (0x5400u + 8 * (n))
#define RAH(n)       (0x5404u + 8 * (n))
#define RAH_VALID(n) (1u << 31 | 1u << (18 + (n)))
#define VMOLR(n)     (0x5ad0u + 4 * (n))
#define VMOLR_ALL    (1u << 27 | 1u << 24) /* broadcasts, frames without a VLAN */
#define MRQC         0x5818u
#define MRQC_VMDQ    3u
#define RX_QUEUE(n)  (0xc000u + 0x40 * (n))
#define TX_QUEUE(n)  (0xe000u + 0x40 * (n))
#define SETTLE_MS    2000
#define IODOM_RAM    (16u << 20) /* boot/iodom.c */

static void receive_address(uint64_t regs, unsigned pool, const uint8_t mac[6])
{
    uint32_t low, high = 0;

    memcpy(&low, mac, 4);
    memcpy(&high, mac + 4, 2);
    mmio_write(regs + RAL(pool), low);
    mmio_write(regs + RAH(pool), high | RAH_VALID(pool));
    mmio_write(regs + VMOLR(pool), VMOLR_ALL);
}

static void set_up(const struct vf *vf, const struct iodom_nic *nic)
{
    static const uint32_t init[][2] = {
        {CTRL, CTRL_SLU},     {CTRL_EXT, CTRL_PFRSTD}, {MDIC, MDIC_AUTONEG}, {MRQC, MRQC_VMDQ},
        {DTXSWC, DTXSWC_VEB}, {TCTL, TCTL_ON},         {RCTL, RCTL_ON},
    };

    for (unsigned i = 0; i < sizeof(init) / sizeof(init[0]); i++)
        mmio_write(vf->regs + init[i][0], init[i][1]);
    for (unsigned i = 0; i < nic->vfs && i < PF_POOL; i++)
        receive_address(vf->regs, i, nic->vf[i].mac);
    receive_address(vf->regs, PF_POOL, vf->mac);
}

/* A VF's reset, at its hand-over, switches its queues off; its next owner gets it when it is said to be clean. */
static void keep_vfs_on(const struct vf *vf, unsigned vfs)
{
    uint64_t end = time_ms() + SETTLE_MS;

    while (time_ms() < end) {
        mmio_write(vf->regs + VFRE, 0xff);
        mmio_write(vf->regs + VFTE, 0xff);
        for (unsigned i = 0; i < vfs; i++)
            hypercall(HC_VF_CLEAN, 0, i, (uint64_t)hypercall(HC_VF_STATUS, 0, i, 0));
        pause_ms(10);
    }
}

bool iodom_start(struct kit *k)
{
    const struct iodom_info *info = start_module(sizeof(*info));
    unsigned bdf = 0;

    if (!info || info->magic != IODOM_INFO_MAGIC)
        return false;
    k->ram_end = IODOM_RAM;
    while (bdf < 256 && pci_read(bdf, 0, 4) != PF_ID)
        bdf++;
    vf_init(&k->vf, bdf, pci_read(bdf, BAR0, 4) & ~15u);
    k->vf.rxq = RX_QUEUE(PF_POOL) - VF_RDBAL;
    k->vf.txq = TX_QUEUE(PF_POOL) - VF_TDBAL;
    memcpy(k->vf.mac, "\x02\x03\0\x03\0\xf3", 6);
    pci_write(bdf, COMMAND, 2, MEMORY_ON);
    set_up(&k->vf, &info->nic[0]);
    keep_vfs_on(&k->vf, info->nic[0].vfs);
    hypercall(HC_NIC_READY, 0, 0, 0);
    hypercall(HC_ALIVE, UINT32_MAX, 0, 0);
    keep_vfs_on(&k->vf, info->nic[0].vfs);
    return vf_wait_link(&k->vf);
}
