/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ACPI tables that a guest finds (ACPI 6.5 chapter 5): RSDP at TABLES_RSDP, XSDT, FADT (hardware-reduced, reset register, sleep control), MADT and the DSDT
 * (dsdt.asl: PCI root with its windows, COM1, RTC, processors).
 */
#pragma once

#include "kernel/lib/types.h"

struct vm;

#define TABLES_RSDP 0xe0000 /* in the range that a BIOS would use; reserved in the guest's memory map up to 1 MiB */

/* Ports that the FADT names; power.c answers there. */
#define POWER_SLEEP_CONTROL 0x600
#define POWER_SLEEP_STATUS  0x601
#define POWER_RESET         0xcf9
#define POWER_RESET_VALUE   0x06

/* Writes the tables into the guest's RAM. -EFAULT if the VM has less than 1 MiB of it. */
MUST_USE int tables_write(struct vm *vm);
