/* SPDX-License-Identifier: BSD-2-Clause */
/* vm/svm/npt.c under the real walker: what the CPU will find. */
#include "tests/unit/test.h"

#include "tests/unit/fake/frame.c"

#include "kernel/mm/radix.c"
#include "vm/svm/npt.c"

struct boot_cpu hvm_cpu;

/* Walks the tables as APM 2 5.3 says; the leaf entry and its level (0: 4 KiB). */
static uint64_t walk(const struct radix *t, uint64_t addr, unsigned *level)
{
    hpa_t table = t->root;
    uint64_t e;

    for (*level = 3;; (*level)--) {
        e = ((uint64_t *)hpa_to_ptr(table))[addr >> (12 + 9 * *level) & 511];
        if (!(e & 1) || *level == 0 || (e & 0x80))
            return e;
        CHECK_EQ(e & 7, 7); /* tables: present, writable, user */
        table = hpa(e & 0xffffffffff000);
    }
}

TEST(leaves)
{
    struct radix t;
    unsigned level;

    hvm_cpu.leaf_1g = true;
    CHECK_EQ(svm_p2m_init(&t), 0);
    CHECK_EQ(radix_map(&t, 0, hpa(SIZE_1G), SIZE_1G, RADIX_R | RADIX_W | RADIX_X), 0);
    CHECK_EQ(walk(&t, 0x1234000, &level) & ~0x60ull, SIZE_1G | 0x87);
    CHECK_EQ(level, 2);
    CHECK_EQ(radix_map(&t, SIZE_1G, hpa(SIZE_2M), SIZE_2M, RADIX_R | RADIX_X), 0);
    CHECK_EQ(walk(&t, SIZE_1G, &level) & ~0x60ull, SIZE_2M | 0x85);
    CHECK_EQ(level, 1);
    /* a device page: writable, never executable, uncacheable (PAT entry 3) */
    CHECK_EQ(radix_map(&t, 0xc0000000, hpa(0xfe000000), 0x1000, RADIX_R | RADIX_W | RADIX_UC), 0);
    CHECK_EQ(walk(&t, 0xc0000000, &level) & ~0x60ull, 0x80000000fe00001f);
    CHECK_EQ(level, 0);
    CHECK_EQ(walk(&t, 0xc0001000, &level) & 1, 0);
    radix_destroy(&t);
    CHECK_EQ(fake_frames_out, 0);
}

TEST(flags_round_trip)
{
    struct radix t;
    unsigned flags;

    CHECK_EQ(svm_p2m_init(&t), 0);
    for (unsigned f = 0; f < 16; f++) {
        CHECK_EQ(radix_map(&t, 0, hpa(0x1000), 0x1000, f), 0);
        CHECK_EQ(radix_lookup(&t, 0, NULL, &flags), (f & RADIX_R) != 0);
        CHECK_EQ(flags, f);
    }
    radix_destroy(&t);
}

TEST(no_1g_without_the_cpu_having_it)
{
    struct radix t;

    hvm_cpu.leaf_1g = false;
    CHECK_EQ(svm_p2m_init(&t), 0);
    CHECK_EQ(t.max_leaf_level, 1);
    radix_destroy(&t);
}

TEST_MAIN()
