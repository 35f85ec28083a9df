/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the ACPI tables say about processors, power and PCI (ACPI 6.5 chapter 5). Tables are hostile until
 * checked: one that does not lie in listed memory, is too short or has a wrong checksum is left out, with a
 * warning that names it. IVRS and DMAR are iommu.h's to read. Knows no EFI type.
 */
#pragma once

#include "boot/bootinfo.h"
#include "boot/check.h"

/* A table that has been checked. */
struct acpi_table {
    const uint8_t *at;
    uint32_t length; /* 0: there is none */
};

struct acpi_facts {
    bool xsdt;     /* the root of all the others, without which there are none */
    uint32_t seen; /* kinds of tables */
    struct acpi_table ivrs, dmar;
    bool remapping; /* of IOMMUs, as far as the tables say; a VT-d unit's registers say the rest */
    struct boot_machine machine;
    unsigned nclaimed;
    struct boot_ids claimed[BOOT_UNITIES_MAX]; /* what the firmware keeps memory for, sound or not */
};

/*
 * Reads the tables that the RSDP at physical address `rsdp` leads to. `mem` says where memory is, `warn`
 * takes one line for each table that is refused. Memory is identity-mapped. `self` is this processor's local
 * APIC id: the first of the machine's, whether a table names it or not.
 */
void acpi_read(struct acpi_facts *f, uint64_t rsdp, uint32_t self, const struct boot_mem *mem, size_t nmem,
               void (*warn)(const char *line));

/* The number in `size` bytes at an offset; 0 beyond the end: older revisions of a table are shorter. */
uint64_t acpi_field(const struct acpi_table *t, uint32_t off, uint32_t size);
