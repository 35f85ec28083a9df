/* SPDX-License-Identifier: BSD-2-Clause */
#include "kernel/mm/radix.h"
#include "kernel/mm/frame.h"
#include "kernel/mm/paging.h"

#define INDEX_BITS    9
#define TABLE_ENTRIES ((uint64_t)1 << INDEX_BITS)
#define TARGET        GENMASK(51, 12)

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

static bool is_leaf(const struct radix_format *f, uint64_t entry, unsigned level)
{
    return entry & f->present && (level == 0 || (f->level ? !(entry & f->level) : entry & f->large));
}

static bool is_table(const struct radix_format *f, uint64_t entry, unsigned level)
{
    return entry & f->present && !is_leaf(f, entry, level);
}

/* One store, so that hardware sees the old entry or the new one; what the new one points to was written
 * before. */
static void set_entry(const struct radix *t, uint64_t *entry, uint64_t value)
{
    __atomic_store_n(entry, value, __ATOMIC_RELEASE);
    if (t->flush)
        flush_to_ram(entry, sizeof(*entry));
}

/*
 * Puts a table where nothing, or a large leaf, is; the leaf's translation goes on unchanged in smaller ones.
 */
static int grow(const struct radix *t, uint64_t *entry, unsigned level)
{
    const struct radix_format *f = t->format;
    hpa_t table = frame_alloc(FRAME_ORDER_4K);
    uint64_t *small = hpa_to_ptr(table), first = level == 1 ? *entry & ~f->large : *entry;

    if (!table.a)
        return -ENOMEM;
    for (uint64_t i = 0; is_leaf(f, *entry, level) && i < TABLE_ENTRIES; i++)
        small[i] = first + i * level_size(level - 1);
    if (t->flush)
        flush_to_ram(small, PAGE_SIZE);
    set_entry(t, entry, table.a | f->table | (f->level ? FIELD_PREP(f->level, level) : 0));
    return 0;
}

/* What to do with a range. */
struct change {
    uint64_t leaf;   /* bits of its leaves, or 0: unmap it */
    uint64_t offset; /* target = address + offset, modulo 2^64 */
};

/* True if the whole entry can be written at this level. A table that is already there stays: hardware may be
 * walking it. */
static bool fits(const struct radix *t, const struct change *c, uint64_t entry, unsigned level, uint64_t addr,
                 uint64_t end)
{
    uint64_t size = level_size(level);

    if (!IS_ALIGNED(addr, size) || end - addr < size || is_table(t->format, entry, level))
        return false;
    return !c->leaf || (level <= t->max_leaf_level && IS_ALIGNED(addr + c->offset, size));
}

static int change_range(struct radix *t, hpa_t table, unsigned level, uint64_t addr, uint64_t end,
                        const struct change *c)
{
    const struct radix_format *f = t->format;
    uint64_t next, *entry;
    int err = 0;

    for (; addr < end && !err; addr = next) {
        next = MIN(ALIGN_DOWN(addr, level_size(level)) + level_size(level), end);
        entry = entry_of(table, level, addr);
        if (fits(t, c, *entry, level, addr, end)) {
            set_entry(t, entry, c->leaf ? (addr + c->offset) | c->leaf | (level ? f->large : 0) : 0);
            continue;
        }
        if (!c->leaf && !(*entry & f->present))
            continue;
        if (!is_table(f, *entry, level))
            err = grow(t, entry, level);
        if (!err)
            err = change_range(t, hpa(*entry & TARGET), level - 1, addr, next, c);
    }
    return err;
}

static int change(struct radix *t, uint64_t addr, uint64_t size, struct change c)
{
    uint64_t span = level_size(t->levels);

    if (!size || !IS_ALIGNED(addr | size | c.offset, PAGE_SIZE) || addr >= span || size > span - addr)
        return -EINVAL;
    return change_range(t, t->root, t->levels - 1, addr, addr + size, &c);
}

int radix_init(struct radix *t)
{
    t->root = frame_alloc(FRAME_ORDER_4K);
    if (!t->root.a)
        return -ENOMEM;
    if (t->flush)
        flush_to_ram(hpa_to_ptr(t->root), PAGE_SIZE);
    return 0;
}

static void free_table(const struct radix_format *f, hpa_t table, unsigned level)
{
    const uint64_t *entries = hpa_to_ptr(table);

    for (uint64_t i = 0; level > 0 && i < TABLE_ENTRIES; i++)
        if (is_table(f, entries[i], level))
            free_table(f, hpa(entries[i] & TARGET), level - 1);
    frame_free(table, FRAME_ORDER_4K);
}

void radix_destroy(struct radix *t)
{
    free_table(t->format, t->root, t->levels - 1);
    t->root = hpa(0);
}

int radix_map(struct radix *t, uint64_t addr, hpa_t target, uint64_t size, unsigned flags)
{
    struct change c = {t->format->leaf, target.a - addr};

    for (unsigned i = 0; i < RADIX_FLAGS; i++)
        c.leaf ^= flags & BIT(i) ? t->format->flag[i] : 0;
    return change(t, addr, size, c);
}

int radix_unmap(struct radix *t, uint64_t addr, uint64_t size)
{
    return change(t, addr, size, (struct change){0, 0});
}

bool radix_lookup(const struct radix *t, uint64_t addr, hpa_t *target, unsigned *flags)
{
    const struct radix_format *f = t->format;
    unsigned level = t->levels;
    hpa_t table = t->root;
    uint64_t entry;

    if (addr >= level_size(level))
        return false;
    do {
        entry = *entry_of(table, --level, addr);
        table = hpa(entry & TARGET);
    } while (is_table(f, entry, level));
    if (target)
        *target = hpa(table.a + (addr & (level_size(level) - 1)));
    if (flags)
        *flags = 0;
    for (unsigned i = 0; flags && i < RADIX_FLAGS; i++)
        *flags |= (entry ^ f->leaf) & f->flag[i] ? 1u << i : 0;
    return entry & f->present;
}
