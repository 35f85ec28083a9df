/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/test.h"

#include "tests/unit/fake/frame.c"

#include "kernel/mm/heap.c"

TEST(objects_are_aligned_zeroed_and_apart)
{
    static const size_t sizes[] = {1, 31, 64, 2048, 4095, 4096, 4097, 8192, 100000, SIZE_2M};

    for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
        unsigned char *p[8];
        size_t align = PAGE_SIZE;

        while (align < sizes[i])
            align *= 2;
        for (unsigned j = 0; j < 8; j++) {
            p[j] = heap_alloc(sizes[i]);
            CHECK(p[j] && IS_ALIGNED((uintptr_t)p[j], align));
            for (size_t k = 0; k < sizes[i]; k++)
                CHECK_EQ(p[j][k], 0);
            memset(p[j], (int)j + 1, sizes[i]);
        }
        CHECK_EQ(fake_frames_out, 8);
        for (unsigned j = 0; j < 8; j++) {
            CHECK_EQ(p[j][0], j + 1);
            CHECK_EQ(p[j][sizes[i] - 1], j + 1);
            heap_free(p[j], sizes[i]);
        }
        CHECK_EQ(fake_frames_out, 0);
    }
}

/* The frame allocator is told the order that it gave out. */
TEST(orders)
{
    CHECK_EQ(order_of(1), 0);
    CHECK_EQ(order_of(PAGE_SIZE), 0);
    CHECK_EQ(order_of(PAGE_SIZE + 1), 1);
    CHECK_EQ(order_of(2 * PAGE_SIZE), 1);
    CHECK_EQ(order_of(2 * PAGE_SIZE + 1), 2);
    CHECK_EQ(order_of(SIZE_2M), 9);
    CHECK(order_of(SIZE_1G + 1) > FRAME_ORDER_MAX);
}

TEST(no_memory)
{
    heap_free(NULL, 10);
    fake_frame_fail_after = 0;
    CHECK(heap_alloc(4096) == NULL);
    CHECK(heap_alloc(1) == NULL);
    fake_frame_fail_after = -1;
}

TEST_MAIN()
