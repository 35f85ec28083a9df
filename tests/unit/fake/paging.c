/* SPDX-License-Identifier: BSD-2-Clause */
/* kernel/mm/paging.h: mmio_map() gives out what the test says, or zeroed memory that lives until the program
 * ends. */
#include "kernel/mm/paging.h"
#include <stdlib.h>
#include <string.h>

static volatile void *(*fake_mmio_map)(hpa_t start, uint64_t size) __attribute__((unused));
static bool (*fake_is_ram)(hpa_t at) __attribute__((unused)); /* NULL: all is RAM */
static void *fake_mmio_blocks[256];
static unsigned fake_mmio_count;

volatile void *mmio_map(hpa_t start, uint64_t size)
{
    if (fake_mmio_map)
        return fake_mmio_map(start, size);
    if (fake_mmio_count == sizeof(fake_mmio_blocks) / sizeof(fake_mmio_blocks[0]))
        return NULL;
    size = (size + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1);
    fake_mmio_blocks[fake_mmio_count] = aligned_alloc(PAGE_SIZE, size);
    memset(fake_mmio_blocks[fake_mmio_count], 0, size);
    return fake_mmio_blocks[fake_mmio_count++];
}

bool paging_is_ram(hpa_t at)
{
    return fake_is_ram ? fake_is_ram(at) : true;
}
