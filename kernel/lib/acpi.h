/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "kernel/lib/types.h"

/* What every ACPI table but the RSDP and the FACS begins with (ACPI 6.5 5.2.6). */
struct acpi_header {
    char signature[4];
    uint32_t length;
    uint8_t revision, checksum;
    char oem_id[6], oem_table_id[8];
    uint32_t oem_revision;
    char creator_id[4];
    uint32_t creator_revision;
} __attribute__((packed));

_Static_assert(sizeof(struct acpi_header) == 36, "ACPI 6.5 table 5.4");
