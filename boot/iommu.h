/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the IVRS or the DMAR says about IOMMUs, as plain numbers for the hypervisor. Both tables are hostile until
 * checked; one that says something impossible is left out as a whole, with a warning that names it: the devices of a
 * unit that is left out would not be held back by anything. Knows no EFI type.
 */
#pragma once

#include "boot/acpi.h"

/* Fills in f->machine.iommu and f->remapping, after acpi_read(). Reads the bus numbers of bridges. */
void iommu_read(struct acpi_facts *f, const struct boot_mem *mem, size_t nmem,
                void (*warn)(const char *line));
