/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/test.h"

#include "tests/unit/fake/frame.c"

#include "kernel/mm/heap.c"

TEST(objects_are_aligned_zeroed_and_apart)
{
    static const size_t sizes[] = {1,    31,   32,   33,   64,   100,  128,  500,
                                   1024, 2047, 2048, 2049, 4096, 4097, 8192, 100000};

    for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
        unsigned char *p[64];
        size_t align = 1;

        while (align < sizes[i] && align < PAGE_SIZE)
            align *= 2;
        for (unsigned j = 0; j < 64; j++) {
            p[j] = heap_alloc(sizes[i]);
            CHECK(p[j] && IS_ALIGNED((uintptr_t)p[j], align));
            for (size_t k = 0; k < sizes[i]; k++)
                CHECK_EQ(p[j][k], 0);
            memset(p[j], (int)j + 1, sizes[i]);
        }
        for (unsigned j = 0; j < 64; j++) {
            CHECK_EQ(p[j][0], j + 1);
            CHECK_EQ(p[j][sizes[i] - 1], j + 1);
            heap_free(p[j], sizes[i]);
        }
    }
}

TEST(freed_objects_are_used_again_and_zeroed)
{
    unsigned char *p = heap_alloc(40), *q;

    memset(p, 0xee, 40);
    heap_free(p, 40);
    q = heap_alloc(64);
    CHECK(p == q);
    for (unsigned i = 0; i < 64; i++)
        CHECK_EQ(q[i], 0);
    heap_free(q, 64);
}

TEST(large_objects_go_back_to_the_frames)
{
    long before = fake_frames_out;
    void *p = heap_alloc(SIZE_2M);

    CHECK(p != NULL);
    CHECK_EQ(fake_frames_out, before + 1);
    heap_free(p, SIZE_2M);
    CHECK_EQ(fake_frames_out, before);
}

TEST(no_memory_and_sizes_out_of_range)
{
    CHECK(heap_alloc(0) == NULL);
    CHECK(heap_alloc(SIZE_2M + 1) == NULL);
    heap_free(NULL, 10);
    fake_frame_fail_after = 0;
    CHECK(heap_alloc(4096) == NULL);
    for (unsigned i = 0; i < 1000 && heap_alloc(2048); i++)
        CHECK(i < 200);
    CHECK(heap_alloc(2048) == NULL);
    fake_frame_fail_after = -1;
    CHECK(heap_alloc(2048) != NULL);
}

/* The frames of small objects are never given back: they are what is left at the end. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

TEST_MAIN()
