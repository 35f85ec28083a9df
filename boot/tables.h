/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ACPI tables that a guest finds (ACPI 6.5 chapter 5): RSDP, XSDT, FADT (hardware-reduced, reset register,
 * sleep control), MADT and the DSDT (dsdt.asl: PCI root with its windows, COM1, RTC). They fill one page.
 */
#pragma once

#include <stdint.h>

#define TABLES_PAGE 4096

/*
 * Writes into the zeroed `page` what the guest finds at `at`: the RSDP first, and in the last 16 bytes, which
 * are the reset vector if the page ends at 1 MiB, code that resets the guest.
 */
void tables_write(uint8_t page[TABLES_PAGE], uint64_t at, unsigned vcpus, uint64_t memory);
