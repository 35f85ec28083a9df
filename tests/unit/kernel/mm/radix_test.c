/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/test.h"

#include "tests/unit/fake/frame.c"
#include "tests/unit/fake/log.c"

#include "kernel/mm/radix.c"

/* The smallest format: leaf bit 1, present bit 0, flags in bits 2 to 5. Its tables are not coherent with the
 * device. */
static uint64_t simple_leaf(hpa_t target, unsigned level, unsigned flags)
{
    CHECK(IS_ALIGNED(target.a, PAGE_SIZE << 9 * level));
    return target.a | flags << 2 | 3;
}

static uint64_t simple_table(hpa_t table, unsigned level)
{
    CHECK(level > 0);
    return table.a | 1;
}

static bool simple_present(uint64_t e)
{
    return e & 1;
}

static bool simple_is_leaf(uint64_t e, unsigned level)
{
    CHECK(level > 0);
    return e & 2;
}

static hpa_t simple_target(uint64_t e)
{
    return hpa(e & ~PAGE_MASK);
}

static unsigned simple_flags(uint64_t e)
{
    return (unsigned)e >> 2 & 15;
}

static struct radix_format format = {
    2, simple_leaf, simple_table, simple_present, simple_is_leaf, simple_target, simple_flags, true};

/* The flat model: what each of 4 * 512 pages at BASE maps to. The range crosses a 1 GiB border. */
#define PAGES 2048
#define BASE  (SIZE_1G - 2 * SIZE_2M)

static struct {
    uint64_t target;
    unsigned flags;
    bool mapped;
} model[PAGES];

static void agree(const struct radix *t)
{
    for (unsigned i = 0; i < PAGES; i++) {
        uint64_t leaf;
        unsigned flags;
        hpa_t target;
        bool mapped = radix_lookup(t, BASE + i * PAGE_SIZE + 5, &target, &flags, &leaf);

        CHECK_EQ(mapped, model[i].mapped);
        if (mapped && model[i].mapped) {
            CHECK_EQ(target.a, model[i].target + 5);
            CHECK_EQ(flags, model[i].flags);
        }
    }
}

static uint64_t next_random(void)
{
    static uint64_t seed = 42;

    seed = seed * 6364136223846793005 + 1442695040888963407;
    return seed >> 24;
}

/* Random maps and unmaps, some without memory: the tree holds what the model holds, apart from the pages of a
 * failed call. */
static void property(unsigned max_leaf_level, bool starve)
{
    struct radix t;

    format.max_leaf_level = max_leaf_level;
    memset(model, 0, sizeof(model));
    CHECK_EQ(radix_init(&t, &format, 4), 0);
    for (unsigned round = 0; round < 400; round++) {
        unsigned first = (unsigned)next_random() % PAGES, n, flags = 1 + (unsigned)next_random() % 15;
        uint64_t target;
        bool map = next_random() % 3;
        int err;

        if (next_random() % 2)
            first &= ~511u;
        n = 1 + (unsigned)next_random() % (PAGES - first);
        target = (next_random() % 64) * SIZE_2M + (next_random() % 2 ? 0 : PAGE_SIZE * (next_random() % 600));
        if (starve)
            fake_frame_fail_after = (long)(next_random() % 3);
        err = map ? radix_map(&t, BASE + first * PAGE_SIZE, hpa(target), n * PAGE_SIZE, flags)
                  : radix_unmap(&t, BASE + first * PAGE_SIZE, n * PAGE_SIZE);
        fake_frame_fail_after = -1;
        CHECK(err == 0 || (starve && err == -ENOMEM));
        if (err) { /* as the contract says: unmap it; by then there is memory */
            CHECK_EQ(radix_unmap(&t, BASE + first * PAGE_SIZE, n * PAGE_SIZE), 0);
            map = false;
        }
        for (unsigned i = first; i < first + n; i++) {
            model[i].mapped = map;
            model[i].target = target + (i - first) * PAGE_SIZE;
            model[i].flags = flags;
        }
        if (round % 8 == 0)
            agree(&t);
    }
    agree(&t);
    CHECK_EQ(t.tables, (uint64_t)fake_frames_out);
    radix_destroy(&t);
    CHECK_EQ(fake_frames_out, 0);
}

TEST(random_changes_agree_with_a_flat_model)
{
    for (unsigned level = 0; level <= 2; level++)
        property(level, false);
}

TEST(without_memory_everything_outside_the_range_stays)
{
    for (unsigned level = 0; level <= 2; level++)
        property(level, true);
}

static uint64_t leaf_at(const struct radix *t, uint64_t addr)
{
    uint64_t size = 0;

    return radix_lookup(t, addr, NULL, NULL, &size) ? size : 0;
}

TEST(leaves_are_the_largest_that_fit)
{
    struct radix t;

    format.max_leaf_level = 2;
    CHECK_EQ(radix_init(&t, &format, 4), 0);
    CHECK_EQ(radix_map(&t, SIZE_1G - PAGE_SIZE, hpa(2 * SIZE_1G - PAGE_SIZE), 2 * SIZE_1G + SIZE_2M, RADIX_R),
             0);
    CHECK_EQ(leaf_at(&t, SIZE_1G - PAGE_SIZE), PAGE_SIZE);
    CHECK_EQ(leaf_at(&t, SIZE_1G), SIZE_1G);
    CHECK_EQ(leaf_at(&t, 2 * SIZE_1G), SIZE_1G);
    CHECK_EQ(leaf_at(&t, 3 * SIZE_1G), PAGE_SIZE);
    CHECK_EQ(leaf_at(&t, 3 * SIZE_1G + SIZE_2M - PAGE_SIZE), 0);
    CHECK_EQ(radix_map(&t, 8 * SIZE_1G, hpa(SIZE_2M), SIZE_1G, RADIX_R),
             0); /* the target's alignment counts, too */
    CHECK_EQ(leaf_at(&t, 8 * SIZE_1G), SIZE_2M);
    format.max_leaf_level = 0;
    CHECK_EQ(radix_map(&t, 16 * SIZE_1G, hpa(0), SIZE_2M, RADIX_R), 0);
    CHECK_EQ(leaf_at(&t, 16 * SIZE_1G), PAGE_SIZE);
    radix_destroy(&t);
}

