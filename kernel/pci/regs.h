/* SPDX-License-Identifier: BSD-2-Clause */
/* Configuration space. Names and section numbers: PCI Express Base Specification 5.0, chapters 7 and 9. */
#pragma once

#include "kernel/lib/types.h"

/* Common header, 7.5.1.1. */
#define PCI_COMMAND      0x04
#define PCI_COMMAND_MEM  BIT32(1)
#define PCI_COMMAND_BM   BIT32(2)
#define PCI_COMMAND_INTX BIT32(10)
#define PCI_CLASS_REV    0x08
#define PCI_BAR0         0x10

/* BAR, 7.5.1.2.1. */
#define PCI_BAR_TYPE     GENMASK32(2, 1)
#define PCI_BAR_TYPE_64  2
#define PCI_BAR_MEM_ATTR GENMASK32(3, 0)

/* MSI, 7.7.1: Message Control, and what follows it in the 64-bit format. */
#define PCI_MSI_CTRL    0x02
#define PCI_MSI_ENABLE  BIT32(0)
#define PCI_MSI_MMC     GENMASK32(3, 1)
#define PCI_MSI_MME     GENMASK32(6, 4)
#define PCI_MSI_64BIT   BIT32(7)
#define PCI_MSI_MESSAGE 0x04

/* MSI-X: Message Control, 7.7.2.2, and the table's entries, 7.7.2.5. */
#define PCI_MSIX_CTRL    0x02
#define PCI_MSIX_MASK    BIT32(14)
#define PCI_MSIX_ENABLE  BIT32(15)
#define MSIX_ENTRY_BYTES 16

/* PCI Express capability, 7.5.3. */
#define PCIE_DEVCAP       0x04
#define PCIE_DEVCAP_FLR   BIT32(28)
#define PCIE_DEVCTL       0x08
#define PCIE_DEVCTL_FLR   BIT32(15)
#define PCIE_DEVSTA       0x0a
#define PCIE_DEVSTA_TRPND BIT32(5)
