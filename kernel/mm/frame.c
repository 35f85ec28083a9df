/* SPDX-License-Identifier: BSD-2-Clause */
#include "kernel/mm/frame.h"
#include "kernel/console/log.h"
#include "kernel/lib/bits.h"
#include "kernel/lib/list.h"
#include "kernel/lib/spinlock.h"
#include "kernel/lib/string.h"
#include "kernel/mm/paging.h"

/*
 * One byte of state a frame: the first frame of a block says whether the block is free or given out, and its
 * order; every other frame, and what was never ours, is FRAME_NONE. Free blocks are linked through their own
 * first bytes.
 */
#define FRAME_NONE 0x00
#define FRAME_FREE 0x40
#define FRAME_USED 0x80

static struct {
    struct spinlock lock;
    struct list free[FRAME_ORDER_MAX + 1];
    uint8_t *state;       /* of frame `base` and up */
    uint64_t base, count; /* frame numbers that `state` covers; base is aligned to the largest block */
    uint64_t bytes_free, bytes_total;
    struct frame_range *ram; /* merged, sorted: the memory map's own copy may be overwritten one day */
    unsigned ram_count;
    hpa_t low_page;
} frames;

static struct list *frame_link(uint64_t frame)
{
    return hpa_to_ptr(hpa((frames.base + frame) << PAGE_SHIFT));
}

/* The number of a block in a list; relative to frames.base, as everywhere in this file. */
static uint64_t link_frame(const struct list *link)
{
    return (ptr_to_hpa(link).a >> PAGE_SHIFT) - frames.base;
}

static void block_insert(uint64_t frame, unsigned order)
{
    frames.state[frame] = (uint8_t)(FRAME_FREE | order);
    list_add_before(frame_link(frame), frames.free[order].next);
}

static void block_remove(uint64_t frame)
{
    frames.state[frame] = FRAME_NONE;
    list_del(frame_link(frame));
}

/* Frees a block and joins it with its buddy as long as that is free, too. */
static void block_free(uint64_t frame, unsigned order)
{
    frames.bytes_free += PAGE_SIZE << order;
    frames.state[frame] = FRAME_NONE;
    for (; order < FRAME_ORDER_MAX; order++) {
        uint64_t buddy = frame ^ BIT(order);

        if (buddy >= frames.count || frames.state[buddy] != (FRAME_FREE | order))
            break;
        block_remove(buddy);
        frame &= ~BIT(order);
    }
    block_insert(frame, order);
}

/* A block of exactly this order, cut out of the smallest free one; false if there is none. */
static bool block_take(unsigned order, uint64_t *frame)
{
    unsigned have = order;

    while (have <= FRAME_ORDER_MAX && list_empty(&frames.free[have]))
        have++;
    if (have > FRAME_ORDER_MAX)
        return false;
    *frame = link_frame(frames.free[have].next);
    block_remove(*frame);
    while (have-- > order)
        block_insert(*frame + BIT(have), have);
    frames.state[*frame] = (uint8_t)(FRAME_USED | order);
    frames.bytes_free -= PAGE_SIZE << order;
    return true;
}

hpa_t frame_alloc(unsigned order)
{
    uint64_t frame;
    hpa_t block;
    bool ok;

    spin_lock(&frames.lock);
    ok = block_take(order, &frame);
    spin_unlock(&frames.lock);
    if (!ok)
        return hpa(0);
    block = hpa((frames.base + frame) << PAGE_SHIFT);
    memset(hpa_to_ptr(block), 0, PAGE_SIZE << order);
    return block;
}

void frame_free(hpa_t block, unsigned order)
{
    uint64_t frame = (block.a >> PAGE_SHIFT) - frames.base;
    bool ok;

    spin_lock(&frames.lock);
    ok = frame < frames.count && frames.state[frame] == (FRAME_USED | order);
    if (ok)
        block_free(frame, order);
    spin_unlock(&frames.lock);
    if (!ok)
        panic("frame: %#lx is no block of order %u", block.a, order);
}

uint64_t frame_bytes_free(void)
{
    return __atomic_load_n(&frames.bytes_free, __ATOMIC_RELAXED);
}

