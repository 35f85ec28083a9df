/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The firmware's memory map as the hypervisor wants it: sorted, disjoint, neighbours of one type merged. The
 * firmware's descriptors (UEFI 2.10 section 7.2.3) are described here once more, so that this file is free of
 * EFI types and can be tested on any host.
 */
#pragma once

#include "boot/bootinfo.h"
#include <stdbool.h>
#include <stddef.h>

struct memmap_desc {
    uint32_t type, pad;
    uint64_t base, virt, pages, attr;
};
_Static_assert(sizeof(struct memmap_desc) == 40, "UEFI 2.10 section 7.2.3, EFI_MEMORY_DESCRIPTOR");

/*
 * `n` descriptors, `stride` bytes apart, become at most `max` entries in `out`; `edges` is scratch for 2 * n
 * numbers. Where descriptors overlap the less usable type wins; entries that wrap round or are empty are left
 * out. Returns the number of entries, or 0 if `max` is too small.
 */
size_t memmap_convert(const void *desc, size_t n, size_t stride, struct boot_mem *out, size_t max,
                      uint64_t *edges);

/* Bytes that the hypervisor may hand out. */
uint64_t memmap_usable(const struct boot_mem *mem, size_t n);

/* Is this RAM, which belongs into the direct map? */
bool memmap_is_ram(uint32_t type);

/* All RAM, and what of it is usable above 1 MiB, as ranges that do not touch. `out` has room for n; returns how many. */
size_t memmap_ram(const struct boot_mem *mem, size_t n, struct boot_range *out);
size_t memmap_free(const struct boot_mem *mem, size_t n, struct boot_range *out);

/* Is any of `size` bytes at `base` RAM? True for what wraps round. */
bool memmap_over_ram(const struct boot_mem *mem, size_t n, uint64_t base, uint64_t size);

/* Do `size` bytes at `base` lie in listed RAM, tables and firmware data included, or in a reserved range? */
bool memmap_listed(const struct boot_mem *mem, size_t n, uint64_t base, uint64_t size);
