/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the ACPI tables say about processors, IOMMU and PCI (ACPI 6.5 chapter 5). Tables are hostile until
 * checked: one that does not lie in listed memory, is too short or has a wrong checksum is left out, with a
 * warning that names it. Knows no EFI type.
 */
#pragma once

#include "boot/bootinfo.h"
#include "boot/check.h"

#define ACPI_UNITS_MAX 32

struct acpi_facts {
    bool xsdt;     /* the root of all the others, without which there are none */
    uint32_t seen; /* kinds of tables */
    enum boot_iommu iommu;
    bool remapping; /* as far as the tables say; a VT-d unit's registers say the rest */
    unsigned nunits;
    uint64_t unit[ACPI_UNITS_MAX]; /* where the registers of IOMMUs are */
    struct boot_machine machine;
    unsigned ntables;
    struct boot_table table[BOOT_TABLES_MAX]; /* the checked ones that the hypervisor reads, where they are */
};

/*
 * Reads the tables that the RSDP at physical address `rsdp` leads to. `mem` says where memory is, `warn`
 * takes one line for each table that is refused. Memory is identity-mapped.
 */
void acpi_read(struct acpi_facts *f, uint64_t rsdp, const struct boot_mem *mem, size_t nmem,
               void (*warn)(const char *line));
