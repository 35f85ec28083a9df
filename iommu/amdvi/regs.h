/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * AMD I/O Virtualization Technology (IOMMU) Specification, publication 48882 rev. 3.08. Names are the
 * specification's; section numbers are its own.
 */
#pragma once

#include "kernel/lib/mmio.h"
#include "kernel/lib/types.h"

/* --- MMIO registers, 3.4 --- */
#define AMDVI_MMIO_SIZE 0x4000

static const reg64_t DEV_TAB_BASE = {0x0000};  /* RW */
static const reg64_t CMD_BUF_BASE = {0x0008};  /* RW; resets head and tail */
static const reg64_t EVT_LOG_BASE = {0x0010};  /* RW; resets head and tail */
static const reg64_t IOMMU_CONTROL = {0x0018}; /* RW */
static const reg64_t CMD_BUF_HEAD = {0x2000};  /* RW */
static const reg64_t CMD_BUF_TAIL = {0x2008};  /* RW */
static const reg64_t EVT_LOG_HEAD = {0x2010};  /* RW */
static const reg64_t EVT_LOG_TAIL = {0x2018};  /* RW */
static const reg64_t IOMMU_STATUS = {0x2020};  /* RO and W1C */

#define DEV_TAB_BASE_SIZE GENMASK(8, 0) /* 4 KiB pages less one */
#define AMDVI_BASE        GENMASK(51, 12)
#define AMDVI_RING_LEN    GENMASK(59, 56) /* ComLen, EventLen: log2 of the number of 16-byte entries */
#define AMDVI_RING_PTR    GENMASK(18, 4)  /* head and tail: byte offset */

#define CONTROL_IOMMU_EN    BIT(0)
#define CONTROL_HT_TUN_EN   BIT(1)
#define CONTROL_EVT_LOG_EN  BIT(2)
#define CONTROL_PASS_PW     BIT(8)
#define CONTROL_RES_PASS_PW BIT(9)
#define CONTROL_COHERENT    BIT(10)
#define CONTROL_ISOC        BIT(11)
#define CONTROL_CMD_BUF_EN  BIT(12)
#define CONTROL_GA_EN       BIT(17) /* with GAMEn = 0: 128-bit interrupt-remapping entries, no guest mode */
#define CONTROL_XT_EN       BIT(50) /* 32-bit destinations */

#define STATUS_EVT_OVERFLOW BIT(0) /* W1C */
#define STATUS_EVT_LOG_RUN  BIT(3) /* RO */

/* --- Device table entry, 2.2.2.1: four quadwords --- */
struct amdvi_dte {
    uint64_t q[4];
} __attribute__((aligned(32)));

_Static_assert(sizeof(struct amdvi_dte) == 32, "2.2.2.1");

#define DTE0_V    BIT(0)
#define DTE0_TV   BIT(1)
#define DTE0_MODE GENMASK(11, 9)
#define DTE0_ROOT GENMASK(51, 12)
#define DTE0_IR   BIT(61)
#define DTE0_IW   BIT(62)

#define DTE1_DOMAIN GENMASK(15, 0)

#define DTE2_IV           BIT(0)
#define DTE2_INT_TAB_LEN  GENMASK(4, 1) /* log2 of the number of entries */
#define INT_TAB_LEN_256   8
#define DTE2_INT_TAB_ROOT GENMASK(51, 6)
#define DTE2_INT_CTL      GENMASK(61, 60) /* of fixed and arbitrated interrupts */
#define INT_CTL_ABORT     0
#define INT_CTL_REMAP     2

/* --- I/O page table entry, 2.2.3 --- */
#define PTE_PR         BIT(0)
#define PTE_NEXT_LEVEL GENMASK(11, 9) /* 0: a leaf of this level's size */
#define PTE_FC         BIT(60)        /* the device's no-snoop request is overridden */
#define PTE_IR         BIT(61)
#define PTE_IW         BIT(62)

/* --- Interrupt remapping table entry, 128 bits, GuestMode = 0, 2.2.5.3 --- */
struct amdvi_irte {
    uint64_t q[2];
} __attribute__((aligned(16)));

_Static_assert(sizeof(struct amdvi_irte) == 16, "2.2.5.3");

#define IRTE0_REMAP_EN BIT(0)
#define IRTE0_DEST_LO  GENMASK(31, 8)
#define IRTE1_VECTOR   GENMASK(7, 0)
#define IRTE1_DEST_HI  GENMASK(63, 56)

#define DEST_LO GENMASK32(23, 0) /* of an x2APIC id */
#define DEST_HI GENMASK32(31, 24)

/* --- Commands, 2.4, and events, 2.5 --- */
struct amdvi_entry {
    uint64_t q[2];
};

_Static_assert(sizeof(struct amdvi_entry) == 16, "2.4, 2.5");

#define CMD_OPCODE            GENMASK(63, 60)
#define CMD_COMPLETION_WAIT   0x1
#define CMD_INVALIDATE_DEVTAB 0x2
#define CMD_INVALIDATE_PAGES  0x3
#define CMD_INVALIDATE_INTTAB 0x5
#define CMD_INVALIDATE_ALL    0x8
#define CMD_DEVICE_ID         GENMASK(15, 0)
#define CMD_DOMAIN_ID         GENMASK(47, 32)
#define CMD_WAIT_STORE        BIT(0)
#define CMD_WAIT_ADDR         GENMASK(51, 3)
#define CMD_PAGES_S           BIT(0)
#define CMD_PAGES_PDE         BIT(1)
#define CMD_PAGES_ALL         GENMASK(62, 12) /* with S: the whole address space */

#define EVT_DEVICE_ID GENMASK(15, 0)
#define EVT_I         BIT(51) /* interrupt request */
#define EVT_RW        BIT(53)
#define EVT_CODE      GENMASK(63, 60)

/* --- Flags of an IVHD, 5.2.2.1 --- */
#define IVHD_HT_TUN_EN   BIT32(0)
#define IVHD_PASS_PW     BIT32(1)
#define IVHD_RES_PASS_PW BIT32(2)
#define IVHD_ISOC        BIT32(3)
