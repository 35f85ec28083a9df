/* SPDX-License-Identifier: BSD-2-Clause */
/* The IOMMUs' registers, and which of them a function is behind. */
#pragma once

#include "boot/bootinfo.h"
#include <stdbool.h>
#include <stddef.h>

/*
 * Whether all units can do what iommu/ is written for: AMD-Vi with 128-bit remapping entries, x2APIC destinations and INVALIDATE_IOMMU_ALL; VT-d with
 * interrupt remapping to x2APIC ids, queued invalidation, 256 domains, no write buffer, and a page table format that they have in common.
 */
bool place_units_of_use(const struct boot_iommu *m);

/* Fills in `unit` and `alias` of each function. */
void place_functions(const struct boot_iommu *m, struct boot_pci *list, size_t count);
