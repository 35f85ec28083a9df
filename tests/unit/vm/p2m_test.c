/* SPDX-License-Identifier: BSD-2-Clause */
/* vm/p2m.c over the real walker: RAM blocks, copies over their borders, the hole, device pages. */
#include "tests/unit/test.h"

#include "tests/unit/fake/frame.c"

#include "kernel/mm/radix.c"
#include "vm/p2m.c"
#include "vm/svm/npt.c"

struct boot_cpu hvm_cpu;

static const struct hvm_ops ops = {.p2m_init = svm_p2m_init};
const struct hvm_ops *hvm = &ops;

static struct p2m p;
static struct boot_guest cfg;

/* Memory in blocks of 2 MiB, no two of which are neighbours. */
static int init(uint64_t bytes)
{
    p = (struct p2m){0};
    cfg = (struct boot_guest){.memory = bytes, .nblocks = (uint32_t)(bytes / SIZE_2M)};
    for (unsigned i = 0; i < cfg.nblocks; i++)
        cfg.block[i] =
            (struct boot_block){i * SIZE_2M, ptr_to_hpa(aligned_alloc(SIZE_2M, 2 * SIZE_2M)).a, SIZE_2M};
    return p2m_init(&p, &cfg);
}

static void tear_down(void)
{
    if (p.table.root.a)
        radix_destroy(&p.table);
    for (unsigned i = 0; i < cfg.nblocks; i++)
        free(hpa_to_ptr(hpa(cfg.block[i].base)));
    CHECK_EQ(fake_frames_out, 0);
}

TEST(ram)
{
    uint64_t target;
    unsigned flags;
    hpa_t at;

    CHECK_EQ(init(6 * SIZE_2M), 0);
    CHECK_EQ(p.end - p.block, 6);
    CHECK(radix_lookup(&p.table, 0x345678, &at, &flags));
    CHECK_EQ(flags, RADIX_R | RADIX_W | RADIX_X);
    target = (uint64_t)(uintptr_t)p2m_ram(&p, gpa(0x345678), 1);
    CHECK_EQ(target - DIRECT_MAP_BASE, at.a);
    CHECK(p2m_is_ram(&p, gpa(0), 6 * SIZE_2M));
    CHECK(!p2m_is_ram(&p, gpa(0), 6 * SIZE_2M + 1));
    CHECK(!p2m_is_ram(&p, gpa(6 * SIZE_2M), 1));
    CHECK(!p2m_is_ram(&p, gpa(~0ull), 2));
    CHECK(!p2m_is_ram(&p, gpa(0x1000), ~0ull));
    CHECK(!p2m_is_ram(&p, gpa(GPA_HIGH_RAM), 1));
    CHECK(!p2m_ram(&p, gpa(6 * SIZE_2M), 1));
    CHECK(!p2m_ram(&p, gpa(SIZE_2M - 1), 2)); /* what is behind 2 MiB may be elsewhere */
    CHECK(!p2m_ram(&p, gpa(0), ~0ull));
    CHECK(p2m_ram(&p, gpa(4 * SIZE_2M - 1), 1) != NULL);
    tear_down();
}

TEST(zeroing_piece_by_piece)
{
    uint64_t done = 0;

    CHECK_EQ(init(3 * SIZE_2M), 0);
    for (unsigned i = 0; i < 3; i++)
        *(char *)p2m_ram(&p, gpa((i + 1) * SIZE_2M - 1), 1) = 1;
    CHECK(p2m_zero(&p, &done));
    CHECK_EQ(done, SIZE_2M);
    CHECK_EQ(*(char *)p2m_ram(&p, gpa(SIZE_2M - 1), 1), 0);
    CHECK_EQ(*(char *)p2m_ram(&p, gpa(2 * SIZE_2M - 1), 1), 1);
    CHECK(p2m_zero(&p, &done) && p2m_zero(&p, &done));
    CHECK(!p2m_zero(&p, &done));
    CHECK_EQ(*(char *)p2m_ram(&p, gpa(3 * SIZE_2M - 1), 1), 0);
    tear_down();
}

TEST(copies_cross_blocks_or_do_nothing)
{
    char in[64], out[64] = {0};

    CHECK_EQ(init(3 * SIZE_2M), 0);
    memset(in, 0x5a, sizeof(in));
    CHECK_EQ(p2m_write(&p, gpa(2 * SIZE_2M - 10), in, sizeof(in)), 0);
    CHECK_EQ(p2m_read(&p, gpa(2 * SIZE_2M - 10), out, sizeof(out)), 0);
    CHECK_EQ(memcmp(in, out, sizeof(in)), 0);
    memset(out, 1, sizeof(out));
    CHECK_EQ(p2m_read(&p, gpa(3 * SIZE_2M - 10), out, sizeof(out)), -EFAULT);
    CHECK_EQ(out[0], 1);
    CHECK_EQ(p2m_write(&p, gpa(3 * SIZE_2M - 10), in, sizeof(in)), -EFAULT);
    CHECK(*(char *)p2m_ram(&p, gpa(3 * SIZE_2M - 10), 1) != 0x5a);
    tear_down();
}

TEST(device_pages_are_not_ram)
{
    unsigned flags;
    hpa_t at;

    CHECK_EQ(init(SIZE_2M), 0);
    CHECK_EQ(p.generation, 0);
    CHECK_EQ(p2m_map(&p, gpa(0xc0000000), hpa(0xfe000000), 0x4000, RADIX_R | RADIX_W | RADIX_UC), 0);
    CHECK_EQ(p.generation, 1);
    CHECK(radix_lookup(&p.table, 0xc0003000, &at, &flags));
    CHECK_EQ(at.a, 0xfe003000);
    CHECK_EQ(flags, RADIX_R | RADIX_W | RADIX_UC);
    CHECK(!p2m_ram(&p, gpa(0xc0000000), 1));
    CHECK_EQ(p2m_unmap(&p, gpa(0xc0000000), 0x4000), 0);
    CHECK_EQ(p.generation, 2);
    CHECK(!radix_lookup(&p.table, 0xc0003000, NULL, NULL));
    CHECK(p2m_map(&p, gpa(0xc0000800), hpa(0xfe000000), 0x1000, RADIX_R) != 0);
    tear_down();
}

TEST(no_memory_for_the_tables)
{
    for (long n = 0; n < 4; n++) {
        fake_frame_fail_after = n;
        CHECK_EQ(init(3 * SIZE_2M), n < 3 ? -ENOMEM : 0);
        fake_frame_fail_after = -1;
        tear_down();
    }
}

TEST(high_ram_starts_at_4g)
{
    /* as p2m_init() would for 3 GiB + 2 MiB, without taking them */
    struct p2m q = {.ram_low = GPA_PCI_WINDOW, .ram_high = SIZE_2M};

    CHECK(p2m_is_ram(&q, gpa(GPA_HIGH_RAM), SIZE_2M));
    CHECK(!p2m_is_ram(&q, gpa(GPA_HIGH_RAM), SIZE_2M + 1));
    CHECK(!p2m_is_ram(&q, gpa(GPA_PCI_WINDOW), 1));
    CHECK(!p2m_is_ram(&q, gpa(GPA_LAPIC), 1));
}

TEST_MAIN()
