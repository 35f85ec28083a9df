/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The address space: identity, 4 KiB pages. Text is read-execute, constants are read-only, data never
 * executes; the page below the stack, page 0 and all memory outside the image stay unmapped.
 */
#include "drivers/sys/sys.h"
#include "drivers/sys/x86.h"

#define PTE_P       (1ull << 0)
#define PTE_RW      (1ull << 1)
#define PTE_PWT     (1ull << 3)
#define PTE_PCD     (1ull << 4)
#define PTE_NX      (1ull << 63)
#define PTE_ADDRESS 0x000ffffffffff000ull
#define TABLES_MAX  48

typedef uint64_t table_t[512];

extern char image_start[], text_end[], rodata_end[], stack_guard[], image_end[];

static table_t tables[TABLES_MAX] __attribute__((aligned(4096)));
static unsigned tables_used = 1; /* tables[0] is the root */

/* The table that `entry` points to, made if there is none yet. */
static uint64_t *table_below(uint64_t *entry)
{
    if (!(*entry & PTE_P)) {
        if (tables_used == TABLES_MAX)
            return NULL;
        *entry = (uint64_t)(uintptr_t)tables[tables_used++] | PTE_P | PTE_RW;
    }
    return (uint64_t *)(uintptr_t)(*entry & PTE_ADDRESS);
}

static bool map(uint64_t from, uint64_t to, uint64_t flags)
{
    for (uint64_t a = from & PTE_ADDRESS; a < to; a += PAGE_BYTES) {
        uint64_t *t = tables[0];

        for (unsigned shift = 39; shift > 12; shift -= 9) {
            t = table_below(&t[a >> shift & 511]);
            if (!t)
                return false;
        }
        t[a >> 12 & 511] = a | flags | PTE_P;
    }
    return true;
}

static bool map_image(const char *from, const char *to, uint64_t flags)
{
    return map((uint64_t)(uintptr_t)from, (uint64_t)(uintptr_t)to, flags);
}

void page_init(void)
{
    bool ok = map_image(image_start, text_end, 0) && map_image(text_end, rodata_end, PTE_NX) &&
              map_image(rodata_end, stack_guard, PTE_NX | PTE_RW) &&
              map_image(stack_guard + PAGE_BYTES, image_end, PTE_NX | PTE_RW);

    if (!ok)
        sys_crash("page tables are too few for the image");
    write_cr3((uint64_t)(uintptr_t)tables[0]);
}

volatile void *page_map_device(uint64_t pa, size_t size)
{
    if (!map(pa, pa + size, PTE_NX | PTE_RW | PTE_PCD | PTE_PWT))
        return NULL;
    return (volatile void *)(uintptr_t)pa;
}