TEST(a_split_keeps_the_rest)
{
    struct radix t;
    unsigned flags;
    hpa_t target;

    format.max_leaf_level = 2;
    CHECK_EQ(radix_init(&t, &format, 4), 0);
    CHECK_EQ(radix_map(&t, 0, hpa(SIZE_4G), SIZE_1G, RADIX_R | RADIX_X), 0);
    CHECK_EQ(t.tables, 2);
    CHECK_EQ(radix_unmap(&t, 5 * SIZE_2M + 3 * PAGE_SIZE, PAGE_SIZE), 0);
    CHECK_EQ(t.tables, 4);
    CHECK_EQ(leaf_at(&t, 5 * SIZE_2M + 3 * PAGE_SIZE), 0);
    CHECK_EQ(leaf_at(&t, 5 * SIZE_2M + 4 * PAGE_SIZE), PAGE_SIZE);
    CHECK_EQ(leaf_at(&t, 4 * SIZE_2M), SIZE_2M);
    CHECK(radix_lookup(&t, SIZE_1G - 1, &target, &flags, NULL));
    CHECK_EQ(target.a, SIZE_4G + SIZE_1G - 1);
    CHECK_EQ(flags, RADIX_R | RADIX_X);
    radix_destroy(&t);
}

TEST(unmapping_nothing_takes_no_table)
{
    struct radix t;

    CHECK_EQ(radix_init(&t, &format, 4), 0);
    CHECK_EQ(radix_unmap(&t, SIZE_2M + PAGE_SIZE, SIZE_1G), 0);
    CHECK_EQ(t.tables, 1);
    radix_destroy(&t);
}

TEST(a_failed_split_changes_nothing)
{
    struct radix t;

    format.max_leaf_level = 2;
    CHECK_EQ(radix_init(&t, &format, 4), 0);
    CHECK_EQ(radix_map(&t, 0, hpa(0), SIZE_1G, RADIX_R), 0);
    fake_frame_fail_after = 0;
    CHECK_EQ(radix_unmap(&t, 0, PAGE_SIZE), -ENOMEM);
    CHECK_EQ(leaf_at(&t, 0), SIZE_1G);
    fake_frame_fail_after = 1; /* the first table comes, the second does not */
    CHECK_EQ(radix_unmap(&t, 0, PAGE_SIZE), -ENOMEM);
    CHECK_EQ(leaf_at(&t, 0), SIZE_2M);
    CHECK_EQ(leaf_at(&t, SIZE_1G - 1), SIZE_2M);
    CHECK_EQ(radix_unmap(&t, 0, SIZE_1G), 0); /* whole leaves need no memory */
    fake_frame_fail_after = -1;
    radix_destroy(&t);
    CHECK_EQ(fake_frames_out, 0);
}

TEST(bad_ranges_are_refused)
{
    struct radix t;

    CHECK_EQ(radix_init(&t, &format, 3), 0);
    CHECK_EQ(radix_map(&t, 1, hpa(0), PAGE_SIZE, 1), -EINVAL);
    CHECK_EQ(radix_map(&t, 0, hpa(1), PAGE_SIZE, 1), -EINVAL);
    CHECK_EQ(radix_map(&t, 0, hpa(0), PAGE_SIZE - 1, 1), -EINVAL);
    CHECK_EQ(radix_map(&t, 0, hpa(0), 0, 1), -EINVAL);
    CHECK_EQ(radix_unmap(&t, 0, 0), -EINVAL);
    CHECK_EQ(radix_map(&t, 512 * SIZE_1G, hpa(0), PAGE_SIZE, 1), -EINVAL);
    CHECK_EQ(radix_map(&t, 512 * SIZE_1G - PAGE_SIZE, hpa(0), 2 * PAGE_SIZE, 1), -EINVAL);
    CHECK_EQ(radix_map(&t, PAGE_SIZE, hpa(0), ~PAGE_MASK, 1), -EINVAL);
    CHECK_EQ(radix_map(&t, 512 * SIZE_1G - PAGE_SIZE, hpa(0), PAGE_SIZE, 1), 0);
    CHECK(!radix_lookup(&t, 512 * SIZE_1G, NULL, NULL, NULL));
    radix_destroy(&t);
    fake_frame_fail_after = 0;
    CHECK_EQ(radix_init(&t, &format, 3), -ENOMEM);
    fake_frame_fail_after = -1;
}

TEST(without_coherence_every_write_is_flushed)
{
    struct radix t;

    format.coherent = false;
    format.max_leaf_level = 2;
    fake_clflushes = 0;
    CHECK_EQ(radix_init(&t, &format, 3), 0);
    CHECK_EQ(fake_clflushes, 64);
    CHECK_EQ(radix_map(&t, 0, hpa(0), SIZE_1G, 1), 0);
    CHECK_EQ(fake_clflushes, 65);
    CHECK_EQ(radix_unmap(&t, 0, SIZE_2M), 0); /* a table, its entry, and one entry in it */
    CHECK_EQ(fake_clflushes, 65 + 64 + 2);
    radix_destroy(&t);
    format.coherent = true;
}

TEST_MAIN()
