/* SPDX-License-Identifier: BSD-2-Clause */
/* kernel/mm/heap.h on the host's allocator, so that the sanitizer sees each object's bounds. */
#include "kernel/mm/heap.h"
#include <stdlib.h>

static long fake_heap_out __attribute__((unused)); /* objects not given back */
static long fake_heap_fail_after __attribute__((unused)) =
    -1; /* this many more succeed, then none; -1: all */

void *heap_alloc(size_t size)
{
    if (fake_heap_fail_after == 0)
        return NULL;
    if (fake_heap_fail_after > 0)
        fake_heap_fail_after--;
    fake_heap_out++;
    return calloc(1, size);
}

void heap_free(void *p, size_t size)
{
    (void)size;
    fake_heap_out -= p != NULL;
    free(p);
}
