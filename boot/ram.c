/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/ram.h"
#include "kernel/lib/types.h"
#include "vm/abi/platform.h"
#include <string.h>

struct plan {
    struct boot_guest *g;
    struct boot_range *free;
    uint64_t count;
    size_t max;
};

/* What is left of range `i` below and above [base, end), which goes. */
static bool split(struct plan *p, uint64_t i, uint64_t base, uint64_t end)
{
    struct boot_range *r = &p->free[i], above = {end, r->end};

    r->end = base;
    if (above.base == above.end)
        return true;
    if (p->count == p->max)
        return false;
    memmove(r + 2, r + 1, (p->count - i - 1) * sizeof(*r));
    r[1] = above;
    p->count++;
    return true;
}

/* The next piece at the guest's `at`, with at most `left` bytes: as far up in a page of 1 GiB, or of 2 MiB, as `at` is there, so that tables need few entries. */
static bool take(struct plan *p, uint64_t at, uint64_t left, uint64_t align)
{
    for (uint64_t i = 0; i < p->count && p->g->nblocks < BOOT_BLOCKS_MAX; i++) {
        const struct boot_range *r = &p->free[i];
        uint64_t base = ALIGN_UP(r->base, align) + at % align, size;

        if (base - r->base >= align)
            base -= align;
        if (base < r->base || base >= r->end)
            continue;
        size = ALIGN_DOWN(MIN(r->end - base, left), SIZE_2M);
        if (size < MIN(align, left))
            continue;
        p->g->block[p->g->nblocks++] = (struct boot_block){at, base, size};
        return split(p, i, base, base + size);
    }
    return false;
}

static bool fill(struct plan *p, uint64_t at, uint64_t bytes)
{
    for (uint64_t end = at + bytes; at < end; at += p->g->block[p->g->nblocks - 1].size)
        if ((end - at < SIZE_1G || !take(p, at, end - at, SIZE_1G)) && !take(p, at, end - at, SIZE_2M))
            return false;
    return true;
}

/* In whole blocks of 2 MiB. */
static uint64_t bytes_free(const struct boot_range *r, uint64_t count)
{
    uint64_t bytes = 0;

    for (const struct boot_range *end = r + count; r < end; r++)
        if (ALIGN_UP(r->base, SIZE_2M) < r->end)
            bytes += ALIGN_DOWN(r->end - ALIGN_UP(r->base, SIZE_2M), SIZE_2M);
    return bytes;
}

bool ram_take(struct boot_guest *g, struct boot_range *free, uint64_t *count, size_t max)
{
    struct plan p = {g, free, *count, max};
    uint64_t low = MIN(g->memory, (uint64_t)GPA_PCI_WINDOW);
    bool ok =
        g->memory <= bytes_free(free, *count) && fill(&p, 0, low) && fill(&p, GPA_HIGH_RAM, g->memory - low);

    *count = p.count;
    return ok;
}
