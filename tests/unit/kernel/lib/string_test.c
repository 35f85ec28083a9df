/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/test.h"

/* The host's own functions stay what they are; ours get other names here. */
#define memcpy    hv_memcpy
#define memset    hv_memset
#define memcmp    hv_memcmp
#define strlen    hv_strlen
#define strcmp    hv_strcmp
#define strlcpy   hv_strlcpy
#define vsnprintf hv_vsnprintf
#define snprintf  hv_snprintf
#include "kernel/lib/printf.c"
#include "kernel/lib/string.c"
#undef memcpy
#undef memset
#undef memcmp
#undef strlen
#undef strcmp
#undef vsnprintf
#undef snprintf

TEST(memory_functions_agree_with_the_c_library_at_all_lengths_and_offsets)
{
    for (size_t n = 0; n < 40; n++) {
        for (size_t from = 0; from < 24; from++) {
            for (size_t to = 0; to < 24; to++) {
                unsigned char a[64], b[64];

                for (unsigned i = 0; i < 64; i++)
                    a[i] = b[i] = (unsigned char)(i * 7);
                hv_memset(a + to, (int)n, n);
                memset(b + to, (int)n, n);
                CHECK(!memcmp(a, b, 64));
                if (to >= from + n || from >= to + n) {
                    CHECK(hv_memcpy(a + to, a + from, n) == a + to);
                    memcpy(b + to, b + from, n);
                    CHECK(!memcmp(a, b, 64));
                }
            }
        }
    }
}

TEST(memcmp_orders_by_unsigned_bytes)
{
    CHECK_EQ(hv_memcmp("abc", "abc", 3), 0);
    CHECK(hv_memcmp("ab\x01", "ab\xff", 3) < 0);
    CHECK(hv_memcmp("b", "a", 1) > 0);
    CHECK_EQ(hv_memcmp("a", "b", 0), 0);
}

TEST(memcmp_sees_each_byte)
{
    for (size_t n = 1; n < 40; n++) {
        for (size_t at = 0; at < n; at++) {
            unsigned char a[64] = {0}, b[64] = {0};

            CHECK_EQ(hv_memcmp(a + 3, b, n), 0);
            a[3 + at] = 1;
            b[n - 1] |= 0x80; /* behind it, or the same one */
            CHECK((hv_memcmp(a + 3, b, n) > 0) == (at != n - 1));
            CHECK((hv_memcmp(b, a + 3, n) < 0) == (at != n - 1));
            b[n] = 1;
            CHECK_EQ(hv_memcmp(b, b, n), 0);
        }
    }
}

TEST(strings)
{
    char dst[4];

    CHECK_EQ(hv_strlen(""), 0);
    CHECK_EQ(hv_strlen("abc"), 3);
    CHECK_EQ(hv_strcmp("abc", "abc"), 0);
    CHECK(hv_strcmp("ab", "abc") < 0);
    CHECK(hv_strcmp("a\xff", "a\x01") > 0);
    CHECK_EQ(hv_strlcpy(dst, "abcdef", sizeof(dst)), 6);
    CHECK(!strcmp(dst, "abc"));
    CHECK_EQ(hv_strlcpy(dst, "x", sizeof(dst)), 1);
    CHECK(!strcmp(dst, "x"));
    CHECK_EQ(hv_strlcpy(dst, "x", 1), 1);
    CHECK_EQ(dst[0], 0);
}

/* Ours and the host's printf must agree in text and length. */
#define SAME(...)                                                                                            \
    do {                                                                                                     \
        char ours_[128], theirs_[128];                                                                       \
        int n_ = hv_snprintf(ours_, sizeof(ours_), __VA_ARGS__);                                             \
        int m_ = snprintf(theirs_, sizeof(theirs_), __VA_ARGS__);                                            \
        CHECK_EQ(n_, m_);                                                                                    \
        if (strcmp(ours_, theirs_))                                                                          \
            printf("    \"%s\" is not \"%s\"\n", ours_, theirs_);                                            \
        CHECK(!strcmp(ours_, theirs_));                                                                      \
    } while (0)

TEST(printf_agrees_with_the_c_library)
{
    SAME("plain, %%");
    SAME("%d %u %x", -5, 3000000000u, 0xabcu);
    SAME("[%5d][%5d][%05d][%32d][%01d]", 42, -42, -42, 7, 42);
    SAME("[%8x][%08x][%#x][%#10x][%#010x][%#x]", 0xbeefu, 0xbeefu, 0xbeefu, 0xbeefu, 0xbeefu, 0u);
    SAME("%ld %lu %lld %llu %zu", -1L, ~0UL, (long long)INT64_MIN, ~0ULL, (size_t)12345678901);
    SAME("%llx %016llx", 0x123456789abcdefULL, 0xfULL);
    SAME("[%s][%.*s][%.*s][%.*s][%1d]", "abc", 1, "abc", 0, "abc", 9, "abc", 12345);
}

TEST(printf_cuts_and_tells_the_whole_length)
{
    const char *volatile no_text = NULL;
    char dst[8];

    CHECK_EQ(hv_snprintf(dst, sizeof(dst), "%s-%d", "abcdef", 123), 10);
    CHECK(!strcmp(dst, "abcdef-"));
    CHECK_EQ(hv_snprintf(dst, 1, "abc"), 3);
    CHECK_EQ(dst[0], 0);
    CHECK_EQ(hv_snprintf(dst, sizeof(dst), "%s", no_text), 6);
    CHECK(!strcmp(dst, "(null)"));
    CHECK_EQ(hv_snprintf(dst, sizeof(dst), "%40u", 7u), 32); /* no width is wider than the buffer for it */
}

TEST(printf_survives_a_lone_percent)
{
    char dst[8];
    const char *volatile fmt = "ab%";

#pragma GCC diagnostic ignored "-Wformat-security"
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    hv_snprintf(dst, sizeof(dst), fmt);
    CHECK(!strcmp(dst, "ab"));
}

TEST_MAIN()
