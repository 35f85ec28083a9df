/* SPDX-License-Identifier: BSD-2-Clause */
#include "kernel/lib/string.h"

#define WIDTH_MAX 32

/* Where the text goes: `len` counts on beyond `size`, so that the caller learns how much was cut. */
struct sink {
    char *dst;
    size_t size, len;
};

/* A va_list in a struct, so that a function can take arguments off its caller's. */
struct args {
    va_list ap;
};

static void put(struct sink *s, char c)
{
    if (s->len + 1 < s->size)
        s->dst[s->len] = c;
    s->len++;
}

/* `prefix` is a sign or "0x"; it comes before zeros and after blanks. The text is built from its end. */
static void put_number(struct sink *s, uint64_t v, unsigned base, const char *prefix, unsigned width,
                       bool zeros)
{
    char text[WIDTH_MAX + 4];
    size_t n = 0, left = strlen(prefix);

    do
        text[n++] = "0123456789abcdef"[v % base];
    while ((v /= base) != 0);
    while (zeros && n + left < width)
        text[n++] = '0';
    while (left)
        text[n++] = prefix[--left];
    while (n < width)
        text[n++] = ' ';
    while (n)
        put(s, text[--n]);
}

/* One conversion, `fmt` behind its %; returns where its letter is. */
static const char *convert(struct sink *s, const char *fmt, struct args *a)
{
    unsigned width = 0, longs = 0;
    size_t precision = SIZE_MAX;
    bool zeros = false, alt = false;
    const char *text;
    uint64_t u;
    int64_t v;

    for (; *fmt == '0' || *fmt == '#'; fmt++)
        *(*fmt == '0' ? &zeros : &alt) = true;
    for (; *fmt >= '0' && *fmt <= '9'; fmt++)
        width = MIN(width * 10 + (unsigned)(*fmt - '0'), WIDTH_MAX);
    if (*fmt == '.' && fmt[1] == '*') {
        precision = (size_t)va_arg(a->ap, int);
        fmt += 2;
    }
    for (; *fmt == 'l' || *fmt == 'z'; fmt++)
        longs++;
    switch (*fmt) {
    case 'd':
        v = longs ? va_arg(a->ap, int64_t) : va_arg(a->ap, int);
        put_number(s, v < 0 ? -(uint64_t)v : (uint64_t)v, 10, v < 0 ? "-" : "", width, zeros);
        break;
    case 'u':
    case 'x':
        u = longs ? va_arg(a->ap, uint64_t) : va_arg(a->ap, unsigned);
        put_number(s, u, *fmt == 'u' ? 10 : 16, alt && u ? "0x" : "", width, zeros);
        break;
    case 's':
        text = va_arg(a->ap, const char *);
        for (text = text ? text : "(null)"; *text && precision--; text++)
            put(s, *text);
        break;
    default: /* %% and what is not known: as written */
        if (*fmt)
            put(s, *fmt);
    }
    return fmt;
}

int vsnprintf(char *dst, size_t size, const char *fmt, va_list ap)
{
    struct sink s = {dst, size, 0};
    struct args a;

    va_copy(a.ap, ap);
    for (; *fmt; fmt++) {
        if (*fmt == '%')
            fmt = convert(&s, fmt + 1, &a);
        else
            put(&s, *fmt);
        if (!*fmt) /* a lone % at the end */
            break;
    }
    va_end(a.ap);
    dst[s.len < size ? s.len : size - 1] = 0;
    return (int)s.len;
}

int snprintf(char *dst, size_t size, const char *fmt, ...)
{
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(dst, size, fmt, ap);
    va_end(ap);
    return n;
}
