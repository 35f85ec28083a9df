/* SPDX-License-Identifier: BSD-2-Clause */
/* The fixed hardware that the FADT names (ACPI 6.5 4.8): power-off and reset. */
#pragma once

#include "boot/bootinfo.h"

/* Takes note of what boot/ hands over, which stays where it is. Boot CPU, once, after paging_init(). */
void acpi_init(const struct bootinfo *bi);

/*
 * Powers the machine off through PM1_CNT and the \_S5 package (ACPI 6.5 4.8.3.2, 7.4.2); resets it through
 * the FADT's reset register or a triple fault. What waits in the console goes out first, so the
 * caller does not hold its lock. Power-off returns if the machine has no way to.
 */
void acpi_power_off(void);
void acpi_reset(void);
