/* SPDX-License-Identifier: BSD-2-Clause */
/* Accesses to configuration space. */
#include "kernel/pci/pci.h"

#define ACCESSORS(bits)                                                                                      \
    uint##bits##_t pci_read##bits(const struct pci_dev *d, unsigned off)                                     \
    {                                                                                                        \
        return d->regs ? *(volatile uint##bits##_t *)(d->regs + (off & PAGE_MASK)) : (uint##bits##_t) ~0u;   \
    }                                                                                                        \
    void pci_write##bits(const struct pci_dev *d, unsigned off, uint##bits##_t v)                            \
    {                                                                                                        \
        if (d->regs)                                                                                         \
            *(volatile uint##bits##_t *)(d->regs + (off & PAGE_MASK)) = v;                                   \
    }
ACCESSORS(16)
ACCESSORS(32)
