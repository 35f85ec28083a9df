/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/test.h"

#include "tests/unit/fake/frame.c"
#include "tests/unit/fake/log.c"

#include "kernel/mm/radix.c"

/* Permissions in bits 2 to 5, that of writing upside down. One format tells leaves by a bit, the other tables by
 * their level. */
static const struct radix_format by_bit = {
    .present = 1, .table = 1, .large = 2, .leaf = 1 | 8, .flag = {4, 8, 16, 32}};
static const struct radix_format by_level = {
    .present = 1 | 64, .table = 1, .level = 7ull << 9, .leaf = 64 | 8, .flag = {4, 8, 16, 32}};

static struct radix tree(const struct radix_format *f, unsigned levels, unsigned max_leaf_level)
{
    return (struct radix){.format = f, .levels = levels, .max_leaf_level = max_leaf_level};
}

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
        unsigned flags;
        hpa_t target;
        bool mapped = radix_lookup(t, BASE + i * PAGE_SIZE + 5, &target, &flags);

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
static void property(const struct radix_format *f, unsigned max_leaf_level, bool starve)
{
    struct radix t = tree(f, 4, max_leaf_level);

    memset(model, 0, sizeof(model));
    CHECK_EQ(radix_init(&t), 0);
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
    radix_destroy(&t);
    CHECK_EQ(fake_frames_out, 0);
}

TEST(random_changes_agree_with_a_flat_model)
{
    for (unsigned level = 0; level < 6; level++)
        property(level % 2 ? &by_level : &by_bit, level / 2, false);
}

TEST(without_memory_everything_outside_the_range_stays)
{
    for (unsigned level = 0; level < 6; level++)
        property(level % 2 ? &by_level : &by_bit, level / 2, true);
}

/* Size of the leaf that maps an address, or 0. */
static uint64_t leaf_at(const struct radix *t, uint64_t addr)
{
    unsigned level = t->levels - 1;
    uint64_t e;

    for (hpa_t table = t->root; is_table(t->format, e = *entry_of(table, level, addr), level); level--)
        table = hpa(e & TARGET);
    CHECK(level || !(e & t->format->large)); /* which means something else down there */
    return e & t->format->present ? level_size(level) : 0;
}

TEST(leaves_are_the_largest_that_fit)
{
    struct radix t = tree(&by_bit, 4, 2);

    CHECK_EQ(radix_init(&t), 0);
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
    t.max_leaf_level = 0;
    CHECK_EQ(radix_map(&t, 16 * SIZE_1G, hpa(0), SIZE_2M, RADIX_R), 0);
    CHECK_EQ(leaf_at(&t, 16 * SIZE_1G), PAGE_SIZE);
    radix_destroy(&t);
}

TEST(a_split_keeps_the_rest)
{
    struct radix t = tree(&by_bit, 4, 2);
    unsigned flags;
    hpa_t target;

    CHECK_EQ(radix_init(&t), 0);
    CHECK_EQ(radix_map(&t, 0, hpa(SIZE_4G), SIZE_1G, RADIX_R | RADIX_X), 0);
    CHECK_EQ(fake_frames_out, 2);
    CHECK_EQ(radix_unmap(&t, 5 * SIZE_2M + 3 * PAGE_SIZE, PAGE_SIZE), 0);
    CHECK_EQ(fake_frames_out, 4);
    CHECK_EQ(leaf_at(&t, 5 * SIZE_2M + 3 * PAGE_SIZE), 0);
    CHECK_EQ(leaf_at(&t, 5 * SIZE_2M + 4 * PAGE_SIZE), PAGE_SIZE);
    CHECK_EQ(leaf_at(&t, 4 * SIZE_2M), SIZE_2M);
    CHECK(radix_lookup(&t, SIZE_1G - 1, &target, &flags));
    CHECK_EQ(target.a, SIZE_4G + SIZE_1G - 1);
    CHECK_EQ(flags, RADIX_R | RADIX_X);
    radix_destroy(&t);
}

TEST(unmapping_nothing_takes_no_table)
{
    struct radix t = tree(&by_bit, 4, 0);

    CHECK_EQ(radix_init(&t), 0);
    CHECK_EQ(radix_unmap(&t, SIZE_2M + PAGE_SIZE, SIZE_1G), 0);
    CHECK_EQ(fake_frames_out, 1);
    radix_destroy(&t);
}

TEST(a_failed_split_changes_nothing)
{
    struct radix t = tree(&by_bit, 4, 2);

    CHECK_EQ(radix_init(&t), 0);
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
    struct radix t = tree(&by_bit, 3, 0);

    CHECK_EQ(radix_init(&t), 0);
    CHECK_EQ(radix_map(&t, 1, hpa(0), PAGE_SIZE, 1), -EINVAL);
    CHECK_EQ(radix_map(&t, 0, hpa(1), PAGE_SIZE, 1), -EINVAL);
    CHECK_EQ(radix_map(&t, 0, hpa(0), PAGE_SIZE - 1, 1), -EINVAL);
    CHECK_EQ(radix_map(&t, 0, hpa(0), 0, 1), -EINVAL);
    CHECK_EQ(radix_unmap(&t, 0, 0), -EINVAL);
    CHECK_EQ(radix_map(&t, 512 * SIZE_1G, hpa(0), PAGE_SIZE, 1), -EINVAL);
    CHECK_EQ(radix_map(&t, 512 * SIZE_1G - PAGE_SIZE, hpa(0), 2 * PAGE_SIZE, 1), -EINVAL);
    CHECK_EQ(radix_map(&t, PAGE_SIZE, hpa(0), ~PAGE_MASK, 1), -EINVAL);
    CHECK_EQ(radix_map(&t, 512 * SIZE_1G - PAGE_SIZE, hpa(0), PAGE_SIZE, 1), 0);
    CHECK(!radix_lookup(&t, 512 * SIZE_1G, NULL, NULL));
    radix_destroy(&t);
    fake_frame_fail_after = 0;
    CHECK_EQ(radix_init(&t), -ENOMEM);
    fake_frame_fail_after = -1;
}

TEST(what_is_not_snooped_is_flushed)
{
    struct radix t = tree(&by_bit, 3, 2);

    fake_clflushes = 0;
    CHECK_EQ(radix_init(&t), 0);
    CHECK_EQ(radix_map(&t, 0, hpa(0), SIZE_1G, 1), 0);
    CHECK_EQ(fake_clflushes, 0);
    radix_destroy(&t);
    t.flush = true;
    CHECK_EQ(radix_init(&t), 0);
    CHECK_EQ(fake_clflushes, 64);
    CHECK_EQ(radix_map(&t, 0, hpa(0), SIZE_1G, 1), 0);
    CHECK_EQ(fake_clflushes, 65);
    CHECK_EQ(radix_unmap(&t, 0, SIZE_2M), 0); /* a table, its entry, and one entry in it */
    CHECK_EQ(fake_clflushes, 65 + 64 + 2);
    radix_destroy(&t);
}

TEST_MAIN()
