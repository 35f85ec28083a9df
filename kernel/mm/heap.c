/* SPDX-License-Identifier: BSD-2-Clause */
#include "kernel/mm/heap.h"
#include "kernel/lib/bits.h"
#include "kernel/lib/spinlock.h"
#include "kernel/lib/string.h"
#include "kernel/mm/frame.h"
#include "kernel/mm/paging.h"

#define CLASS_MIN_SHIFT 5 /* 32 bytes */
#define CLASSES         7 /* up to 2 KiB */

/* A free object links to the next one of its class. A frame that went into a class stays there. */
struct free_object {
    struct free_object *next;
};

static struct spinlock heap_lock;
static struct free_object *heap_free_list[CLASSES];

/* log2 of the power of two that holds `size`. */
static unsigned size_shift(size_t size)
{
    return size <= 1 ? 0 : 64 - (unsigned)__builtin_clzll(size - 1);
}

static unsigned size_class(size_t size)
{
    unsigned shift = size_shift(size);

    return shift < CLASS_MIN_SHIFT ? 0 : shift - CLASS_MIN_SHIFT;
}

static unsigned frame_order(size_t size)
{
    return size_shift(size) - PAGE_SHIFT;
}

/* Cuts a fresh frame into objects of a class. Caller holds the lock. */
static void refill(unsigned class)
{
    hpa_t frame = frame_alloc(FRAME_ORDER_4K);

    for (size_t at = 0; frame.a && at < PAGE_SIZE; at += (size_t)1 << (class + CLASS_MIN_SHIFT)) {
        struct free_object *o = hpa_to_ptr(hpa(frame.a + at));

        o->next = heap_free_list[class];
        heap_free_list[class] = o;
    }
}

void *heap_alloc(size_t size)
{
    unsigned class = size_class(size);
    struct free_object *o;
    hpa_t block;

    if (size == 0 || size > SIZE_2M)
        return NULL;
    if (class >= CLASSES) {
        block = frame_alloc(frame_order(size));
        return block.a ? hpa_to_ptr(block) : NULL;
    }
    spin_guard(&heap_lock);
    if (!heap_free_list[class])
        refill(class);
    o = heap_free_list[class];
    if (!o)
        return NULL;
    heap_free_list[class] = o->next;
    return memset(o, 0, (size_t)1 << (class + CLASS_MIN_SHIFT));
}

void heap_free(void *p, size_t size)
{
    unsigned class = size_class(size);
    struct free_object *o = p;

    if (!p)
        return;
    if (class >= CLASSES) {
        frame_free(ptr_to_hpa(p), frame_order(size));
        return;
    }
    spin_guard(&heap_lock);
    o->next = heap_free_list[class];
    heap_free_list[class] = o;
}
