/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/test.h"

#include "tests/unit/fake/frame.c"
#include "tests/unit/fake/log.c"

#include "kernel/mm/paging.c"
#include "kernel/mm/radix.c"

#define JUMP 0x7f000000

static const struct bootinfo bi = {.jump = JUMP};

/* What boot/ has built: here two pages that can be executed. */
static void start(void)
{
    if (paging.tree.root.a)
        radix_destroy(&paging.tree);
    CHECK(!radix_init(&paging.tree));
    CHECK(!radix_map(&paging.tree, 0x9f000, hpa(0x9f000), PAGE_SIZE, RADIX_R | RADIX_X));
    CHECK(!radix_map(&paging.tree, JUMP, hpa(JUMP), PAGE_SIZE, RADIX_R | RADIX_X));
    fake_cr[3] = paging.tree.root.a;
    paging.tree.root = hpa(0);
    paging.mmio_next = MMIO_MAP_BASE;
    paging_init(&bi);
}

static bool look(uint64_t va, hpa_t *target, unsigned *flags, uint64_t *size)
{
    hpa_t table = paging.tree.root;
    unsigned level = 3;
    uint64_t e;

    while (is_table(&x86_format, e = *entry_of(table, level, va), level)) {
        table = hpa(e & PTE_TARGET);
        level--;
    }
    if (size)
        *size = level_size(level);
    return radix_lookup(&paging.tree, va & VA_MASK, target, flags);
}

static void check_leaves(hpa_t table, unsigned level, uint64_t *leaves)
{
    for (unsigned i = 0; i < 512; i++) {
        uint64_t e = ((uint64_t *)hpa_to_ptr(table))[i];

        if (!(e & PTE_P))
            continue;
        if (level && !(e & PTE_PS)) {
            check_leaves(hpa(e & PTE_TARGET), level - 1, leaves);
            continue;
        }
        CHECK(!(e & PTE_RW) || e & PTE_NX);
        ++*leaves;
    }
}

TEST(nothing_is_writable_and_executable)
{
    uint64_t leaves = 0;

    start();
    CHECK(mmio_map(hpa(0xfed00000), 0x4000) != NULL);
    check_leaves(paging.tree.root, 3, &leaves);
    CHECK_EQ(leaves, 4 + 1);
    CHECK_EQ(fake_cr[3], paging.tree.root.a);
}

TEST(device_registers_are_mapped_uncached_and_apart)
{
    uint64_t a, b, c, size;
    unsigned flags;
    hpa_t target;

    start();
    a = (uint64_t)mmio_map(hpa(0xfebf0010), 0x20);
    b = (uint64_t)mmio_map(hpa(0xfebf0ff0), 0x20); /* over the end of a page */
    c = (uint64_t)mmio_map(hpa(0xb0000000), 256 << 20);
    CHECK(look(a, &target, &flags, NULL));
    CHECK_EQ(target.a, 0xfebf0010);
    CHECK_EQ(flags, RADIX_R | RADIX_W | RADIX_UC);
    CHECK(look(b + 0x1f, &target, NULL, NULL));
    CHECK_EQ(target.a, 0xfebf100f);
    CHECK(look(c, &target, NULL, &size));
    CHECK_EQ(target.a, 0xb0000000);
    CHECK_EQ(size, SIZE_2M);
    CHECK(a >> PAGE_SHIFT != b >> PAGE_SHIFT && c >= b + 0x20);
}

TEST(ram_is_what_the_direct_map_holds)
{
    start();
    CHECK(!radix_map(&paging.tree, (DIRECT_MAP_BASE + SIZE_2M) & VA_MASK, hpa(SIZE_2M), SIZE_2M,
                     RADIX_R | RADIX_W));
    CHECK(mmio_map(hpa(0xfed00000), 0x1000) != NULL);
    CHECK(paging_is_ram(hpa(SIZE_2M)) && paging_is_ram(hpa(2 * SIZE_2M - 1)));
    CHECK(!paging_is_ram(hpa(SIZE_2M - 1)) && !paging_is_ram(hpa(2 * SIZE_2M)));
    CHECK(!paging_is_ram(hpa(MMIO_MAP_BASE - DIRECT_MAP_BASE))); /* what is mapped there is no RAM */
    CHECK(!paging_is_ram(hpa(0x9f000 - DIRECT_MAP_BASE)) && !paging_is_ram(hpa(~(uint64_t)0)));
}

TEST(bad_device_ranges)
{
    start();
    CHECK(mmio_map(hpa(0x1000), 0) == NULL);
    CHECK(mmio_map(hpa(0x1000), UINT64_MAX) == NULL);
    CHECK(mmio_map(hpa(UINT64_MAX - 5), 100) == NULL);
    CHECK(mmio_map(hpa(0), (uint64_t)2 << 40) == NULL); /* more than there are addresses */
    fake_frame_fail_after = 0;
    CHECK(mmio_map(hpa(0xfed00000), 0x1000) == NULL);
    fake_frame_fail_after = -1;
    CHECK(mmio_map(hpa(0xfed00000), 0x1000) != NULL);
}

TEST(pages_at_their_own_address_go)
{
    start();
    CHECK(!look(JUMP, NULL, NULL, NULL));
    CHECK(look(0x9f000, NULL, NULL, NULL));
    paging_unmap_identity(hpa(0x9f000));
    CHECK(!look(0x9f000, NULL, NULL, NULL));
    CHECK(FAKE_EXPECT_PANIC(paging_unmap_identity(hpa(0x9f001))));
}

/* The frames of the last tables. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

TEST_MAIN()
