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

/* Where a function's 4 KiB are in memory; 0: behind the ports, or nowhere. */
uint64_t pci_address(uint32_t rid);

uint8_t pci_read8(uint32_t rid, unsigned off);
uint16_t pci_read16(uint32_t rid, unsigned off);
uint32_t pci_read32(uint32_t rid, unsigned off);
void pci_write16(uint32_t rid, unsigned off, uint16_t v);
void pci_write32(uint32_t rid, unsigned off, uint32_t v);
