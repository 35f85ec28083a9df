/* SPDX-License-Identifier: BSD-2-Clause */
#include "kernel/lib/string.h"

/* The string instructions: fast on processors with ERMS, and no compiler turns them into a call of the same
 * function. */
void *memcpy(void *restrict dst, const void *restrict src, size_t n)
{
    void *d = dst;
    size_t words = n / 8, rest = n % 8;

    __asm__ volatile("rep movsq" : "+D"(d), "+S"(src), "+c"(words) : : "memory");
    __asm__ volatile("rep movsb" : "+D"(d), "+S"(src), "+c"(rest) : : "memory");
    return dst;
}

void *memset(void *dst, int c, size_t n)
{
    void *d = dst;
    uint64_t pattern = 0x0101010101010101 * (uint8_t)c;
    size_t words = n / 8, rest = n % 8;

    __asm__ volatile("rep stosq" : "+D"(d), "+c"(words) : "a"(pattern) : "memory");
    __asm__ volatile("rep stosb" : "+D"(d), "+c"(rest) : "a"(pattern) : "memory");
    return dst;
}

int memcmp(const void *a, const void *b, size_t n)
{
    const uint8_t *x = a, *y = b;
    size_t words = n / 8, left = words;

    __asm__ volatile("repe cmpsq" : "+S"(a), "+D"(b), "+c"(left) : : "cc", "memory");
    for (size_t i = left < words ? 8 * (words - left - 1) : 0; i < n; i++) { /* from the last one on */
        if (x[i] != y[i])
            return x[i] < y[i] ? -1 : 1;
    }
    return 0;
}

size_t strlen(const char *s)
{
    size_t n = 0;

    while (s[n])
        n++;
    return n;
}

int strcmp(const char *a, const char *b)
{
    while (*a && *a == *b) {
        a++;
        b++;
    }
    return (uint8_t)*a - (uint8_t)*b;
}

size_t strlcpy(char *dst, const char *src, size_t size)
{
    size_t n = strlen(src), copied = n < size ? n : size - 1;

    memcpy(dst, src, copied);
    dst[copied] = 0;
    return n;
}
