/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/test.h"

#include "boot/memmap.c"

#define STRIDE 48 /* the firmware's descriptors are longer than the structure */
#define WB     EFI_ATTR_WB
#define ROWS   32

static uint8_t raw[ROWS * STRIDE];
static size_t nraw;
static struct boot_mem out[ROWS * 2];
static uint64_t edges[ROWS * 2];

static void add(uint32_t type, uint64_t base, uint64_t pages, uint64_t attr)
{
    struct memmap_desc d = {type, 0, base, 0, pages, attr};

    memset(raw + nraw * STRIDE, 0xee, STRIDE);
    memcpy(raw + nraw++ * STRIDE, &d, sizeof(d));
}

static size_t convert(size_t max)
{
    size_t n = memmap_convert(raw, nraw, STRIDE, out, max, edges);

    nraw = 0;
    return n;
}

static bool is(size_t i, uint64_t base, uint64_t size, uint32_t type)
{
    return out[i].base == base && out[i].size == size && out[i].type == type;
}

TEST(types)
{
    static const struct {
        uint32_t efi;
        uint64_t attr;
        uint32_t boot;
    } rows[] = {
        {EFI_CONVENTIONAL, WB, BOOT_MEM_USABLE},
        {EFI_BOOT_CODE, WB, BOOT_MEM_USABLE},
        {EFI_BOOT_DATA, WB, BOOT_MEM_USABLE},
        {EFI_LOADER_CODE, WB, BOOT_MEM_LOADER},
        {EFI_LOADER_DATA, WB, BOOT_MEM_LOADER},
        {EFI_RUNTIME_CODE, WB, BOOT_MEM_RUNTIME},
        {EFI_RUNTIME_DATA, WB, BOOT_MEM_RUNTIME},
        {EFI_ACPI_RECLAIM, WB, BOOT_MEM_ACPI},
        {EFI_ACPI_NVS, WB, BOOT_MEM_ACPI},
        {EFI_MMIO, 0, BOOT_MEM_MMIO},
        {EFI_MMIO_PORTS, 0, BOOT_MEM_MMIO},
        {EFI_RESERVED, WB, BOOT_MEM_RESERVED},
        {EFI_UNUSABLE, WB, BOOT_MEM_RESERVED},
        {EFI_PAL_CODE, WB, BOOT_MEM_RESERVED},
        {14 /* persistent */, WB, BOOT_MEM_RESERVED},
        {15 /* unaccepted */, WB, BOOT_MEM_RESERVED},
        {0x80000000, WB, BOOT_MEM_RESERVED},
        {EFI_CONVENTIONAL, 0, BOOT_MEM_RESERVED},
        {EFI_CONVENTIONAL, WB | EFI_ATTR_SP, BOOT_MEM_RESERVED},
        {EFI_BOOT_DATA, WB | EFI_ATTR_RUNTIME, BOOT_MEM_RUNTIME},
    };

    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        add(rows[i].efi, 0x1000, 1, rows[i].attr);
        CHECK_EQ(convert(ROWS), 1);
        CHECK(is(0, 0x1000, 0x1000, rows[i].boot));
    }
}

TEST(sorted_and_merged)
{
    add(EFI_CONVENTIONAL, 0x8000, 2, WB);
    add(EFI_BOOT_DATA, 0x4000, 4, WB);
    add(EFI_LOADER_DATA, 0xa000, 1, WB);
    add(EFI_CONVENTIONAL, 0xc000, 1, WB);
    add(EFI_CONVENTIONAL, 0, 1, WB);
    CHECK_EQ(convert(ROWS), 4);
    CHECK(is(0, 0, 0x1000, BOOT_MEM_USABLE));
    CHECK(is(1, 0x4000, 0x6000, BOOT_MEM_USABLE));
    CHECK(is(2, 0xa000, 0x1000, BOOT_MEM_LOADER));
    CHECK(is(3, 0xc000, 0x1000, BOOT_MEM_USABLE));
}

