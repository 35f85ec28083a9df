/* SPDX-License-Identifier: BSD-2-Clause */
/* Where guests' memory is in the machine's. Knows no EFI type. */
#pragma once

#include "boot/bootinfo.h"
#include <stdbool.h>
#include <stddef.h>

/*
 * Takes the guest's memory out of the free ranges, of which there may be `max`, in large pieces where there are some. False: there is not that much, and
 * nothing was taken, or there would be more pieces or ranges than allowed, which are lost then.
 */
bool ram_take(struct boot_guest *g, struct boot_range *free, uint64_t *count, size_t max);
