/* SPDX-License-Identifier: BSD-2-Clause */
#include "kernel/console/log.h"
#include "kernel/console/console.h"
#include "kernel/cpu/time.h"
#include "kernel/lib/string.h"

#define LINE_MAX 383

static enum log_level log_level = LOG_INFO;

void log_set_level(enum log_level level)
{
    log_level = level;
}

/* Texts may quote peers: nothing in them ends the line early or talks to the terminal. */
static void make_printable(char *s)
{
    for (; *s; s++)
        if (*s < ' ' || *s > '~')
            *s = '.';
}

void log_print(enum log_level level, const char *fmt, ...)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    uint64_t us = time_ns() / NS_PER_US;
    char line[LINE_MAX];
    va_list ap;
    int head;

    if (level > log_level)
        return;
    head = snprintf(line, sizeof(line), "[%5lu.%06lu] %s: ", us / 1000000, us % 1000000, names[level]);
    va_start(ap, fmt);
    vsnprintf(line + head, sizeof(line) - (size_t)head, fmt, ap);
    va_end(ap);
    make_printable(line);
    console_log(line);
}

/* Only whole tokens move last_ns on, so that nothing is lost to rounding. */
bool ratelimit_ok(struct ratelimit *r)
{
    uint64_t now = time_ns(), elapsed = now - r->last_ns, per_token = NS_PER_S / MAX(r->per_sec, 1u);
    uint64_t earned = elapsed / per_token;

    if (earned >= r->burst - r->tokens) {
        r->tokens = r->burst;
        r->last_ns = now;
    } else {
        r->tokens += (uint32_t)earned;
        r->last_ns += earned * per_token;
    }
    if (r->tokens == 0) {
        r->dropped++;
        return false;
    }
    r->tokens--;
    return true;
}
