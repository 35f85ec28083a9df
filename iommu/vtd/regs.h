/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Intel Virtualization Technology for Directed I/O, architecture specification, order number D51397, revision
 * 4.1. Names are the specification's; section numbers are its own.
 */
#pragma once

#include "kernel/lib/mmio.h"

/* --- Registers, 11.4 --- */
#define VTD_MMIO_SIZE 0x5000 /* the last fault record lies below: FRO and NFR have 10 and 8 bits */

static const reg64_t CAP = {0x08};     /* RO */
static const reg64_t ECAP = {0x10};    /* RO */
static const reg32_t GCMD = {0x18};    /* WO */
static const reg32_t GSTS = {0x1c};    /* RO */
static const reg64_t RTADDR = {0x20};  /* RW */
static const reg32_t FSTS = {0x34};    /* RO and W1C */
static const reg32_t FECTL = {0x38};   /* RW */
static const reg32_t FEDATA = {0x3c};  /* RW */
static const reg32_t FEADDR = {0x40};  /* RW */
static const reg32_t FEUADDR = {0x44}; /* RW */
static const reg64_t IQT = {0x88};     /* RW */
static const reg64_t IQA = {0x90};     /* RW */
static const reg64_t IRTA = {0xb8};    /* RW */

#define CAP_SAGAW_39 BIT(9) /* three levels */
#define CAP_SAGAW_48 BIT(10)
#define CAP_FRO      GENMASK(33, 24) /* in 16 bytes */
#define CAP_SLLPS_2M BIT(34)
#define CAP_SLLPS_1G BIT(35)
#define CAP_PSI      BIT(39)
#define CAP_NFR      GENMASK(47, 40) /* less one */
#define CAP_MAMV     GENMASK(53, 48)
#define CAP_DWD      BIT(54)
#define CAP_DRD      BIT(55)

#define ECAP_C  BIT(0) /* the unit's reads of its tables are snooped */
#define ECAP_SC BIT(7)

/* The same bits of GCMD and GSTS; where the command says "set", the status says "is set". */
#define G_TE      BIT32(31)
#define G_SRTP    BIT32(30)
#define G_QIE     BIT32(26)
#define G_IRE     BIT32(25)
#define G_SIRTP   BIT32(24)
#define G_CFI     BIT32(23)
#define G_LASTING (G_TE | G_QIE | G_IRE | G_CFI) /* the others are done once */

#define FSTS_PFO BIT32(0) /* W1C */
#define FSTS_IQE BIT32(4) /* W1C */
#define FSTS_ICE BIT32(5) /* W1C */
#define FSTS_ITE BIT32(6) /* W1C */
#define FECTL_IM BIT32(31)

#define IRTA_EIME BIT(11)
#define IRTA_S    GENMASK(3, 0) /* 2 << S entries */

/* Fault record, 11.4.14: two quadwords */
#define FRCD_FI     GENMASK(63, 12)
#define FRCD_INDEX  GENMASK(63, 48) /* of FI, if it is an interrupt's */
#define FRCD_HI_SID GENMASK(15, 0)
#define FRCD_HI_FR  GENMASK(39, 32)
#define FRCD_HI_T1  BIT(62) /* a read, or an atomic operation */
#define FRCD_HI_F   BIT(63) /* W1C */

/* --- Root entry, 9.1; context entry, 9.3 --- */
struct vtd_entry {
    uint64_t q[2];
} __attribute__((aligned(16)));

_Static_assert(sizeof(struct vtd_entry) == 16, "9.1, 9.3, 9.10, 6.5.2");

#define ROOT_P BIT(0)

#define CTX0_P    BIT(0) /* with TT = 0: requests that say they are translated are blocked */
#define CTX0_ROOT GENMASK(63, 12)
#define CTX1_AW   GENMASK(2, 0) /* levels less two */
#define CTX1_DID  GENMASK(23, 8)

/* --- Second-stage paging entry, 9.8 --- */
#define SS_R   BIT(0)
#define SS_W   BIT(1)
#define SS_PS  BIT(7)
#define SS_SNP BIT(11) /* if ECAP has SC */

/* --- Interrupt-remapping entry, remapped format, 9.10 --- */
#define IRTE0_P   BIT(0)
#define IRTE0_V   GENMASK(23, 16)
#define IRTE0_DST GENMASK(63, 32)
#define IRTE1_SID GENMASK(15, 0)
#define IRTE1_SVT GENMASK(19, 18)
#define SVT_SID   1
#define SVT_BUSES 2 /* the id's bus lies between SID's upper and lower byte */

/* Address of an interrupt in remappable format, 5.1.2.2; SHV = 0, so the data are 0 */
#define MSI_ADDRESS    0xfee00000
#define MSI_REMAPPABLE BIT(4)
#define MSI_SUBHANDLE  BIT(3)
#define MSI_HANDLE_LO  GENMASK(19, 5)
#define MSI_HANDLE_HI  BIT(2)

/* --- Invalidation descriptors, 6.5.2 --- */
#define INV_CONTEXT   0x1
#define INV_IOTLB     0x2
#define INV_IEC       0x4
#define INV_WAIT      0x5
#define INV_G         GENMASK(5, 4) /* of context and IOTLB */
#define G_GLOBAL      1
#define G_DOMAIN      2
#define G_PAGES       3
#define INV_DRAIN_W   BIT(6)
#define INV_DRAIN_R   BIT(7)
#define INV_DID       GENMASK(31, 16)
#define INV1_AM       GENMASK(5, 0)   /* 1 << AM pages */
#define INV_IEC_INDEX BIT(4)          /* otherwise all */
#define INV_IEC_IM    GENMASK(31, 27) /* 1 << IM entries */
#define INV_IEC_IIDX  GENMASK(47, 32)
#define INV_WAIT_SW   BIT(5)
#define INV_WAIT_DATA GENMASK(63, 32)
