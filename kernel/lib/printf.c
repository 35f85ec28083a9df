/* SPDX-License-Identifier: BSD-2-Clause */
#include "kernel/lib/string.h"

/* Where the text goes: `len` counts on beyond `size`, so that the caller learns how much was cut. */
struct sink {
    char *dst;
    size_t size, len;
};

/* One conversion: flags, width, precision and length modifier, as parsed. */
struct spec {
    bool left, zero, alt;
    int width, precision; /* precision < 0: none */
    unsigned longs;       /* 0: int; else 64 bits */
};

static void put(struct sink *s, char c)
{
    if (s->len + 1 < s->size)
        s->dst[s->len] = c;
    s->len++;
}

static void pad(struct sink *s, char c, int count)
{
    while (count-- > 0)
        put(s, c);
}

static void put_text(struct sink *s, const struct spec *sp, const char *text, size_t n)
{
    int gap = sp->width - (int)n;

    pad(s, ' ', sp->left ? 0 : gap);
    for (size_t i = 0; i < n; i++)
        put(s, text[i]);
    pad(s, ' ', sp->left ? gap : 0);
}

/* `prefix` is a sign or "0x"; it comes before zeros and after blanks. */
static void put_number(struct sink *s, const struct spec *sp, uint64_t v, unsigned base, bool upper,
                       const char *prefix)
{
    const char *digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
    char text[20];
    int n = 0, gap;

    do
        text[n++] = digits[v % base];
    while ((v /= base) != 0);
    gap = sp->width - n - (int)strlen(prefix);
    if (!sp->left && !sp->zero)
        pad(s, ' ', gap);
    while (*prefix)
        put(s, *prefix++);
    if (!sp->left && sp->zero)
        pad(s, '0', gap);
    while (n > 0)
        put(s, text[--n]);
    if (sp->left)
        pad(s, ' ', gap);
}

static const char *parse_number(const char *fmt, int *value)
{
    for (*value = 0; *fmt >= '0' && *fmt <= '9'; fmt++)
        *value = *value * 10 + (*fmt - '0');
    return fmt;
}

static const char *parse_flags(const char *fmt, struct spec *sp)
{
    for (;; fmt++) {
        if (*fmt == '-')
            sp->left = true;
        else if (*fmt == '0')
            sp->zero = true;
        else if (*fmt == '#')
            sp->alt = true;
        else
            return fmt;
    }
}

int vsnprintf(char *dst, size_t size, const char *fmt, va_list ap)
{
    struct sink s = {dst, size, 0};

    for (; *fmt; fmt++) {
        struct spec sp = {.precision = -1};
        const char *text;
        int64_t v;
        uint64_t u;
        char c;

        if (*fmt != '%') {
            put(&s, *fmt);
            continue;
        }
        fmt = parse_flags(fmt + 1, &sp);
        if (*fmt == '*') {
            sp.width = va_arg(ap, int);
            fmt++;
        } else {
            fmt = parse_number(fmt, &sp.width);
        }
        if (*fmt == '.' && fmt[1] == '*') {
            sp.precision = va_arg(ap, int);
            fmt += 2;
        } else if (*fmt == '.') {
            fmt = parse_number(fmt + 1, &sp.precision);
        }
        for (; *fmt == 'l' || *fmt == 'z'; fmt++)
            sp.longs++;
        switch (*fmt) {
        case 'd':
        case 'i':
            v = sp.longs ? va_arg(ap, int64_t) : va_arg(ap, int);
            put_number(&s, &sp, v < 0 ? -(uint64_t)v : (uint64_t)v, 10, false, v < 0 ? "-" : "");
            break;
        case 'u':
        case 'x':
        case 'X':
            u = sp.longs ? va_arg(ap, uint64_t) : va_arg(ap, unsigned);
            put_number(&s, &sp, u, *fmt == 'u' ? 10 : 16, *fmt == 'X',
                       sp.alt && u && *fmt != 'u' ? "0x" : "");
            break;
        case 'p':
            put_number(&s, &sp, (uint64_t)va_arg(ap, void *), 16, false, "0x");
            break;
        case 'c':
            c = (char)va_arg(ap, int);
            put_text(&s, &sp, &c, 1);
            break;
        case 's':
            text = va_arg(ap, const char *);
            text = text ? text : "(null)";
            put_text(&s, &sp, text, strnlen(text, sp.precision < 0 ? SIZE_MAX : (size_t)sp.precision));
            break;
        case 0: /* a lone % at the end */
            fmt--;
            break;
        default: /* %% and what is not known: as written */
            put(&s, *fmt);
        }
    }
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
