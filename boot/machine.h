/* SPDX-License-Identifier: BSD-2-Clause */
/* Looks at the machine while the firmware still runs: CPUID, ACPI tables, PCI. Changes nothing that lasts, but for
 * machine_isolate() and machine_functions(). */
#pragma once

#include "boot/check.h"

/*
 * Fills `f` (file_bytes is the caller's), and boot.nic[].rid of each `mac =` NIC. Prints warnings. False if
 * something is so wrong that looking on makes no sense.
 */
bool machine_look(struct boot_facts *f, struct config *cfg, struct boot_error *err);

/* After machine_look(), when all else is well: what can be isolated in the machine, is. */
void machine_isolate(void);

/* The last step before the firmware is left: lists all PCI functions and enables the configured VFs. `info` has the memory map. */
bool machine_functions(struct bootinfo *info, struct boot_error *err);
