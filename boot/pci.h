/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PCI functions through ECAM, as far as the checks before the hand-off need them (PCI Express Base 6.0,
 * section 7). Knows no EFI type.
 */
#pragma once

#include "boot/acpi.h"

/*
 * Fills `f` with what the function `rid` (segment << 16 | bus << 8 | devfn) is; f->found says whether there
 * is one.
 */
void pci_nic_facts(const struct acpi_facts *a, uint32_t rid, struct nic_facts *f);

/*
 * Looks for the function whose permanent MAC is `mac`. Only kinds of NIC whose address can be read without a
 * driver are looked at: the Intel 82576. False if there is none.
 */
bool pci_find_mac(const struct acpi_facts *a, const uint8_t mac[6], uint32_t *rid);

/*
 * The largest stretch under 4 GiB, above the lowest address where no more RAM follows, that neither the
 * memory map nor a BAR nor a bridge's window takes: where VF BARs could go. Sizes the BARs: nothing may use a
 * device meanwhile.
 */
uint64_t pci_mmio32_gap(const struct acpi_facts *a, const struct boot_mem *mem, size_t nmem);
