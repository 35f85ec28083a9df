/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The hypervisor's page tables, which it starts on and keeps: four levels (AMD APM 2, 5.3; Intel SDM 3, 4.5). Knows no EFI type; memory is
 * identity-mapped while they are built.
 */
#pragma once

#include "boot/bootinfo.h"
#include "boot/elf.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Leaves are present, global and accessible to the supervisor; these bits add to that. */
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

/* More pages than paging_build() can need. */
size_t paging_tables(const struct boot_range *ram, size_t n, const struct elf_image *img);

/*
 * What kernel/mm/layout.h says: the direct map, the image, which was placed at `image`, and the stacks of `cpus` processors,
 * the first one's pages at `stacks`. Neither address of the image's code and constants can be written. False if the pool
 * is too small.
 */
bool paging_build(struct page_tables *pt, const struct boot_range *ram, size_t n, const struct elf_image *img,
                  uint64_t image, uint64_t stacks, unsigned cpus);
