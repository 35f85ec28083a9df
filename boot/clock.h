/* SPDX-License-Identifier: BSD-2-Clause */
/* How fast the processor's clocks run, by the ACPI PM timer. Knows no EFI type. */
#pragma once

#include "boot/bootinfo.h"

/*
 * Measures the TSC and the local APIC's timer against the PM timer at `port` for a 20th of a second and fills in
 * tsc_khz and apic_khz; leaves them 0 if the PM timer stands still. With the firmware gone: the APIC's timer is its.
 */
void clock_measure(uint16_t port, struct bootinfo *info);

/* Fills in wall_base_ns: the firmware's clock said `seconds` since 1970 (0: nothing) at `tsc`. After clock_measure(). */
void clock_set_wall(uint64_t seconds, uint64_t tsc, struct bootinfo *info);
