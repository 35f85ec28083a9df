/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/test.h"

#include "boot/text.c"

static char out[64];

TEST(formats)
{
    text_format(out, sizeof(out), "%s %c %u %x %lu%%", "ab", 'c', 7u, 0xbeefu, ~(uint64_t)0);
    CHECK(strcmp(out, "ab c 7 beef 18446744073709551615%") == 0);
    text_format(out, sizeof(out), "[%02x] [%5u] [%-4s] [%4s]", 7u, 42u, "ab", "abcdef");
    CHECK(strcmp(out, "[07] [   42] [ab  ] [abcdef]") == 0);
    CHECK_EQ(text_format(out, 4, "%s", "abcdef"), 3);
    CHECK(strcmp(out, "abc") == 0);
    CHECK_EQ(text_format(out, 1, "x"), 0);
}

TEST(numbers)
{
    uint64_t v = 99;
    const char *s = "12x";

    CHECK(text_number(&s, 10, 12, &v) && v == 12 && *s == 'x');
    s = "12";
    CHECK(!text_number(&s, 10, 11, &v) && *s == '1');
    s = "g";
    CHECK(!text_number(&s, 16, 11, &v));
    CHECK(text_number_all("0xFFFFffffFFFFffff", ~(uint64_t)0, &v) && v == ~(uint64_t)0);
    CHECK(!text_number_all("0x10000000000000000", ~(uint64_t)0, &v));
    CHECK(text_number_all("18446744073709551615", ~(uint64_t)0, &v));
    CHECK(!text_number_all("18446744073709551616", ~(uint64_t)0, &v));
    CHECK(!text_number_all("", 9, &v));
    CHECK(!text_number_all("1 ", 9, &v));
    CHECK(!text_number_all("5", 4, &v));
    CHECK(text_number_all("0", 0, &v) && v == 0);
}

TEST(distances)
{
    CHECK_EQ(text_distance("memory", "memory"), 0);
    CHECK_EQ(text_distance("memroy", "memory"), 1);
    CHECK_EQ(text_distance("memry", "memory"), 1);
    CHECK_EQ(text_distance("", "vf"), 2);
    CHECK_EQ(text_distance("kernel", "initrd"), 6);
    CHECK_EQ(text_distance("01234567890123456789012345678901", "x"), 64);
}

TEST_MAIN()
