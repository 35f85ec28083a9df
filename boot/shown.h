/* SPDX-License-Identifier: BSD-2-Clause */
/* What a VM sees of a function's configuration space. Knows no EFI type. */
#pragma once

#include "boot/bootinfo.h"
#include <stdbool.h>

/*
 * Finds d->msix_* and makes the function's virtual configuration space, capability by capability from an allow-list; d->reset is known. False: its MSI-X
 * capability is nonsense, and is left out.
 */
bool shown_fill(struct boot_pci *d, struct boot_shown *s);
