/* SPDX-License-Identifier: BSD-2-Clause */
/* What the guests' CPUID allows, for whoever checks a control register. The same for all guests. */
#pragma once

#include "kernel/lib/types.h"

/* Fills the table from this CPU's CPUID. At the creation of every VM; each time with the same values. */
void cpuid_init(void);

/* Bits that a guest may set in CR4, XCR0 and EFER (LMA included). */
uint64_t cpuid_cr4_valid(void);
uint64_t cpuid_xcr0_valid(void);
uint64_t cpuid_efer_valid(void);
