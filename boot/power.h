/* SPDX-License-Identifier: BSD-2-Clause */
/* Power-off (ACPI 6.5 4.8.3.2). */
#pragma once

#include "boot/bootinfo.h"

/* Has the chip set go to ACPI mode and fills in p->off and p->legacy. With the firmware gone; takes 100 ms at most. */
void power_prepare(struct boot_power *p, uint32_t tsc_khz);
