/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ACPI tables (ACPI 6.5 chapter 5): the copies that boot/ has made of those whose length and checksum are right.
 * What they say is hostile until checked. No AML is interpreted.
 */
#pragma once

#include "boot/bootinfo.h"
#include "kernel/lib/types.h"

struct acpi_header {
    char signature[4];
    uint32_t length;
    uint8_t revision, checksum;
    char oem_id[6], oem_table_id[8];
    uint32_t oem_revision, creator_id, creator_revision;
} __attribute__((packed));

_Static_assert(sizeof(struct acpi_header) == 36, "ACPI 6.5 table 5.4");

/* Looks the tables up, and how this machine is powered off and reset. Boot CPU, once, after paging_init(). */
void acpi_init(const struct bootinfo *bi);

/* The table with this signature, or NULL. Lives for ever. */
const struct acpi_header *acpi_find(const char signature[4]);

/* The number in `size` bytes (up to 8) at an offset of a table, aligned or not; 0 beyond its end, or if `h` is
 * NULL. */
uint64_t acpi_field(const struct acpi_header *h, size_t off, size_t size);

/* Local APIC ids of the usable processors (MADT, boot CPU included), at most `max`; returns how many there
 * are. */
unsigned acpi_cpus(uint32_t *apic_ids, unsigned max);

/* PM timer port from the FADT, or 0. */
uint16_t acpi_pm_timer_port(void);

/*
 * Powers the machine off through PM1_CNT and the \_S5 package (ACPI 6.5 4.8.3.2, 7.4.2); resets it through
 * the FADT's reset register or a triple fault. What waits in the console goes out first, so the
 * caller does not hold its lock. Power-off returns if the machine has no way to.
 */
void acpi_power_off(void);
void acpi_reset(void);
