/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Intel 82576EB registers: names, offsets and fields of the datasheet (document 320961, revision 2.7),
 * chapter 8. Access: RW, RO, WO, RC read to clear, W1C write 1 to clear.
 */
#pragma once

#include <stdint.h>

/* A register's offset; a type of its own, so that it is not mixed up with a value. */
typedef struct {
    uint32_t off;
} igb_reg;

#define IGB_REG(off_)     ((igb_reg){off_})
#define IGB_BIT(n)        (1u << (n))
#define IGB_MASK(hi, lo)  ((0xffffffffu >> (31 - (hi))) & (0xffffffffu << (lo)))
#define IGB_PREP(mask, v) (((uint32_t)(v) * ((mask) & (0u - (mask)))) & (mask))
#define IGB_GET(mask, v)  (((uint32_t)(v) & (mask)) / ((mask) & (0u - (mask))))

#define IGB_BAR_SIZE 0x20000
#define IGB_POOLS    8  /* pool n = queues n and n + 8 */
#define IGB_RARS     24 /* receive addresses */
#define IGB_VLVFS    32
#define IGB_MTAS     128
#define IGB_VFTAS    128
#define IGB_EITRS    25

/* General */
#define IGB_CTRL          IGB_REG(0x0000) /* RW */
#define CTRL_FD           IGB_BIT(0)
#define CTRL_SLU          IGB_BIT(6)
#define CTRL_FRCSPD       IGB_BIT(11)
#define CTRL_FRCDPLX      IGB_BIT(12)
#define CTRL_RST          IGB_BIT(26)
#define IGB_STATUS        IGB_REG(0x0008) /* RO */
#define STATUS_FD         IGB_BIT(0)
#define STATUS_LU         IGB_BIT(1)
#define STATUS_SPEED      IGB_MASK(7, 6) /* 0: 10, 1: 100, 2 and 3: 1000 Mb/s */
#define IGB_EEC           IGB_REG(0x0010)
#define EEC_AUTO_RD       IGB_BIT(9)
#define IGB_CTRL_EXT      IGB_REG(0x0018) /* RW */
#define CTRL_EXT_PFRSTD   IGB_BIT(14)
#define CTRL_EXT_DRV_LOAD IGB_BIT(28)
#define IGB_MDIC          IGB_REG(0x0020) /* RW */
#define MDIC_DATA         IGB_MASK(15, 0)
#define MDIC_REGADD       IGB_MASK(20, 16)
#define MDIC_PHYADD       IGB_MASK(25, 21)
#define MDIC_OP_WRITE     IGB_BIT(26)
#define MDIC_OP_READ      IGB_BIT(27)
#define MDIC_READY        IGB_BIT(28)
#define MDIC_ERROR        IGB_BIT(30)

/* Interrupts */
#define IGB_ICR         IGB_REG(0x00c0) /* RC; these three at their aliases, which all models have */
#define IGB_IMS         IGB_REG(0x00d0) /* RW */
#define IGB_IMC         IGB_REG(0x00d8) /* WO */
#define ICR_LSC         IGB_BIT(2)
#define ICR_VMMB        IGB_BIT(8) /* mailbox event, or function-level reset of a VF */
#define IGB_GPIE        IGB_REG(0x1514)
#define GPIE_NSICR      IGB_BIT(0)
#define GPIE_MSIX_MODE  IGB_BIT(4)
#define GPIE_EIAME      IGB_BIT(30)
#define GPIE_PBA        IGB_BIT(31)
#define IGB_EIMS        IGB_REG(0x1524) /* RW: write 1 to set */
#define IGB_EIMC        IGB_REG(0x1528) /* WO */
#define IGB_EIAC        IGB_REG(0x152c)
#define IGB_EIAM        IGB_REG(0x1530)
#define IGB_EICR        IGB_REG(0x1580) /* RC, W1C */
#define IGB_EITR(n)     IGB_REG(0x1680 + 4 * (n))
#define EITR_INTERVAL   IGB_MASK(14, 2)           /* us */
#define IGB_IVAR(n)     IGB_REG(0x1700 + 4 * (n)) /* queues n and n + 8: RX n, TX n, RX n + 8, TX n + 8 */
#define IGB_IVAR_MISC   IGB_REG(0x1740)
#define IVAR_RX         IGB_MASK(7, 0)
#define IVAR_TX         IGB_MASK(15, 8)
#define IVAR_MISC_OTHER IGB_MASK(15, 8)
#define IVAR_VALID      0x80u

