/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The page tables at hand-off: four levels (AMD APM 2, 5.3; Intel SDM 3, 4.5). Knows no EFI type; memory is
 * identity-mapped while they are built.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Leaves are present and accessible to the supervisor; these bits add to that. */
#define MAP_WRITE   ((uint64_t)1 << 1)
#define MAP_NO_EXEC ((uint64_t)1 << 63)

struct page_tables {
    uint64_t *pool; /* npages zeroed pages, on a page; the first one used is the root */
    size_t npages, used;
    bool leaf_1g; /* the CPU has 1 GiB pages */
};

/*
 * Maps `size` bytes of physical memory from `pa` at `va` with the largest leaves that fit; all three are page
 * multiples. False if the pool is too small or something is mapped there already.
 */
bool paging_map(struct page_tables *pt, uint64_t va, uint64_t pa, uint64_t size, uint64_t flags);
