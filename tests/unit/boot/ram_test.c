/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/test.h"

#include "boot/ram.c"

#define ROOM 8

static struct boot_range ranges[ROOM];
static uint64_t count;
static struct boot_guest guest;

static void set(const struct boot_range *r, uint64_t n, uint64_t memory)
{
    memcpy(ranges, r, n * sizeof(*r));
    count = n;
    guest = (struct boot_guest){.memory = memory};
}

static void check_range(unsigned i, uint64_t base, uint64_t end)
{
    CHECK_EQ(ranges[i].base, base);
    CHECK_EQ(ranges[i].end, end);
}

/* Blocks are whole, apart, in no range any more, and are all of the guest's memory. */
static void check_blocks(void)
{
    uint64_t at = 0, bytes = 0;

    for (unsigned i = 0; i < guest.nblocks; i++) {
        const struct boot_block *b = &guest.block[i];

        CHECK((b->at | b->base | b->size) % SIZE_2M == 0 && b->size > 0);
        CHECK_EQ(b->at, at);
        bytes += b->size;
        at = bytes == GPA_PCI_WINDOW ? GPA_HIGH_RAM : at + b->size;
        CHECK(b->at >= GPA_HIGH_RAM || b->at + b->size <= GPA_PCI_WINDOW);
        for (unsigned j = 0; j < i; j++)
            CHECK(b->base + b->size <= guest.block[j].base ||
                  b->base >= guest.block[j].base + guest.block[j].size);
        for (unsigned j = 0; j < count; j++)
            CHECK(b->base + b->size <= ranges[j].base || b->base >= ranges[j].end);
    }
    CHECK_EQ(bytes, guest.memory);
}

TEST(a_piece_leaves_what_is_below_and_above)
{
    set((const struct boot_range[]){{0x100000, 0x1234000}, {0x5000000, 0x5001000}}, 2, 4 * SIZE_2M);
    CHECK(ram_take(&guest, ranges, &count, ROOM));
    CHECK_EQ(guest.nblocks, 1);
    check_blocks();
    CHECK_EQ(count, 3);
    check_range(0, 0x100000, 0x200000);
    check_range(1, 0xa00000, 0x1234000);
    check_range(2, 0x5000000, 0x5001000);
}

TEST(several_pieces)
{
    set((const struct boot_range[]){{0x100000, 0x3ff000}, {0x400000, 0x7fffff}, {0x1000000, 0x2000000}}, 3,
        5 * SIZE_2M);
    CHECK(ram_take(&guest, ranges, &count, ROOM));
    check_blocks();
}

TEST(memory_above_the_hole_and_pages_of_1_gib)
{
    set((const struct boot_range[]){{0x100000, 0x80000000}, {0x100000000, 0x240000000}}, 2,
        (uint64_t)5 << 30);
    CHECK(ram_take(&guest, ranges, &count, ROOM));
    check_blocks();
    CHECK_EQ(guest.block[0].base, SIZE_1G);
    CHECK_EQ(guest.block[1].base % SIZE_1G, 0);
    set((const struct boot_range[]){{0x100000, 0x80000000}, {0x100000000, 0x240000000}}, 2,
        (uint64_t)6 << 30);
    CHECK(ram_take(&guest, ranges, &count, ROOM));
    check_blocks();
}

TEST(too_little_is_refused_and_nothing_taken)
{
    static const struct boot_range r[] = {{0x100000, 0x3fffff}, {0x400000, 0x800000}};

    set(r, 2, 4 * SIZE_2M);
    CHECK(!ram_take(&guest, ranges, &count, ROOM));
    CHECK_EQ(count, 2);
    CHECK(!memcmp(ranges, r, sizeof(r)));
    guest.memory = 2 * SIZE_2M;
    CHECK(ram_take(&guest, ranges, &count, ROOM));
    check_blocks();
}

TEST(no_room_for_another_range)
{
    set((const struct boot_range[]){{0x100000, 0x3000000}}, 1, SIZE_2M);
    CHECK(!ram_take(&guest, ranges, &count, 1));
    CHECK_EQ(count, 1);
}

TEST(too_many_pieces)
{
    static struct boot_range r[2 * BOOT_BLOCKS_MAX];

    for (unsigned i = 0; i < ARRAY_SIZE(r); i++)
        r[i] = (struct boot_range){2 * i * SIZE_2M, (2 * i + 1) * SIZE_2M};
    guest = (struct boot_guest){.memory = BOOT_BLOCKS_MAX * SIZE_2M};
    count = ARRAY_SIZE(r);
    CHECK(ram_take(&guest, r, &count, ARRAY_SIZE(r)));
    CHECK_EQ(guest.nblocks, BOOT_BLOCKS_MAX);
    guest.memory += SIZE_2M;
    count = ARRAY_SIZE(r);
    for (unsigned i = 0; i < ARRAY_SIZE(r); i++)
        r[i] = (struct boot_range){2 * i * SIZE_2M, (2 * i + 1) * SIZE_2M};
    CHECK(!ram_take(&guest, r, &count, ARRAY_SIZE(r)));
}

TEST_MAIN()
