/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Configuration space through ECAM (PCI Express Base 5.0 7.2.2), or behind two ports where there is none (PCI 3.0
 * 3.2.2.3.2; what is behind the first 256 bytes reads as ones then). Offsets are naturally aligned and below 4096. Knows
 * no EFI type; memory is identity-mapped, and nobody else uses the ports meanwhile.
 */
#pragma once

#include "boot/bootinfo.h"

/* Whose windows are used. */
void pci_use(const struct boot_machine *m);

uint8_t pci_read8(uint32_t rid, unsigned off);
uint16_t pci_read16(uint32_t rid, unsigned off);
uint32_t pci_read32(uint32_t rid, unsigned off);
void pci_write16(uint32_t rid, unsigned off, uint16_t v);
void pci_write32(uint32_t rid, unsigned off, uint32_t v);