/* Receive */
#define IGB_RCTL           IGB_REG(0x0100)
#define RCTL_RXEN          IGB_BIT(1)
#define RCTL_LPE           IGB_BIT(5)
#define RCTL_BAM           IGB_BIT(15)
#define RCTL_VFE           IGB_BIT(18)
#define RCTL_SECRC         IGB_BIT(26)
#define IGB_QDE            IGB_REG(0x2408) /* queue drop enable, a bit per queue */
#define IGB_RXCSUM         IGB_REG(0x5000)
#define IGB_RLPML          IGB_REG(0x5004)
#define IGB_MTA(n)         IGB_REG(0x5200 + 4 * (n))
#define IGB_RAL(n)         IGB_REG((n) < 16 ? 0x5400 + 8 * (n) : 0x54e0 + 8 * ((n)-16))
#define IGB_RAH(n)         IGB_REG((n) < 16 ? 0x5404 + 8 * (n) : 0x54e4 + 8 * ((n)-16))
#define RAH_ADDRESS        IGB_MASK(15, 0)
#define RAH_POOLS          IGB_MASK(25, 18)
#define RAH_AV             IGB_BIT(31)
#define IGB_VFTA(n)        IGB_REG(0x5600 + 4 * (n))
#define IGB_PSRTYPE(n)     IGB_REG(0x5480 + 4 * (n))
#define IGB_MRQC           IGB_REG(0x5818)
#define MRQC_VMDQ          3u
#define IGB_RDBAL(q)       IGB_REG(0xc000 + 0x40 * (q))
#define IGB_RDBAH(q)       IGB_REG(0xc004 + 0x40 * (q))
#define IGB_RDLEN(q)       IGB_REG(0xc008 + 0x40 * (q))
#define IGB_SRRCTL(q)      IGB_REG(0xc00c + 0x40 * (q))
#define SRRCTL_BSIZEPACKET IGB_MASK(6, 0)  /* KiB */
#define SRRCTL_BSIZEHEADER IGB_MASK(11, 8) /* 64 bytes */
#define SRRCTL_DESCTYPE    IGB_MASK(27, 25)
#define SRRCTL_ADV_ONEBUF  1u
#define SRRCTL_ADV_SPLIT   2u
#define SRRCTL_ADV_ALWAYS  5u /* the header's buffer is always used */
#define SRRCTL_DROP_EN     IGB_BIT(31)
#define IGB_RDH(q)         IGB_REG(0xc010 + 0x40 * (q))
#define IGB_RXCTL(q)       IGB_REG(0xc014 + 0x40 * (q)) /* DCA and relaxed ordering */
#define IGB_RDT(q)         IGB_REG(0xc018 + 0x40 * (q))
#define IGB_RXDCTL(q)      IGB_REG(0xc028 + 0x40 * (q))
#define IGB_TXDCTL(q)      IGB_REG(0xe028 + 0x40 * (q))
#define XDCTL_PTHRESH      IGB_MASK(4, 0)
#define XDCTL_HTHRESH      IGB_MASK(12, 8)
#define XDCTL_WTHRESH      IGB_MASK(20, 16)
#define XDCTL_ENABLE       IGB_BIT(25)

