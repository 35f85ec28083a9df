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

void frame_init(const struct bootinfo *bi)
{
    const struct boot_range *r = hpa_to_ptr(hpa(bi->free)), *end = r + bi->free_count;

    frames.state = hpa_to_ptr(hpa(bi->frame_states));
    frames.base = ALIGN_DOWN(r->base >> PAGE_SHIFT, BIT(FRAME_ORDER_MAX));
    frames.count = (end[-1].end >> PAGE_SHIFT) - frames.base;
    for (; r < end; r++)
        memset(frames.state + (r->base >> PAGE_SHIFT) - frames.base, FRAME_FREE,
               (r->end - r->base) >> PAGE_SHIFT);
}
