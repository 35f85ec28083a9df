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

/* A bridge, and the requester ids on the buses behind it. */
struct pci_bridge {
    uint32_t first, last;
    bool to_pci; /* from PCI Express to PCI */
};

/* False if there is no bridge, or none that the firmware has set up. */
bool pci_read_bridge(const struct acpi_facts *a, uint32_t rid, struct pci_bridge *b);

/* Calls `visit` for each bridge that pci_read_bridge() takes. */
void pci_each_bridge(const struct acpi_facts *a, void (*visit)(const struct pci_bridge *b, void *arg),
                     void *arg);

/*
 * Looks for the function whose permanent MAC is `mac`. Only kinds of NIC whose address can be read without a
 * driver are looked at: the Intel 82576. False if there is none.
 */
bool pci_find_mac(const struct acpi_facts *a, const uint8_t mac[6], uint32_t *rid);

/*
 * Finds free addresses below 4 GiB for the VF BARs of all NICs: clear of the memory map, ECAM, IOMMUs, BARs, and
 * windows of bridges that the NIC is not behind. Fills in cfg->nic[].vf_bar and nic[].vf_bars_placed. Returns the
 * length of the largest free stretch. Sizes the BARs: nothing may use a device meanwhile.
 */
uint64_t pci_place_vfs(const struct acpi_facts *a, const struct boot_mem *mem, size_t nmem,
                       struct boot_config *cfg, struct nic_facts *nic);
