/* SPDX-License-Identifier: BSD-2-Clause */
#include "kernel/mm/radix.h"
#include "kernel/cpu/x86.h"
#include "kernel/lib/bits.h"
#include "kernel/lib/errno.h"
#include "kernel/mm/frame.h"
#include "kernel/mm/paging.h"

#define INDEX_BITS    9
#define TABLE_ENTRIES ((uint64_t)1 << INDEX_BITS)
#define CACHE_LINE    64

/* Bytes that one entry at `level` spans. */
static uint64_t level_size(unsigned level)
{
    return PAGE_SIZE << (INDEX_BITS * level);
}

static uint64_t *entry_of(hpa_t table, unsigned level, uint64_t addr)
{
    uint64_t index = addr >> (PAGE_SHIFT + INDEX_BITS * level) & (TABLE_ENTRIES - 1);

    return (uint64_t *)hpa_to_ptr(table) + index;
}

static bool is_leaf(const struct radix *t, uint64_t entry, unsigned level)
{
    return level == 0 || t->format->is_leaf(entry, level);
}

/* One store, so that hardware sees the old entry or the new one; what the new one points to was written
 * before. */
static void set_entry(const struct radix *t, uint64_t *entry, uint64_t value)
{
    __atomic_store_n(entry, value, __ATOMIC_RELEASE);
    if (!t->format->coherent)
        clflush(entry);
}

static void flush_table(const struct radix *t, hpa_t table)
{
    if (t->format->coherent)
        return;
    for (uint64_t at = 0; at < PAGE_SIZE; at += CACHE_LINE)
        clflush((char *)hpa_to_ptr(table) + at);
}

/*
 * Puts a table where nothing, or a large leaf, is; the leaf's translation goes on unchanged in smaller ones.
 */
static int grow(struct radix *t, uint64_t *entry, unsigned level)
{
    const struct radix_format *f = t->format;
    hpa_t table = frame_alloc(FRAME_ORDER_4K);

    if (!table.a)
        return -ENOMEM;
    t->tables++;
    if (f->present(*entry)) {
        uint64_t base = f->target(*entry).a;
        unsigned flags = f->flags(*entry);

        for (uint64_t i = 0; i < TABLE_ENTRIES; i++)
            ((uint64_t *)hpa_to_ptr(table))[i] =
                f->leaf(hpa(base + i * level_size(level - 1)), level - 1, flags);
    }
    flush_table(t, table);
    set_entry(t, entry, f->table(table, level));
    return 0;
}

/* What to do with a range: map it to `target` onwards, or unmap it. */
struct change {
    bool map;
    uint64_t offset; /* target = address + offset, modulo 2^64 */
    unsigned flags;
};

/* True if the whole entry can be written at this level. A table that is already there stays: hardware may be
 * walking it. */
static bool fits(const struct radix *t, const struct change *c, uint64_t entry, unsigned level, uint64_t addr,
                 uint64_t end)
{
    bool whole = IS_ALIGNED(addr, level_size(level)) && end - addr >= level_size(level);
    bool table = t->format->present(entry) && !is_leaf(t, entry, level);

    if (!whole || table)
        return false;
    return !c->map || (level <= t->format->max_leaf_level && IS_ALIGNED(addr + c->offset, level_size(level)));
}

static int change_range(struct radix *t, hpa_t table, unsigned level, uint64_t addr, uint64_t end,
                        const struct change *c)
{
    const struct radix_format *f = t->format;
    uint64_t next;
    int err;

    for (; addr < end; addr = next) {
        uint64_t *entry = entry_of(table, level, addr);

        next = MIN(ALIGN_DOWN(addr, level_size(level)) + level_size(level), end);
        if (fits(t, c, *entry, level, addr, end)) {
            set_entry(t, entry, c->map ? f->leaf(hpa(addr + c->offset), level, c->flags) : 0);
            continue;
        }
        if (!c->map && !f->present(*entry))
            continue;
        if (!f->present(*entry) || is_leaf(t, *entry, level)) {
            err = grow(t, entry, level);
            if (err)
                return err;
        }
        err = change_range(t, f->target(*entry), level - 1, addr, next, c);
        if (err)
            return err;
    }
    return 0;
}

static bool in_range(const struct radix *t, uint64_t addr, uint64_t size)
{
    uint64_t span = level_size(t->levels);

    return size && IS_ALIGNED(addr | size, PAGE_SIZE) && addr < span && size <= span - addr;
}

int radix_init(struct radix *t, const struct radix_format *format, unsigned levels)
{
    *t = (struct radix){.format = format, .root = frame_alloc(FRAME_ORDER_4K), .levels = levels, .tables = 1};
    if (!t->root.a)
        return -ENOMEM;
    flush_table(t, t->root);
    return 0;
}

static void free_table(struct radix *t, hpa_t table, unsigned level)
{
    const uint64_t *entries = hpa_to_ptr(table);

    for (uint64_t i = 0; level > 0 && i < TABLE_ENTRIES; i++) {
        if (t->format->present(entries[i]) && !is_leaf(t, entries[i], level))
            free_table(t, t->format->target(entries[i]), level - 1);
    }
    frame_free(table, FRAME_ORDER_4K);
    t->tables--;
}

void radix_destroy(struct radix *t)
{
    free_table(t, t->root, t->levels - 1);
    t->root = hpa(0);
}

int radix_map(struct radix *t, uint64_t addr, hpa_t target, uint64_t size, unsigned flags)
{
    struct change c = {true, target.a - addr, flags};

    if (!in_range(t, addr, size) || !IS_ALIGNED(target.a, PAGE_SIZE))
        return -EINVAL;
    return change_range(t, t->root, t->levels - 1, addr, addr + size, &c);
}

int radix_unmap(struct radix *t, uint64_t addr, uint64_t size)
{
    struct change c = {.map = false};

    if (!in_range(t, addr, size))
        return -EINVAL;
    return change_range(t, t->root, t->levels - 1, addr, addr + size, &c);
}

bool radix_lookup(const struct radix *t, uint64_t addr, hpa_t *target, unsigned *flags, uint64_t *leaf_size)
{
    hpa_t table = t->root;

    if (addr >= level_size(t->levels))
        return false;
    for (unsigned level = t->levels; level-- > 0;) {
        uint64_t entry = *entry_of(table, level, addr);

        if (!t->format->present(entry))
            return false;
        table = t->format->target(entry);
        if (!is_leaf(t, entry, level))
            continue;
        if (target)
            *target = hpa(table.a + (addr & (level_size(level) - 1)));
        if (flags)
            *flags = t->format->flags(entry);
        if (leaf_size)
            *leaf_size = level_size(level);
        return true;
    }
    return false;
}