uint64_t frame_bytes_total(void)
{
    return frames.bytes_total;
}

hpa_t frame_low_page(void)
{
    return frames.low_page;
}

unsigned frame_ram_ranges(const struct frame_range **ranges)
{
    *ranges = frames.ram;
    return frames.ram_count;
}

bool frame_is_ram(hpa_t start, uint64_t size)
{
    for (unsigned i = 0; i < frames.ram_count; i++) {
        const struct frame_range *r = &frames.ram[i];

        if (start.a >= r->start && start.a < r->end)
            return size <= r->end - start.a;
    }
    return false;
}

/* Gives [start, end) to the buddy lists in the largest aligned blocks. */
static void add_range(uint64_t start, uint64_t end)
{
    frames.bytes_total += end - start;
    for (uint64_t at = start; at < end;) {
        uint64_t frame = (at >> PAGE_SHIFT) - frames.base;
        unsigned order = 0;

        while (order < FRAME_ORDER_MAX && IS_ALIGNED(frame, BIT(order + 1)) &&
               PAGE_SIZE << (order + 1) <= end - at)
            order++;
        block_free(frame, order);
        at += PAGE_SIZE << order;
    }
}

static bool is_ram_type(uint32_t type)
{
    return type == BOOT_MEM_USABLE || type == BOOT_MEM_LOADER || type == BOOT_MEM_ACPI ||
           type == BOOT_MEM_RUNTIME;
}

/* Neighbours of different types become one range, so that the direct map gets large leaves. */
static void merge_ram(const struct boot_mem *mem, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        struct frame_range *last = frames.ram_count ? &frames.ram[frames.ram_count - 1] : NULL;

        if (!is_ram_type(mem[i].type) || !mem[i].size)
            continue;
        if (last && last->end == mem[i].base)
            last->end += mem[i].size;
        else
            frames.ram[frames.ram_count++] = (struct frame_range){mem[i].base, mem[i].base + mem[i].size};
    }
}

/* The part of a usable range that lies above 1 MiB; false if there is none. */
static bool usable(const struct boot_mem *m, struct frame_range *r)
{
    *r = (struct frame_range){MAX(m->base, BIT(20)), m->base + m->size};
    return m->type == BOOT_MEM_USABLE && r->start < r->end;
}

/* The allocator's own data go to the start of the first range that is large enough. */
void frame_init(const struct bootinfo *bi)
{
    const struct boot_mem *mem = hpa_to_ptr(hpa(bi->mem)), *end = mem + bi->mem_count;
    uint64_t low = UINT64_MAX, high = 0, own = 0, states, ranges, size;
    struct frame_range r;

    for (const struct boot_mem *m = mem; m < end; m++) {
        if (usable(m, &r)) {
            low = MIN(low, r.start);
            high = MAX(high, r.end);
        }
    }
    frames.base = ALIGN_DOWN(low >> PAGE_SHIFT, BIT(FRAME_ORDER_MAX));
    frames.count = high > low ? (high >> PAGE_SHIFT) - frames.base : 0;

    states = ALIGN_UP(frames.count, PAGE_SIZE);
    ranges = ALIGN_UP(bi->mem_count * sizeof(struct frame_range), PAGE_SIZE);
    size = states + ranges + PAGE_SIZE;
    for (const struct boot_mem *m = mem; m < end && !own; m++)
        if (usable(m, &r) && size <= r.end - r.start)
            own = r.start;
    if (!own)
        panic("frame: no usable memory has room for %lu bytes of frame states", size);
    frames.state = hpa_to_ptr(hpa(own));
    memset(frames.state, FRAME_NONE, states);
    frames.ram = hpa_to_ptr(hpa(own + states));
    frames.low_page = hpa(own + states + ranges);
    memset(hpa_to_ptr(frames.low_page), 0, PAGE_SIZE);

    for (unsigned order = 0; order <= FRAME_ORDER_MAX; order++)
        list_init(&frames.free[order]);
    for (const struct boot_mem *m = mem; m < end; m++)
        if (usable(m, &r))
            add_range(r.start == own ? own + size : r.start, r.end);
    merge_ram(mem, bi->mem_count);
}
