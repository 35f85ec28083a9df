/* SPDX-License-Identifier: BSD-2-Clause */
#include "kernel/mm/frame.h"
#include "kernel/console/log.h"
#include "kernel/lib/spinlock.h"
#include "kernel/lib/string.h"
#include "kernel/mm/paging.h"

/*
 * One byte of state a frame. The first frame of a block that is given out says so, with the block's order; the
 * others of the block, and what was never ours, are FRAME_NONE. Nothing is kept in the free memory itself.
 */
#define FRAME_NONE  0x00
#define FRAME_FREE  0x40
#define FRAME_USED  0x80
#define FRAME_ORDER GENMASK(5, 0)

static struct {
    struct spinlock lock;
    uint8_t *state;       /* of frame `base` and up */
    uint64_t base, count; /* frame numbers that `state` covers; base is aligned to the largest block */
    uint64_t first[FRAME_ORDER_MAX + 1]; /* no free block of this order lies below this frame */
    uint64_t bytes_used;
    struct frame_range *ram; /* merged, sorted: the memory map's own copy may be overwritten one day */
    unsigned ram_count;
    hpa_t low_page;
} frames;

/* The lowest free block of an order; frames.count or more if there is none. Numbers of frames are relative to
 * frames.base, as everywhere in this file. */
static uint64_t find_free(unsigned order)
{
    uint64_t size = BIT(order), at = frames.first[order], n = 0;

    while (at + size <= frames.count && n < size) {
        uint8_t state = frames.state[at + n];

        if (state == FRAME_FREE) {
            n++;
            continue;
        }
        at = ALIGN_UP(at + n + (state & FRAME_USED ? BIT(state & FRAME_ORDER) : 1), size);
        n = 0;
    }
    return n == size ? at : frames.count;
}

hpa_t frame_alloc(unsigned order)
{
    uint64_t frame;
    hpa_t block;

    if (order > FRAME_ORDER_MAX)
        return hpa(0);
    spin_lock(&frames.lock);
    frame = frames.first[order] = find_free(order);
    if (frame < frames.count) {
        memset(frames.state + frame, FRAME_NONE, BIT(order));
        frames.state[frame] = (uint8_t)(FRAME_USED | order);
        frames.bytes_used += PAGE_SIZE << order;
    }
    spin_unlock(&frames.lock);
    if (frame >= frames.count)
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
    if (ok) {
        memset(frames.state + frame, FRAME_FREE, BIT(order));
        frames.bytes_used -= PAGE_SIZE << order;
        for (unsigned i = 0; i <= FRAME_ORDER_MAX; i++)
            frames.first[i] = MIN(frames.first[i], ALIGN_DOWN(frame, BIT(i)));
    }
    spin_unlock(&frames.lock);
    if (!ok)
        panic("frame: %#lx is no block of order %u", block.a, order);
}

uint64_t frame_bytes_used(void)
{
    return __atomic_load_n(&frames.bytes_used, __ATOMIC_RELAXED);
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

    for (const struct boot_mem *m = mem; m < end; m++) {
        if (!usable(m, &r))
            continue;
        r.start += r.start == own ? size : 0;
        memset(frames.state + (r.start >> PAGE_SHIFT) - frames.base, FRAME_FREE,
               (r.end - r.start) >> PAGE_SHIFT);
    }
    merge_ram(mem, bi->mem_count);
}