/* Transmit */
#define IGB_TCTL      IGB_REG(0x0400)
#define TCTL_EN       IGB_BIT(1)
#define TCTL_PSP      IGB_BIT(3)
#define TCTL_CT       IGB_MASK(11, 4)
#define TCTL_BST      IGB_MASK(21, 12)
#define IGB_TDBAL(q)  IGB_REG(0xe000 + 0x40 * (q))
#define IGB_TDBAH(q)  IGB_REG(0xe004 + 0x40 * (q))
#define IGB_TDLEN(q)  IGB_REG(0xe008 + 0x40 * (q))
#define IGB_TDH(q)    IGB_REG(0xe010 + 0x40 * (q))
#define IGB_TXCTL(q)  IGB_REG(0xe014 + 0x40 * (q))
#define IGB_TDT(q)    IGB_REG(0xe018 + 0x40 * (q))
#define IGB_TDWBAL(q) IGB_REG(0xe038 + 0x40 * (q))
#define IGB_TDWBAH(q) IGB_REG(0xe03c + 0x40 * (q))

/* Virtualization */
#define IGB_VMBMEM(vf)         IGB_REG(0x0800 + 0x40 * (vf))
#define IGB_VMBMEM_WORD(vf, w) IGB_REG(0x0800 + 0x40 * (vf) + 4 * (w))
#define IGB_P2VMAILBOX(vf)     IGB_REG(0x0c00 + 4 * (vf))
#define P2V_STS                IGB_BIT(0)                 /* WO: message to the VF */
#define P2V_ACK                IGB_BIT(1)                 /* WO: its message was taken */
#define P2V_VFU                IGB_BIT(2)                 /* RO: the VF uses the buffer */
#define P2V_PFU                IGB_BIT(3)                 /* RW: the PF uses it; sticks only while VFU is 0 */
#define P2V_RVFU               IGB_BIT(4)                 /* WO: takes VFU away */
#define IGB_V2PMAILBOX(vf)     IGB_REG(0x0c40 + 4 * (vf)) /* the VF's side */
#define V2P_VFU                IGB_BIT(2)
#define V2P_PFSTS              IGB_BIT(4) /* RC, as is PFACK */
#define V2P_PFACK              IGB_BIT(5)
#define IGB_MBVFICR            IGB_REG(0x0c80) /* W1C */
#define MBVFICR_REQ            IGB_MASK(7, 0)
#define MBVFICR_ACK            IGB_MASK(23, 16)
#define IGB_MBVFIMR            IGB_REG(0x0c84)
#define IGB_VFLRE              IGB_REG(0x0c88) /* W1C */
#define IGB_VFRE               IGB_REG(0x0c8c)
#define IGB_VFTE               IGB_REG(0x0c90)
#define IGB_DTXSWC             IGB_REG(0x3500)
#define DTXSWC_MACAS           IGB_MASK(7, 0)
#define DTXSWC_VLANAS          IGB_MASK(15, 8)
#define DTXSWC_LOOPBACK_EN     IGB_BIT(31)
#define IGB_VMVIR(n)           IGB_REG(0x3700 + 4 * (n))
#define VMVIR_PORT_VLAN_ID     IGB_MASK(15, 0)
#define VMVIR_VLANA_DEFAULT    IGB_BIT(30)
#define IGB_VT_CTL             IGB_REG(0x581c)
#define VT_CTL_DEF_PL          IGB_MASK(9, 7)
#define VT_CTL_DIS_DEF_POOL    IGB_BIT(29)
#define VT_CTL_RPL_EN          IGB_BIT(30)
#define IGB_VMOLR(n)           IGB_REG(0x5ad0 + 4 * (n))
#define VMOLR_RLPML            IGB_MASK(13, 0)
#define VMOLR_LPE              IGB_BIT(16)
#define VMOLR_AUPE             IGB_BIT(24)
#define VMOLR_ROMPE            IGB_BIT(25)
#define VMOLR_BAM              IGB_BIT(27)
#define VMOLR_MPME             IGB_BIT(28)
#define VMOLR_STRVLAN          IGB_BIT(30)
#define VMOLR_STRCRC           IGB_BIT(31)
#define IGB_RPLOLR             IGB_REG(0x5af0) /* of copies: STRVLAN and STRCRC as in VMOLR */
#define IGB_VLVF(n)            IGB_REG(0x5d00 + 4 * (n))
#define VLVF_VLAN_ID           IGB_MASK(11, 0)
#define VLVF_POOLSEL           IGB_MASK(19, 12)
#define VLVF_VI_EN             IGB_BIT(31)
#define IGB_PVTEIMS(vf)        IGB_REG(0x10024 + 0x100 * (vf)) /* RW: write 1 to set */
#define IGB_PVTEIMC(vf)        IGB_REG(0x10028 + 0x100 * (vf)) /* WO */
#define IGB_PVTEIAC(vf)        IGB_REG(0x1002c + 0x100 * (vf))
#define IGB_PVTEIAM(vf)        IGB_REG(0x10030 + 0x100 * (vf))
#define IGB_PVTEICR(vf)        IGB_REG(0x10080 + 0x100 * (vf)) /* W1C */
#define IGB_VTIVAR(vf)         IGB_REG(0x11700 + 4 * (vf))
#define IGB_VTIVAR_MISC(vf)    IGB_REG(0x11720 + 4 * (vf))
#define VT_VECTORS             IGB_MASK(2, 0)
#define IGB_VT_BIT(vf)         (22 - 3 * (vf))               /* of its vector 0 in EIMS and EICR */
#define IGB_VT_EITR(vf, v)     IGB_EITR(22 - 3 * (vf) + (v)) /* of its vector v: 0 to 2 */

