/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/test.h"

#include "tests/unit/fake/frame.c"
#include "tests/unit/fake/log.c"

/* What linker/hv.ld says: 5 pages of text, 3 of constants, 4 of data. */
#define TEXT   (5 * PAGE_SIZE)
#define RODATA (3 * PAGE_SIZE)
#define DATA   (4 * PAGE_SIZE)
__asm__(".pushsection .bss\n"
        ".globl image_start, text_end, rodata_end, image_end\n"
        "image_start: .skip 0x5000\n"
        "text_end: .skip 0x3000\n"
        "rodata_end: .skip 0x4000\n"
        "image_end:\n"
        ".popsection\n");

#include "kernel/mm/paging.c"
#include "kernel/mm/radix.c"

static struct frame_range ranges[2];
static hpa_t low;

unsigned frame_ram_ranges(const struct frame_range **r)
{
    *r = ranges;
    return 2;
}

hpa_t frame_low_page(void)
{
    return low;
}

static struct cpuid_regs no_1g(uint32_t leaf, uint32_t subleaf)
{
    (void)leaf;
    (void)subleaf;
    return (struct cpuid_regs){0, 0, 0, 0};
}

static struct cpuid_regs all(uint32_t leaf, uint32_t subleaf)
{
    (void)leaf;
    (void)subleaf;
    return (struct cpuid_regs){~0u, ~0u, ~0u, ~0u};
}

static const struct bootinfo bi = {.image_base = 64 << 20, .image_size = TEXT + RODATA + DATA};

static void start(void)
{
    if (paging.tree.root.a)
        radix_destroy(&paging.tree);
    low = frame_alloc(0);
    ranges[0] = (struct frame_range){0, 640 << 10};
    ranges[1] = (struct frame_range){1 << 20, 3 * SIZE_1G};
    paging.mmio_next = MMIO_MAP_BASE;
    fake_cr[4] = CR4_PGE;
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
    CHECK(paging_map_stacks(0) && paging_map_stacks(63));
    paging_map_trampoline(hpa(0x9f000));
    CHECK(mmio_map(hpa(0xfed00000), 0x4000) != NULL);
    check_leaves(paging.tree.root, 3, &leaves);
    CHECK(leaves > 100);
    CHECK_EQ(fake_cr[3], paging.tree.root.a);
    CHECK_EQ(fake_cr[4], CR4_PGE);
}

TEST(the_image_has_its_permissions_at_both_addresses)
{
    static const struct {
        uint64_t at;
        unsigned flags, direct;
    } want[] = {
        {0, RADIX_R | RADIX_X, RADIX_R},
        {TEXT - 1, RADIX_R | RADIX_X, RADIX_R},
        {TEXT, RADIX_R, RADIX_R},
        {TEXT + RODATA - 1, RADIX_R, RADIX_R},
        {TEXT + RODATA, RADIX_R | RADIX_W, RADIX_R | RADIX_W},
        {TEXT + RODATA + DATA - 1, RADIX_R | RADIX_W, RADIX_R | RADIX_W},
    };
    unsigned flags;
    hpa_t target;

    start();
    for (unsigned i = 0; i < ARRAY_SIZE(want); i++) {
        CHECK(look(IMAGE_BASE + want[i].at, &target, &flags, NULL));
        CHECK_EQ(flags, want[i].flags);
        CHECK_EQ(target.a, bi.image_base + want[i].at);
        CHECK(look(DIRECT_MAP_BASE + bi.image_base + want[i].at, &target, &flags, NULL));
        CHECK_EQ(flags, want[i].direct);
    }
    CHECK(!look(IMAGE_BASE + TEXT + RODATA + DATA, NULL, NULL, NULL));
}

TEST(the_direct_map_holds_ram_in_large_leaves_and_nothing_else)
{
    uint64_t size;
    hpa_t target;

    fake_cpuid = all;
    start();
    CHECK(look(DIRECT_MAP_BASE + SIZE_1G + 5, &target, NULL, &size));
    CHECK_EQ(target.a, SIZE_1G + 5);
    CHECK_EQ(size, SIZE_1G);
    CHECK(!look(DIRECT_MAP_BASE + (640 << 10), NULL, NULL, NULL));
    CHECK(!look(DIRECT_MAP_BASE + 3 * SIZE_1G, NULL, NULL, NULL));
    CHECK(!look(0, NULL, NULL, NULL));
    fake_cpuid = no_1g;
    start();
    CHECK(look(DIRECT_MAP_BASE + SIZE_1G, NULL, NULL, &size));
    CHECK_EQ(size, SIZE_2M);
}

TEST(stacks_have_guard_pages)
{
    uint64_t last = 0;
    hpa_t a, b;

    start();
    for (unsigned cpu = 0; cpu < 3; cpu++) {
        CHECK_EQ(paging_map_stacks(cpu), paging_stack_top(cpu, STACK_MAIN));
        for (unsigned s = 0; s < STACKS_PER_CPU; s++) {
            uint64_t top = paging_stack_top(cpu, s), bottom = top - STACK_PAGES * PAGE_SIZE;

            CHECK(bottom >= last + PAGE_SIZE);
            CHECK(!look(bottom - 1, NULL, NULL, NULL) && !look(top, NULL, NULL, NULL));
            CHECK(look(bottom, &a, NULL, NULL) && look(top - 1, &b, NULL, NULL) && a.a != b.a);
            last = top;
        }
    }
    fake_frame_fail_after = 3;
    CHECK_EQ(paging_map_stacks(7), 0);
    fake_frame_fail_after = -1;
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

TEST(the_trampoline_comes_and_goes)
{
    unsigned flags;
    hpa_t target;

    start();
    paging_map_trampoline(hpa(0x9f000));
    CHECK(look(0x9f000, &target, &flags, NULL));
    CHECK_EQ(target.a, 0x9f000);
    CHECK_EQ(flags, RADIX_R | RADIX_X);
    CHECK(!look(0x9e000, NULL, NULL, NULL) && !look(0xa0000, NULL, NULL, NULL));
    paging_unmap_trampoline(hpa(0x9f000));
    CHECK(!look(0x9f000, NULL, NULL, NULL));
}

TEST(without_memory_the_start_panics)
{
    start();
    radix_destroy(&paging.tree);
    low = frame_alloc(0);
    fake_frame_fail_after = 2;
    CHECK(FAKE_EXPECT_PANIC(paging_init(&bi)));
    fake_frame_fail_after = -1;
    radix_destroy(&paging.tree);
}

/* The frames of the stacks. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

TEST_MAIN()
