/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The last steps: everything that can fail is made ready while the firmware can still be told, then it is
 * left for good.
 */
#pragma once

#include "boot/bootinfo.h"
#include "boot/elf.h"
#include "boot/text.h"

/*
 * Allocates and builds all that the hypervisor finds: trampoline page, room for the memory map, page tables,
 * stacks. `info` holds the loaded image's base and size already. False if memory is short.
 */
bool handoff_prepare(struct bootinfo *info, const struct elf_image *img, struct boot_error *err);

/* Leaves the firmware and jumps. Returns only if the firmware refuses to be left. */
void handoff_go(struct bootinfo *info);
