/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of this folder share. */
#pragma once

#include "kernel/pci/pci.h"

/* One ECAM window, for buses first..last; the registers are those of the first one, NULL: behind the ports. */
struct ecam_window {
    volatile char *registers;
    uint16_t segment;
    uint8_t first, last;
};

#define ECAM_BUS_SIZE BIT(20)
#define ECAM_FN_SHIFT 12

/* Maps the windows that boot/ found in the MCFG; without one, segment 0 is reached through the ports. -ENOMEM. */
MUST_USE int ecam_init(const struct bootinfo *bi);

/* Window `i`, or NULL behind the last. */
const struct ecam_window *ecam_window(unsigned i);

/*
 * Reads and sizes the BARs at offset `off` of a function that does not decode them. The second half of a
 * 64-bit BAR, and a BAR that is not implemented, are left zero.
 */
void pci_size_bars(const struct pci_dev *d, unsigned off, struct pci_bar bars[PCI_BARS]);

/* Fills in what stands in the header, and the capabilities; d->rid is set. */
void pci_read_header(struct pci_dev *d);

/* Puts a function at the end of the list. */
void pci_add(struct pci_dev *d);

/* The bridge right above a bus, or NULL on a root bus. */
const struct pci_dev *pci_bridge_of(rid_t r);
