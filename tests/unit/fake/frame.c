/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kernel/mm/frame.h on the host's allocator. hpa_to_ptr() works on what it gives out: an "hpa" is the pointer
 * less DIRECT_MAP_BASE, which fits in 48 bits. Include once, before the file under test.
 */
#include "kernel/mm/frame.h"
#include "kernel/mm/paging.h"
#include <stdlib.h>
#include <string.h>

static long fake_frames_out __attribute__((unused)); /* blocks not given back: 0 at a test's end, or a leak */
static long fake_frame_fail_after __attribute__((unused)) =
    -1; /* this many more succeed, then none; -1: all */

void frame_init(const struct bootinfo *bi)
{
    (void)bi;
}

hpa_t frame_alloc(unsigned order)
{
    size_t size = (size_t)PAGE_SIZE << order;
    void *p;

    if (fake_frame_fail_after == 0)
        return hpa(0);
    if (fake_frame_fail_after > 0)
        fake_frame_fail_after--;
    p = aligned_alloc(size, size);
    if (!p)
        return hpa(0);
    memset(p, 0, size);
    fake_frames_out++;
    return ptr_to_hpa(p);
}

void frame_free(hpa_t block, unsigned order)
{
    (void)order;
    fake_frames_out--;
    free(hpa_to_ptr(block));
}

uint64_t frame_bytes_used(void)
{
    return SIZE_1G;
}
