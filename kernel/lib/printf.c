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

/* A va_list in a struct, so that a function can take arguments off its caller's. */
struct args {
    va_list ap;
};

/* What stands between the % and the conversion's letter; returns the letter's place. */
static const char *parse_spec(const char *fmt, struct spec *sp, struct args *a)
{
    *sp = (struct spec){.precision = -1};
    fmt = parse_flags(fmt, sp);
    if (*fmt == '*') {
        sp->width = va_arg(a->ap, int);
        fmt++;
    } else {
        fmt = parse_number(fmt, &sp->width);
    }
    if (*fmt == '.' && fmt[1] == '*') {
        sp->precision = va_arg(a->ap, int);
        fmt += 2;
    } else if (*fmt == '.') {
        fmt = parse_number(fmt + 1, &sp->precision);
    }
    for (; *fmt == 'l' || *fmt == 'z'; fmt++)
        sp->longs++;
    return fmt;
}

static void convert(struct sink *s, const struct spec *sp, char letter, struct args *a)
{
    const char *text;
    uint64_t u;
    int64_t v;
    char c;

    switch (letter) {
    case 'd':
    case 'i':
        v = sp->longs ? va_arg(a->ap, int64_t) : va_arg(a->ap, int);
        put_number(s, sp, v < 0 ? -(uint64_t)v : (uint64_t)v, 10, false, v < 0 ? "-" : "");
        break;
    case 'u':
        put_number(s, sp, sp->longs ? va_arg(a->ap, uint64_t) : va_arg(a->ap, unsigned), 10, false, "");
        break;
    case 'x':
    case 'X':
        u = sp->longs ? va_arg(a->ap, uint64_t) : va_arg(a->ap, unsigned);
        put_number(s, sp, u, 16, letter == 'X', sp->alt && u ? "0x" : "");
        break;
    case 'p':
        put_number(s, sp, (uint64_t)va_arg(a->ap, void *), 16, false, "0x");
        break;
    case 'c':
        c = (char)va_arg(a->ap, int);
        put_text(s, sp, &c, 1);
        break;
    case 's':
        text = va_arg(a->ap, const char *);
        text = text ? text : "(null)";
        put_text(s, sp, text, strnlen(text, sp->precision < 0 ? SIZE_MAX : (size_t)sp->precision));
        break;
    default: /* %% and what is not known: as written */
        put(s, letter);
    }
}

int vsnprintf(char *dst, size_t size, const char *fmt, va_list ap)
{
    struct sink s = {dst, size, 0};
    struct spec sp;
    struct args a;

    va_copy(a.ap, ap);
    for (; *fmt; fmt++) {
        if (*fmt != '%') {
            put(&s, *fmt);
            continue;
        }
        fmt = parse_spec(fmt + 1, &sp, &a);
        if (!*fmt) /* a lone % at the end */
            break;
        convert(&s, &sp, *fmt, &a);
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
