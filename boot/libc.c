/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What inih and the compiler expect of a C library. No files, no heap: inih reads from memory and keeps its
 * line on the stack.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* GNU-EFI from 3.0.18 on has these two itself, and links them. */
__attribute__((weak)) void *memcpy(void *restrict dst, const void *restrict src, size_t n)
{
    void *d = dst;

    __asm__ volatile("rep movsb" : "+D"(d), "+S"(src), "+c"(n) : : "memory");
    return dst;
}

void *memmove(void *dst, const void *src, size_t n)
{
    unsigned char *d = dst;
    const unsigned char *s = src;

    if (d <= s || d >= s + n)
        return memcpy(dst, src, n);
    while (n--)
        __asm__ volatile("movb %1, %0" : "=m"(d[n]) : "q"(s[n]));
    return dst;
}

__attribute__((weak)) void *memset(void *dst, int c, size_t n)
{
    void *d = dst;

    __asm__ volatile("rep stosb" : "+D"(d), "+c"(n) : "a"(c) : "memory");
    return dst;
}

int memcmp(const void *a, const void *b, size_t n)
{
    const unsigned char *x = a, *y = b;

    for (size_t i = 0; i < n; i++)
        if (x[i] != y[i])
            return x[i] < y[i] ? -1 : 1;
    return 0;
}

size_t strlen(const char *s)
{
    size_t n = 0;

    for (; s[n]; n++)
        __asm__ volatile("");
    return n;
}

int strcmp(const char *a, const char *b)
{
    for (; *a && *a == *b; a++)
        b++;
    return (unsigned char)*a - (unsigned char)*b;
}

char *strchr(const char *s, int c)
{
    for (; *s != (char)c; s++)
        if (!*s)
            return NULL;
    return (char *)(uintptr_t)s;
}

FILE *fopen(const char *name, const char *mode)
{
    (void)name;
    (void)mode;
    return NULL;
}

char *fgets(char *s, int size, FILE *f)
{
    (void)s;
    (void)size;
    (void)f;
    return NULL;
}

int fclose(FILE *f)
{
    (void)f;
    return 0;
}
