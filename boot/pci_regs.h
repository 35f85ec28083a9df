/* SPDX-License-Identifier: BSD-2-Clause */
/* Configuration space beyond kernel/pci/regs.h. Names and section numbers: PCI Express Base Specification 5.0, chapters 7 and 9. */
#pragma once

#include "kernel/pci/regs.h"

/* Common header, 7.5.1.1. */
#define PCI_VENDOR_ID       0x00
#define PCI_DEVICE_ID       0x02
#define PCI_COMMAND_IO      BIT32(0)
#define PCI_STATUS          0x06
#define PCI_STATUS_CAP_LIST BIT32(4)
#define PCI_HEADER_TYPE     0x0e
#define PCI_HEADER_LAYOUT   GENMASK32(6, 0)
#define PCI_HEADER_MULTI    BIT32(7)
#define PCI_SUBSYSTEM       0x2c
#define PCI_CAP_PTR         0x34
#define PCI_ABSENT          0xffff /* Vendor ID where there is no function; a VF's too */
#define PCI_LAYOUT_BRIDGE   1

/* BAR, 7.5.1.2.1. */
#define PCI_BAR_IO      BIT32(0)
#define PCI_BAR_IO_ATTR GENMASK32(1, 0)

/* Type 1 header, 7.5.1.3. */
#define PCI_SECONDARY_BUS     0x19
#define PCI_SUBORDINATE_BUS   0x1a
#define PCI_BRIDGE_CTRL       0x3e
#define PCI_BRIDGE_CTRL_RESET BIT32(6)

/* Capabilities. */
#define PCI_CAP_BASE         0x40
#define PCI_CAP_ALIGN        0xfcu /* the low bits are reserved */
#define PCI_CAP_ID_PM        0x01
#define PCI_CAP_ID_MSI       0x05
#define PCI_CAP_ID_PCIE      0x10
#define PCI_CAP_ID_MSIX      0x11
#define PCI_CAP_ID_AF        0x13
#define PCI_EXT_CAP_ID_ARI   0x000e
#define PCI_EXT_CAP_ID_SRIOV 0x0010
#define PCI_EXT_CAP_BASE     0x100
#define PCI_EXT_CAP_NEXT     GENMASK32(31, 20)

/* MSI-X, 7.7.2.2 and 7.7.2.3. */
#define PCI_MSIX_SIZE  GENMASK32(10, 0)
#define PCI_MSIX_TABLE 0x04
#define PCI_MSIX_BIR   GENMASK32(2, 0)

/* Power management, 7.5.2; Advanced Features (ECN of 2006). */
#define PCI_PM_CSR       0x04
#define PCI_PM_CSR_D3HOT GENMASK32(1, 0)
#define PCI_AF_CTRL      0x04
#define PCI_AF_CTRL_FLR  BIT32(0)

/* PCI Express capability, 7.5.3. */
#define PCIE_DEVCAP2         0x24
#define PCIE_DEVCAP2_ARI_FWD BIT32(5)
#define PCIE_DEVCTL2         0x28
#define PCIE_DEVCTL2_ARI_FWD BIT32(5)

/* SR-IOV capability, 9.3.3. */
#define SRIOV_CTRL            0x08
#define SRIOV_CTRL_VFE        BIT32(0)
#define SRIOV_CTRL_MSE        BIT32(3)
#define SRIOV_CTRL_ARI        BIT32(4)
#define SRIOV_TOTAL_VFS       0x0e
#define SRIOV_NUM_VFS         0x10
#define SRIOV_FIRST_VF_OFFSET 0x14
#define SRIOV_VF_STRIDE       0x16
#define SRIOV_VF_DEVICE_ID    0x1a
#define SRIOV_SYS_PAGE_SIZE   0x20
#define SRIOV_PAGE_4K         BIT32(0)
#define SRIOV_VF_BAR0         0x24
