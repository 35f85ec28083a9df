/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/test.h"
#include <sys/mman.h>

#include "kernel/mm/frame.c"
#include "tests/unit/fake/log.c"

#define RAM_SIZE   ((uint64_t)32 << 20)
#define IMAGE      ((uint64_t)16 << 20)
#define IMAGE_SIZE 0x13000

static struct boot_range list[2]; /* what is free: around the image; all of it is RAM */
static uint8_t *states;
static struct bootinfo bi;
static hpa_t ram; /* where the test's memory begins, 2 MiB aligned */

/* Free memory with the image in its middle. */
static void start(void)
{
    static struct boot_range all_ram[2];

    if (!ram.a) {
        char *p = mmap(NULL, RAM_SIZE + SIZE_2M, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        ram = hpa(ALIGN_UP(ptr_to_hpa(p).a, SIZE_2M));
    }
    memset(hpa_to_ptr(ram), 0xaa, RAM_SIZE);
    all_ram[0] = (struct boot_range){ram.a, ram.a + (8 << 20)};
    all_ram[1] = (struct boot_range){ram.a + (9 << 20), ram.a + (11 << 20)};
    list[0] = (struct boot_range){ram.a, ram.a + IMAGE};
    list[1] = (struct boot_range){ram.a + IMAGE + IMAGE_SIZE, ram.a + RAM_SIZE};
    if (!states)
        states = malloc(2 * SIZE_1G >> PAGE_SHIFT); /* of the test's memory, and up to 1 GiB below it */
    memset(states, 0, 2 * SIZE_1G >> PAGE_SHIFT);
    bi = (struct bootinfo){.ram = ptr_to_hpa(all_ram).a,
                           .ram_count = 2,
                           .free = ptr_to_hpa(list).a,
                           .free_count = 2,
                           .frame_states = ptr_to_hpa(states).a};
    memset(&frames, 0, sizeof(frames));
    frame_init(&bi);
}

/* Takes all single frames; each one's byte in `seen` says so. Returns how many. */
static uint64_t take_all(uint8_t *seen)
{
    uint64_t n = 0;

    for (hpa_t f; (f = frame_alloc(0)).a; n++) {
        uint64_t i = (f.a - ram.a) >> PAGE_SHIFT;

        CHECK(i < RAM_SIZE >> PAGE_SHIFT && !seen[i]);
        seen[i] = 1;
    }
    return n;
}

TEST(every_frame_once_and_none_that_is_taken)
{
    static uint8_t seen[RAM_SIZE >> PAGE_SHIFT];
    uint64_t n;

    start();
    CHECK_EQ(frame_bytes_used(), 0);
    n = take_all(seen);
    CHECK_EQ(n << PAGE_SHIFT, RAM_SIZE - IMAGE_SIZE);
    CHECK_EQ(frame_bytes_used(), n << PAGE_SHIFT);
    for (unsigned i = 0; i < 0x13; i++)
        CHECK(!seen[(IMAGE >> PAGE_SHIFT) + i]);
    CHECK(seen[(IMAGE >> PAGE_SHIFT) + 0x13]);
}

TEST(blocks_are_aligned_zeroed_and_join_again)
{
    struct {
        hpa_t at;
        unsigned order;
    } held[400];
    uint64_t seed = 1;
    unsigned n = 0;
    hpa_t big;

    start();
    for (unsigned round = 0; round < 20000; round++) {
        seed = seed * 6364136223846793005 + 1442695040888963407;
        if (n < 400 && seed >> 63) {
            unsigned order = (unsigned)(seed >> 40) % 6;
            hpa_t f = frame_alloc(order);

            if (!f.a)
                continue;
            CHECK(IS_ALIGNED(f.a, PAGE_SIZE << order));
            for (uint64_t i = 0; i < PAGE_SIZE << order; i += 512)
                CHECK_EQ(*(uint64_t *)((char *)hpa_to_ptr(f) + i), 0);
            memset(hpa_to_ptr(f), 0xff, PAGE_SIZE << order);
            held[n].at = f;
            held[n++].order = order;
        } else if (n) {
            unsigned i = (unsigned)(seed >> 33) % n;

            frame_free(held[i].at, held[i].order);
            held[i] = held[--n];
        }
    }
    for (unsigned i = 0; i < n; i++)
        for (unsigned j = 0; j < i; j++)
            CHECK(held[i].at.a + (PAGE_SIZE << held[i].order) <= held[j].at.a ||
                  held[j].at.a + (PAGE_SIZE << held[j].order) <= held[i].at.a);
    while (n--)
        frame_free(held[n].at, held[n].order);
    CHECK_EQ(frame_bytes_used(), 0);
    big = frame_alloc(10);
    CHECK(big.a != 0);
    frame_free(big, 10);
}

TEST(too_large_an_order_fails)
{
    start();
    CHECK_EQ(frame_alloc(FRAME_ORDER_MAX).a, 0);
    CHECK_EQ(frame_alloc(FRAME_ORDER_MAX + 1).a, 0);
}

TEST(a_wrong_free_panics)
{
    hpa_t f;

    start();
    f = frame_alloc(1);
    CHECK(FAKE_EXPECT_PANIC(frame_free(f, 0)));
    CHECK(FAKE_EXPECT_PANIC(frame_free(hpa(f.a + PAGE_SIZE), 0)));
    frame_free(f, 1);
    CHECK(FAKE_EXPECT_PANIC(frame_free(f, 1)));
    CHECK(FAKE_EXPECT_PANIC(frame_free(hpa(0), 0)));
}

TEST_MAIN()
