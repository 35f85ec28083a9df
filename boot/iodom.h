/* SPDX-License-Identifier: BSD-2-Clause */
/* What the I/O domain is and what it is told, as far as the configuration says it. Knows no EFI type. */
#pragma once

#include "boot/bootinfo.h"
#include "vm/abi/iodom.h"

/* The I/O domain as a guest, without its start plan. */
void iodom_guest(struct boot_guest *g);

/* Fills *info, which is zero when it is given: all NICs of the configuration, in its order, and their VFs. */
void iodom_info(struct iodom_info *info, const struct boot_config *cfg);