TEST(where_descriptors_overlap_the_less_usable_wins)
{
    add(EFI_CONVENTIONAL, 0x1000, 8, WB);
    add(EFI_RESERVED, 0x3000, 2, WB);
    add(EFI_LOADER_DATA, 0x4000, 2, WB);
    CHECK_EQ(convert(ROWS), 4);
    CHECK(is(0, 0x1000, 0x2000, BOOT_MEM_USABLE));
    CHECK(is(1, 0x3000, 0x2000, BOOT_MEM_RESERVED));
    CHECK(is(2, 0x5000, 0x1000, BOOT_MEM_LOADER));
    CHECK(is(3, 0x6000, 0x3000, BOOT_MEM_USABLE));
}

TEST(nonsense_is_left_out)
{
    add(EFI_CONVENTIONAL, 0x1000, 0, WB);
    add(EFI_CONVENTIONAL, 0x2000, ~0ull, WB);
    add(EFI_CONVENTIONAL, 0x2000, (1ull << 52) + 1, WB); /* wraps round to a small one */
    add(EFI_CONVENTIONAL, 0x2001, 1, WB);
    add(EFI_CONVENTIONAL, ~0xfffull, 2, WB);
    add(EFI_CONVENTIONAL, 0x5000, 1, WB);
    CHECK_EQ(convert(ROWS), 1);
    CHECK(is(0, 0x5000, 0x1000, BOOT_MEM_USABLE));
}

TEST(too_little_room_gives_0)
{
    for (unsigned i = 0; i < 4; i++)
        add(EFI_CONVENTIONAL, 0x2000 * i, 1, WB);
    CHECK_EQ(memmap_convert(raw, nraw, STRIDE, out, 4, edges), 4);
    CHECK_EQ(convert(3), 0);
}

TEST(questions_about_a_map)
{
    add(EFI_CONVENTIONAL, 0x1000, 2, WB);
    add(EFI_LOADER_DATA, 0x3000, 1, WB);
    add(EFI_MMIO, 0x4000, 1, 0);
    add(EFI_ACPI_NVS, 0x8000, 1, WB);

    size_t n = convert(ROWS);

    CHECK_EQ(memmap_usable(out, n), 0x2000);
    CHECK(memmap_listed(out, n, 0x1000, 0x3000));
    CHECK(memmap_listed(out, n, 0x2fff, 2));
    CHECK(!memmap_listed(out, n, 0x3fff, 2));
    CHECK(!memmap_listed(out, n, 0xfff, 2));
    CHECK(!memmap_listed(out, n, 0x4000, 1));
    CHECK(memmap_listed(out, n, 0x8000, 0x1000));
    CHECK(!memmap_listed(out, n, 0x8000, ~0ull));
}

static bool covers(const struct boot_range *r, uint64_t base, uint64_t end)
{
    return r->base == base && r->end == end;
}

TEST(ram_is_what_the_map_says_whatever_is_in_it)
{
    static const struct boot_mem mem[] = {
        {0, 0xa0000, BOOT_MEM_USABLE, 0},        {0xf0000, 0x180000, BOOT_MEM_USABLE, 0},
        {0x270000, 0x1000, BOOT_MEM_ACPI, 0},    {0x271000, 0x1000, BOOT_MEM_RESERVED, 0},
        {0x400000, 0x1000, BOOT_MEM_LOADER, 0},  {0x401000, 0x1000, BOOT_MEM_USABLE, 0},
        {0x402000, 0x1000, BOOT_MEM_RUNTIME, 0}, {0x403000, 0x1000, BOOT_MEM_MMIO, 0},
        {0x800000, 0x1000, BOOT_MEM_USABLE, 0},
    };
    struct boot_range r[9];

    CHECK_EQ(memmap_ram(mem, 9, r), 4);
    CHECK(covers(&r[0], 0, 0xa0000) && covers(&r[1], 0xf0000, 0x271000) &&
          covers(&r[2], 0x400000, 0x403000) && covers(&r[3], 0x800000, 0x801000));
    CHECK_EQ(memmap_free(mem, 9, r), 3);
    CHECK(covers(&r[0], 0x100000, 0x270000) && covers(&r[1], 0x401000, 0x402000) &&
          covers(&r[2], 0x800000, 0x801000));
    CHECK_EQ(memmap_free(mem, 1, r), 0); /* only what lies below 1 MiB */
}

TEST_MAIN()
