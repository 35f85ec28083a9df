/* SPDX-License-Identifier: BSD-2-Clause */
/* The least that makes VF 0 of a bare machine's 82576 send to itself: SR-IOV, link, VMDq, one pool (datasheet
 * sections 4.5, 7.10.3). */
#include "tests/guest/lib/vf.h"

#define PF_ID        0x10c98086u
#define SRIOV        0x160 /* capability: control +8, NumVFs +0x10, BARs +0x24 */
#define VF_BASE      0xe0000000u
#define VF_FIRST     0x80 /* devfn of VF 0 behind the PF's */
#define ECAM         0xb0000000u
#define CTRL         0x0000
#define CTRL_SLU     0x40u
#define CTRL_EXT     0x0018
#define CTRL_PFRSTD  (1u << 14)
#define MDIC         0x0020
#define MDIC_AUTONEG (1u << 26 | 1u << 21 | 0x1200u) /* write PHY 1 register 0: enable and restart */
#define RCTL         0x0100
#define TCTL         0x0400
#define TCTL_EN      2u
#define RCTL_EN      2u
#define DTXSWC       0x3500
#define DTXSWC_VEB   (1u << 31)
#define RAL0         0x5400
#define RAH0         0x5404
#define RAH_VALID    (1u << 31 | 1u << 18) /* pool 0 */
#define VMOLR0       0x5ad0
#define VMOLR_ALL    (1u << 27 | 1u << 24) /* BAM, AUPE */
#define MRQC         0x5818
#define MRQC_VMDQ    3u
#define VFRE         0x0c8c
#define VFTE         0x0c90

static void config_write(unsigned bdf, unsigned off, uint32_t v)
{
    mmio_write(ECAM + (bdf << 12) + off, v);
}

bool pf_start(struct vf *vf)
{
    unsigned bdf = 0;

    while (bdf < 256 && pci_read(bdf, 0, 4) != PF_ID)
        bdf++;
    if (bdf == 256)
        return false;
    uint32_t regs = pci_read(bdf, 0x10, 4) & ~15u;
    pci_write(bdf, 4, 2, 6);
    config_write(bdf, SRIOV + 0x10, 2);
    config_write(bdf, SRIOV + 0x24, VF_BASE);
    config_write(bdf, SRIOV + 0x30, VF_BASE + 0x100000);
    config_write(bdf, SRIOV + 8, 9); /* VF Enable, MSE */
    pci_write(bdf + VF_FIRST, 4, 2, 6);
    const uint32_t init[][2] = {
        {CTRL, CTRL_SLU},
        {CTRL_EXT, CTRL_PFRSTD},
        {MDIC, MDIC_AUTONEG},
        {MRQC, MRQC_VMDQ},
        {VFRE, 0xff},
        {VFTE, 0xff},
        {RAL0, 2},
        {RAH0, RAH_VALID},
        {VMOLR0, VMOLR_ALL},
        {DTXSWC, DTXSWC_VEB},
        {TCTL, TCTL_EN},
        {RCTL, RCTL_EN},
    };
    for (unsigned i = 0; i < sizeof(init) / sizeof(init[0]); i++)
        mmio_write(regs + init[i][0], init[i][1]);
    vf_init(vf, bdf + VF_FIRST, VF_BASE);
    vf->mac[0] = 2;
    return true;
}
