/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/paging.h"
#include "kernel/lib/types.h"

#define PTE_P    BIT(0)
#define PTE_PS   BIT(7)
#define PTE_ADDR GENMASK(51, 12)

#define ENTRIES 512

static uint64_t *new_table(struct page_tables *pt)
{
    return pt->used < pt->npages ? pt->pool + ENTRIES * pt->used++ : NULL;
}

static unsigned level_shift(unsigned level)
{
    return PAGE_SHIFT + 9 * level;
}

/* The largest level whose leaf fits: 0 for 4 KiB, 1 for 2 MiB, 2 for 1 GiB. */
static unsigned leaf_level(const struct page_tables *pt, uint64_t va, uint64_t pa, uint64_t size)
{
    unsigned level = pt->leaf_1g ? 2 : 1;

    while (level && (!IS_ALIGNED(va | pa, (uint64_t)1 << level_shift(level)) ||
                     size < (uint64_t)1 << level_shift(level)))
        level--;
    return level;
}

/*
 * The entry for `va` at `level`, with the tables above it made; NULL if there is no room or a leaf is in the
 * way.
 */
static uint64_t *walk(struct page_tables *pt, uint64_t va, unsigned level)
{
    uint64_t *table = pt->pool, *entry;

    if (!pt->used)
        table = new_table(pt);
    for (unsigned l = 3; table; l--) {
        entry = &table[va >> level_shift(l) & (ENTRIES - 1)];
        if (l == level)
            return entry;
        if (!*entry) {
            table = new_table(pt);
            if (table)
                *entry = (uint64_t)(uintptr_t)table | MAP_WRITE | PTE_P;
        } else {
            table = *entry & PTE_PS ? NULL : (uint64_t *)(uintptr_t)(*entry & PTE_ADDR);
        }
    }
    return NULL;
}

bool paging_map(struct page_tables *pt, uint64_t va, uint64_t pa, uint64_t size, uint64_t flags)
{
    while (size) {
        unsigned level = leaf_level(pt, va, pa, size);
        uint64_t step = (uint64_t)1 << level_shift(level), *entry = walk(pt, va, level);

        if (!entry || *entry)
            return false;
        *entry = pa | flags | PTE_P | (level ? PTE_PS : 0);
        va += step;
        pa += step;
        size -= step;
    }
    return true;
}
