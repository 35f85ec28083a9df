/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/test.h"

#include "tests/unit/fake/x86.h"

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
        table = (uint64_t *)(e & PTE_TARGET);
    }
}

static uint64_t pa_of(uint64_t va)
{
    unsigned level;
    uint64_t e = look(va, &level), mask = ((uint64_t)1 << (12 + 9 * level)) - 1;

    return e ? (e & PTE_TARGET & ~mask) | (va & mask) : ~0ull;
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
    CHECK_EQ(look(0xffffffff80000000, &level), 0x201000 | LEAF);
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

/* --- the hypervisor's tables --- */

#define IMAGE     ((uint64_t)64 << 20)
#define STACKS    ((uint64_t)80 << 20)
#define CPUS      3
#define CONSTANTS 0x8000

static const struct boot_range ram[] = {{0, 640 << 10}, {1 << 20, 3 * SIZE_1G}};
static const struct elf_image img = {
    .vaddr = IMAGE_BASE,
    .size = 0xc000,
    .nsegments = 3,
    .segment = {{.vaddr = IMAGE_BASE, .memsz = 0x4800, .exec = true},
                {.vaddr = IMAGE_BASE + 0x5000, .memsz = 0x2345},
                {.vaddr = IMAGE_BASE + CONSTANTS, .memsz = 0x3001, .write = true}},
};

static bool build(bool leaf_1g)
{
    start(paging_tables(ram, 2, &img), leaf_1g);
    return paging_build(&pt, ram, 2, &img, IMAGE, STACKS, CPUS);
}

static uint64_t flags_of(uint64_t va)
{
    unsigned level;

    return look(va, &level) & (MAP_WRITE | MAP_NO_EXEC);
}

static void check_leaves(const uint64_t *table, unsigned level, uint64_t *leaves)
{
    for (unsigned i = 0; i < ENTRIES; i++) {
        uint64_t e = table[i];

        if (!(e & PTE_P))
            continue;
        CHECK(e & PTE_A);
        if (level && !(e & PTE_PS)) {
            check_leaves((const uint64_t *)(e & PTE_TARGET), level - 1, leaves);
            continue;
        }
        CHECK(!(e & PTE_RW) || e & PTE_NX);
        CHECK_EQ(e & LEAF, LEAF);
        ++*leaves;
    }
}

TEST(nothing_is_writable_and_executable)
{
    for (unsigned leaf_1g = 0; leaf_1g < 2; leaf_1g++) {
        uint64_t leaves = 0;

        CHECK(build(leaf_1g));
        CHECK(pt.used < pt.npages);
        check_leaves(pt.pool, 3, &leaves);
        CHECK(leaves > 100);
    }
}

TEST(the_image_has_its_permissions_at_both_addresses)
{
    static const struct {
        uint64_t at, flags, direct;
    } want[] = {
        {0, 0, MAP_NO_EXEC},
        {0x4fff, 0, MAP_NO_EXEC},
        {0x5000, MAP_NO_EXEC, MAP_NO_EXEC},
        {CONSTANTS - 1, MAP_NO_EXEC, MAP_NO_EXEC},
        {CONSTANTS, MAP_WRITE | MAP_NO_EXEC, MAP_WRITE | MAP_NO_EXEC},
        {0xbfff, MAP_WRITE | MAP_NO_EXEC, MAP_WRITE | MAP_NO_EXEC},
    };
    unsigned level;

    CHECK(build(true));
    for (unsigned i = 0; i < 6; i++) {
        CHECK_EQ(pa_of(IMAGE_BASE + want[i].at), IMAGE + want[i].at);
        CHECK_EQ(flags_of(IMAGE_BASE + want[i].at), want[i].flags);
        CHECK_EQ(pa_of(DIRECT_MAP_BASE + IMAGE + want[i].at), IMAGE + want[i].at);
        CHECK_EQ(flags_of(DIRECT_MAP_BASE + IMAGE + want[i].at), want[i].direct);
    }
    CHECK(!look(IMAGE_BASE + 0xc000, &level));
    CHECK_EQ(flags_of(DIRECT_MAP_BASE + IMAGE - 1), MAP_WRITE | MAP_NO_EXEC);
}

TEST(the_direct_map_holds_ram_in_large_leaves_and_nothing_else)
{
    unsigned level;

    CHECK(build(true));
    CHECK_EQ(pa_of(DIRECT_MAP_BASE + SIZE_1G + 5), SIZE_1G + 5);
    CHECK(look(DIRECT_MAP_BASE + SIZE_1G, &level) && level == 2);
    CHECK(!look(DIRECT_MAP_BASE + (640 << 10), &level));
    CHECK(!look(DIRECT_MAP_BASE + 3 * SIZE_1G, &level));
    CHECK(!look(0, &level));
    CHECK(build(false));
    CHECK(look(DIRECT_MAP_BASE + SIZE_1G, &level) && level == 1);
}

TEST(stacks_have_guard_pages)
{
    uint64_t last = 0;
    unsigned level;

    CHECK(build(true));
    for (unsigned i = 0; i < CPUS * STACKS_PER_CPU; i++) {
        uint64_t top = stack_top(i / STACKS_PER_CPU, i % STACKS_PER_CPU), bottom = top - STACK_BYTES;

        CHECK(bottom >= last + PAGE_SIZE);
        CHECK(!look(bottom - 1, &level) && !look(top, &level));
        CHECK_EQ(pa_of(bottom), STACKS + i * STACK_BYTES);
        CHECK_EQ(pa_of(top - 1), STACKS + (i + 1) * STACK_BYTES - 1);
        CHECK_EQ(flags_of(bottom), MAP_WRITE | MAP_NO_EXEC);
        last = top;
    }
    CHECK(!look(stack_top(CPUS, STACK_MAIN) - 1, &level));
}

TEST(a_pool_that_is_too_small_is_refused)
{
    size_t enough;

    CHECK(build(true));
    enough = pt.used;
    for (size_t pages = 1; pages < enough; pages++) {
        start(pages, true);
        CHECK(!paging_build(&pt, ram, 2, &img, IMAGE, STACKS, CPUS));
    }
}

TEST_MAIN()
