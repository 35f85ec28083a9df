/* SPDX-License-Identifier: BSD-2-Clause */
#include "kernel/mm/heap.h"
#include "kernel/lib/spinlock.h"
#include "kernel/lib/string.h"
#include "kernel/mm/frame.h"
#include "kernel/mm/paging.h"

#define SHIFT_MIN 5 /* 32 bytes */

/* A free object links to the next one of its size. A frame that was cut into objects stays so. */
struct free_object {
    struct free_object *next;
};

static struct spinlock heap_lock;
static struct free_object *free_list[PAGE_SHIFT]; /* by log2 of the size */
static uint64_t bytes_used;

/* log2 of the power of two that an object of `size` takes. */
static unsigned size_shift(size_t size)
{
    return size <= 1 << SHIFT_MIN ? SHIFT_MIN : 64 - (unsigned)__builtin_clzll(size - 1);
}

/* Cuts a fresh frame into objects. Caller holds the lock. */
static void refill(unsigned shift)
{
    hpa_t frame = frame_alloc(FRAME_ORDER_4K);

    for (size_t at = 0; frame.a && at < PAGE_SIZE; at += BIT(shift)) {
        struct free_object *o = hpa_to_ptr(hpa(frame.a + at));

        o->next = free_list[shift];
        free_list[shift] = o;
    }
}

uint64_t heap_bytes_used(void)
{
    return bytes_used;
}

void *heap_alloc(size_t size)
{
    unsigned shift = size_shift(size);
    struct free_object *o;
    hpa_t block;

    if (size == 0 || size > SIZE_2M)
        return NULL;
    if (shift >= PAGE_SHIFT) {
        block = frame_alloc(shift - PAGE_SHIFT);
        return block.a ? hpa_to_ptr(block) : NULL;
    }
    spin_guard(&heap_lock);
    if (!free_list[shift])
        refill(shift);
    o = free_list[shift];
    if (!o)
        return NULL;
    free_list[shift] = o->next;
    bytes_used += BIT(shift);
    return memset(o, 0, BIT(shift));
}

void heap_free(void *p, size_t size)
{
    unsigned shift = size_shift(size);
    struct free_object *o = p;

    if (!p)
        return;
    if (shift >= PAGE_SHIFT) {
        frame_free(ptr_to_hpa(p), shift - PAGE_SHIFT);
        return;
    }
    spin_guard(&heap_lock);
    o->next = free_list[shift];
    free_list[shift] = o;
    bytes_used -= BIT(shift);
}
