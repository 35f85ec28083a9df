/* SPDX-License-Identifier: BSD-2-Clause */
/* Configuration space. Names and section numbers: PCI Express Base Specification 5.0, chapters 7 and 9. */
#pragma once

#include "kernel/lib/types.h"

/* Common header, 7.5.1.1. */
#define PCI_COMMAND         0x04
#define PCI_COMMAND_MEM     BIT32(1)
#define PCI_COMMAND_BM      BIT32(2)
#define PCI_STATUS          0x06
#define PCI_STATUS_CAP_LIST BIT32(4)
#define PCI_CLASS_REV       0x08
#define PCI_BAR0            0x10
#define PCI_CAP_PTR         0x34

/* BAR, 7.5.1.2.1. */
#define PCI_BAR_TYPE     GENMASK32(2, 1)
#define PCI_BAR_TYPE_64  2
#define PCI_BAR_MEM_ATTR GENMASK32(3, 0)

/* Type 1 header, 7.5.1.3. */
#define PCI_BRIDGE_CTRL       0x3e
#define PCI_BRIDGE_CTRL_RESET BIT32(6)

/* MSI and MSI-X Message Control, 7.7.1.2 and 7.7.2.2. */
#define PCI_MSI_CTRL    0x02
#define PCI_MSI_ENABLE  BIT32(0)
#define PCI_MSIX_CTRL   0x02
#define PCI_MSIX_ENABLE BIT32(15)

/* Power management, 7.5.2; Advanced Features (ECN of 2006). */
#define PCI_PM_CSR       0x04
#define PCI_PM_CSR_D3HOT GENMASK32(1, 0)
#define PCI_AF_CTRL      0x04
#define PCI_AF_CTRL_FLR  BIT32(0)

/* PCI Express capability, 7.5.3. */
#define PCIE_DEVCAP       0x04
#define PCIE_DEVCAP_FLR   BIT32(28)
#define PCIE_DEVCTL       0x08
#define PCIE_DEVCTL_FLR   BIT32(15)
#define PCIE_DEVSTA       0x0a
#define PCIE_DEVSTA_TRPND BIT32(5)
