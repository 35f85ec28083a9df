/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/test.h"

#include "boot/paging.c"

#define POOL 64

static struct page_tables pt;

static void start(size_t npages, bool leaf_1g)
{
    free(pt.pool);
    pt = (struct page_tables){aligned_alloc(4096, npages * 4096), npages, 0, leaf_1g};
    memset(pt.pool, 0, npages * 4096);
}

/* What the processor would find: the leaf and its level, or 0. */
static uint64_t look(uint64_t va, unsigned *level)
{
    uint64_t *table = pt.pool, e = 0;

    for (unsigned l = 3;; l--) {
        e = table[va >> (12 + 9 * l) & 511];
        *level = l;
        if (!(e & 1) || l == 0 || (e & PTE_PS))
            return e & 1 ? e : 0;
        table = (uint64_t *)(e & PTE_ADDR);
    }
}

static uint64_t pa_of(uint64_t va)
{
    unsigned level;
    uint64_t e = look(va, &level), mask = ((uint64_t)1 << (12 + 9 * level)) - 1;

    return e ? (e & PTE_ADDR & ~mask) | (va & mask) : ~0ull;
}

TEST(the_largest_leaves_are_used)
{
    const uint64_t va = 0xffff800000000000;
    unsigned level;

    start(POOL, true);
    CHECK(paging_map(&pt, va + 0x1ff000, 0x1ff000, 0x80201000, MAP_WRITE | MAP_NO_EXEC));
    CHECK(look(va + 0x1ff000, &level) && level == 0);
    CHECK(look(va + 0x200000, &level) && level == 1);
    CHECK(look(va + 0x40000000, &level) && level == 2);
    CHECK(look(va + 0x80000000, &level) && level == 1);
    CHECK(look(va + 0x803ff000, &level) && level == 1);
    CHECK(!look(va + 0x80400000, &level));
    CHECK(!look(va + 0x1fe000, &level));
    for (uint64_t a = 0x1ff000; a < 0x80400000; a += 0x1ff000)
        CHECK_EQ(pa_of(va + a), a);
    CHECK_EQ(look(va + 0x200000, &level) & (MAP_WRITE | MAP_NO_EXEC), MAP_WRITE | MAP_NO_EXEC);

    start(POOL, false);
    CHECK(paging_map(&pt, va, 0, SIZE_1G, MAP_WRITE));
    CHECK(look(va, &level) && level == 1);
}

TEST(leaves_follow_the_alignment_of_both_addresses)
{
    unsigned level;

    start(POOL, true);
    CHECK(paging_map(&pt, 0xffffffff80000000, 0x201000, SIZE_2M, 0));
    CHECK(look(0xffffffff80000000, &level) && level == 0);
    CHECK_EQ(pa_of(0xffffffff80000000 + 0x1fffff), 0x400fff);
    CHECK_EQ(look(0xffffffff80000000, &level), 0x201001);
}

TEST(a_small_pool_and_a_second_mapping_are_refused)
{
    start(3, true);
    CHECK(!paging_map(&pt, 0x1000, 0x1000, 0x1000, 0));
    start(4, true);
    CHECK(paging_map(&pt, 0x1000, 0x1000, 0x1000, 0));
    CHECK(!paging_map(&pt, 0x1000, 0x2000, 0x1000, 0));
    CHECK(!paging_map(&pt, 0, 0, SIZE_2M, 0));
    start(POOL, true);
    CHECK(paging_map(&pt, 0, (uint64_t)1 << 46, SIZE_2M, 0)); /* a leaf is not taken for a table */
    CHECK(!paging_map(&pt, 0x1000, 0x1000, 0x1000, 0));
}

TEST_MAIN()
