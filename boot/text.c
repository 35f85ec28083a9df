/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/text.h"
#include <string.h>

struct out {
    char *dst;
    size_t len, size;
};

static void put(struct out *o, char c)
{
    if (o->len + 1 < o->size)
        o->dst[o->len++] = c;
}

static void put_padded(struct out *o, const char *s, size_t len, size_t width, char pad, bool left)
{
    size_t fill = width > len ? width - len : 0;

    for (size_t i = 0; !left && i < fill; i++)
        put(o, pad);
    for (size_t i = 0; i < len; i++)
        put(o, s[i]);
    for (size_t i = 0; left && i < fill; i++)
        put(o, ' ');
}

static size_t digits(char *end, uint64_t v, unsigned base)
{
    size_t n = 0;

    do {
        *--end = "0123456789abcdef"[v % base];
        n++;
        v /= base;
    } while (v);
    return n;
}

static const char *put_directive(struct out *o, const char *f, va_list *ap)
{
    bool left = false, wide = false;
    char pad = ' ', buf[24];
    size_t width = 0, n;
    const char *s;

    for (; *f == '-' || *f == '0'; f++) {
        left |= *f == '-';
        pad = *f == '0' ? '0' : pad;
    }
    for (; *f >= '0' && *f <= '9'; f++)
        width = width * 10 + (size_t)(*f - '0');
    for (; *f == 'l'; f++)
        wide = true;
    switch (*f) {
    case 's':
        s = va_arg(*ap, const char *);
        put_padded(o, s, strlen(s), width, ' ', left);
        break;
    case 'c':
        put(o, (char)va_arg(*ap, int));
        break;
    case 'u':
    case 'x':
        n = digits(buf + sizeof(buf), wide ? va_arg(*ap, uint64_t) : va_arg(*ap, unsigned),
                   *f == 'u' ? 10 : 16);
        put_padded(o, buf + sizeof(buf) - n, n, width, pad, left);
        break;
    default:
        put(o, *f);
    }
    return *f ? f + 1 : f;
}

size_t text_vformat(char *dst, size_t size, const char *fmt, va_list ap)
{
    struct out o = {dst, 0, size};
    va_list args;

    va_copy(args, ap);
    while (*fmt) {
        if (*fmt == '%')
            fmt = put_directive(&o, fmt + 1, &args);
        else
            put(&o, *fmt++);
    }
    va_end(args);
    dst[o.len] = 0;
    return o.len;
}

size_t text_format(char *dst, size_t size, const char *fmt, ...)
{
    va_list ap;
    size_t n;

    va_start(ap, fmt);
    n = text_vformat(dst, size, fmt, ap);
    va_end(ap);
    return n;
}

bool error_set(struct boot_error *err, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    text_vformat(err->text, sizeof(err->text), fmt, ap);
    va_end(ap);
    return false;
}

static unsigned digit(char c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10 : 16;
}

bool text_number(const char **s, unsigned base, uint64_t max, uint64_t *value)
{
    const char *p = *s;
    uint64_t v = 0;

    for (unsigned d; (d = digit(*p)) < base; p++) {
        if (d > max || v > (max - d) / base)
            return false;
        v = v * base + d;
    }
    if (p == *s)
        return false;
    *s = p;
    *value = v;
    return true;
}

bool text_number_all(const char *s, uint64_t max, uint64_t *value)
{
    bool hex = s[0] == '0' && (s[1] | 0x20) == 'x';

    s += hex ? 2 : 0;
    return text_number(&s, hex ? 16 : 10, max, value) && !*s;
}

bool text_mac(const char **s, uint8_t mac[6])
{
    const char *p = *s;

    for (unsigned i = 0; i < 6; i++, p++) {
        if (digit(p[0]) > 15 || digit(p[1]) > 15 || (i < 5 && p[2] != ':'))
            return false;
        mac[i] = (uint8_t)(digit(p[0]) << 4 | digit(p[1]));
        p += 2;
    }
    *s = p - 1;
    return true;
}

bool text_equal(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

const char *text_skip_blanks(const char *s)
{
    while (*s == ' ' || *s == '\t')
        s++;
    return s;
}

bool text_word_ends(const char *s)
{
    return !*s || *s == ' ' || *s == '\t';
}

bool text_take(const char **s, const char *word)
{
    size_t n = strlen(word);

    if (memcmp(*s, word, n < strlen(*s) ? n : strlen(*s)) != 0 || strlen(*s) < n)
        return false;
    *s += n;
    return true;
}

bool text_copy(char *dst, size_t size, const char *src)
{
    size_t n = strlen(src), len = n < size ? n : size - 1;

    memcpy(dst, src, len);
    dst[len] = 0;
    return len == n;
}

unsigned text_distance(const char *a, const char *b)
{
    unsigned row[3][32];
    size_t la = strlen(a), lb = strlen(b);

    if (la > 31 || lb > 31)
        return 64;
    for (unsigned j = 0; j <= lb; j++)
        row[0][j] = j;
    for (unsigned i = 1; i <= la; i++) {
        unsigned *cur = row[i % 3], *up = row[(i + 2) % 3], *up2 = row[(i + 1) % 3];

        cur[0] = i;
        for (unsigned j = 1; j <= lb; j++) {
            unsigned best = up[j - 1] + (a[i - 1] != b[j - 1]);

            best = up[j] + 1 < best ? up[j] + 1 : best;
            best = cur[j - 1] + 1 < best ? cur[j - 1] + 1 : best;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && up2[j - 2] + 1 < best)
                best = up2[j - 2] + 1;
            cur[j] = best;
        }
    }
    return row[la % 3][lb];
}
