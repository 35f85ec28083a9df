/* SPDX-License-Identifier: BSD-2-Clause */
#include "kernel/mm/heap.h"
#include "kernel/mm/frame.h"
#include "kernel/mm/paging.h"

static unsigned order_of(size_t size)
{
    return size <= PAGE_SIZE ? FRAME_ORDER_4K : 64 - PAGE_SHIFT - (unsigned)__builtin_clzll(size - 1);
}

void *heap_alloc(size_t size)
{
    hpa_t block = frame_alloc(order_of(size));

    return block.a ? hpa_to_ptr(block) : NULL;
}

void heap_free(void *p, size_t size)
{
    if (p)
        frame_free(ptr_to_hpa(p), order_of(size));
}
