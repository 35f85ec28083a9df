/* SPDX-License-Identifier: BSD-2-Clause */
/* What guests reach with no exit: ports and MSRs. */
#pragma once

#include "boot/bootinfo.h"

/* Fills BOOT_MAPS_BYTES with the maps of the back end that `c` has. */
void permissions_fill(uint8_t *maps, const struct boot_cpu *c);
