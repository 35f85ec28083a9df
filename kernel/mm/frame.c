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

/* Gives [start, end) to the buddy lists in the largest aligned blocks, leaving the holes out: ranges that are
 * listed as usable but are not ours to give out. */
static void add_range(uint64_t start, uint64_t end, const struct frame_range *holes, unsigned nholes)
{
    if (start >= end)
        return;
    for (unsigned i = 0; i < nholes; i++) {
        if (holes[i].start < end && holes[i].end > start) {
            add_range(start, holes[i].start, holes + i + 1, nholes - i - 1);
            add_range(holes[i].end, end, holes + i + 1, nholes - i - 1);
            return;
        }
    }
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

/* Where `size` bytes of the allocator's own data fit: the first usable range above 1 MiB that is large
 * enough, clear of holes. */
static uint64_t find_room(const struct boot_mem *mem, uint64_t count, uint64_t size,
                          const struct frame_range *holes, unsigned nholes)
{
    for (uint64_t i = 0; i < count; i++) {
        uint64_t at = MAX(mem[i].base, BIT(20)), end = mem[i].base + mem[i].size;

        for (unsigned h = 0; h < nholes; h++)
            if (at < holes[h].end && at + size > holes[h].start)
                at = holes[h].end;
        if (mem[i].type == BOOT_MEM_USABLE && at < end && size <= end - at)
            return at;
    }
    panic("frame: no room for %lu bytes of frame states", size);
}

void frame_init(const struct bootinfo *bi)
{
    const struct boot_mem *mem = hpa_to_ptr(hpa(bi->mem));
    uint64_t low = UINT64_MAX, high = 0, states, ranges, own;
    struct frame_range holes[] = {
        {0, PAGE_SIZE},
        {bi->trampoline, bi->trampoline + PAGE_SIZE},
        {bi->image_base, ALIGN_UP(bi->image_base + bi->image_size, PAGE_SIZE)},
        {0, 0},
    };

    for (uint64_t i = 0; i < bi->mem_count; i++) {
        if (mem[i].type == BOOT_MEM_USABLE && mem[i].size) {
            low = MIN(low, mem[i].base);
            high = MAX(high, mem[i].base + mem[i].size);
        }
    }
    if (low >= high)
        panic("frame: the memory map has no usable memory");
    frames.base = ALIGN_DOWN(low >> PAGE_SHIFT, BIT(FRAME_ORDER_MAX));
    frames.count = (high >> PAGE_SHIFT) - frames.base;

    states = ALIGN_UP(frames.count, PAGE_SIZE);
    ranges = ALIGN_UP(bi->mem_count * sizeof(struct frame_range), PAGE_SIZE);
    own = find_room(mem, bi->mem_count, states + ranges + PAGE_SIZE, holes, ARRAY_SIZE(holes) - 1);
    holes[ARRAY_SIZE(holes) - 1] = (struct frame_range){own, own + states + ranges + PAGE_SIZE};
    frames.state = hpa_to_ptr(hpa(own));
    memset(frames.state, FRAME_NONE, states);
    frames.ram = hpa_to_ptr(hpa(own + states));
    frames.low_page = hpa(own + states + ranges);
    memset(hpa_to_ptr(frames.low_page), 0, PAGE_SIZE);

    for (unsigned order = 0; order <= FRAME_ORDER_MAX; order++)
        list_init(&frames.free[order]);
    for (uint64_t i = 0; i < bi->mem_count; i++)
        if (mem[i].type == BOOT_MEM_USABLE)
            add_range(mem[i].base, mem[i].base + mem[i].size, holes, ARRAY_SIZE(holes));
    merge_ram(mem, bi->mem_count);
}