/* Statistics, all RC */
#define IGB_MPC IGB_REG(0x4010) /* missed: no room in the packet buffer */

/* PHY registers through MDIC (IEEE 802.3, 22.2.4) */
#define PHY_ADDRESS       1
#define PHY_CONTROL       0
#define PHY_CONTROL_ANEN  0x1000
#define PHY_CONTROL_ANRST 0x0200

/* Advanced receive descriptor, write-back form */
#define RXD_STATUS_DD  IGB_BIT(0)
#define RXD_STATUS_EOP IGB_BIT(1)
#define RXD_STATUS_VP  IGB_BIT(3) /* a VLAN tag was taken off: it is in `vlan` */
#define RXD_ERROR_RXE  IGB_BIT(31)
#define RXD_INFO_HDR   IGB_MASK(31, 21) /* of info: SPH and HDR_LEN */
#define RXD_INFO_HLEN  IGB_MASK(30, 21)

union igb_rxd {
    struct {
        uint64_t packet, header;
    } read;
    struct {
        uint64_t info;
        uint32_t status;
        uint16_t length, vlan;
    } wb;
};
_Static_assert(sizeof(union igb_rxd) == 16, "receive descriptor");

/* Advanced transmit data descriptor */
#define TXD_DTALEN    IGB_MASK(15, 0)
#define TXD_DTYP      IGB_MASK(23, 20)
#define TXD_DTYP_DATA IGB_PREP(TXD_DTYP, 3)
#define TXD_EOP       IGB_BIT(24)
#define TXD_IFCS      IGB_BIT(25)
#define TXD_RS        IGB_BIT(27)
#define TXD_DEXT      IGB_BIT(29)
#define TXD_PAYLEN    IGB_MASK(31, 14)
#define TXD_STATUS_DD IGB_BIT(0)

/* Advanced transmit context descriptor: IDX is in `status` */
#define TXD_DTYP_CONTEXT IGB_PREP(TXD_DTYP, 2)
#define TXD_CONTEXT_IDX  IGB_MASK(6, 4)

struct igb_txd {
    uint64_t buffer;
    uint32_t command, status; /* status: PAYLEN when given to the device, DD when it comes back */
};
_Static_assert(sizeof(struct igb_txd) == 16, "transmit descriptor");
