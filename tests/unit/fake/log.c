/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kernel/console/log.h into memory. fake_log holds the lines ("level: text\n"); fake_log_has() looks one up.
 * A panic in FAKE_EXPECT_PANIC(statement) comes back as true; anywhere else it ends the program.
 */
#include "kernel/console/log.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char fake_log[65536] __attribute__((unused));
static unsigned fake_log_lines __attribute__((unused));
static bool fake_ratelimit_full __attribute__((unused)); /* true: no more lines for hostile sources */
static jmp_buf *fake_panic_to;
static char fake_panic_text[512] __attribute__((unused));

#define FAKE_EXPECT_PANIC(statement)                                                                         \
    __extension__({                                                                                          \
        jmp_buf panic_here_;                                                                                 \
        volatile bool panicked_ = true;                                                                      \
        fake_panic_to = &panic_here_;                                                                        \
        if (!setjmp(panic_here_)) {                                                                          \
            statement;                                                                                       \
            panicked_ = false;                                                                               \
        }                                                                                                    \
        fake_panic_to = NULL;                                                                                \
        panicked_;                                                                                           \
    })

static inline void fake_log_reset(void)
{
    fake_log[0] = 0;
    fake_log_lines = 0;
}

static inline bool fake_log_has(const char *text)
{
    return strstr(fake_log, text) != NULL;
}

void log_set_level(enum log_level level)
{
    (void)level;
}

void log_print(enum log_level level, const char *fmt, ...)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    size_t at = strlen(fake_log), room = sizeof(fake_log) - at;
    char text[1024];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    fake_log_lines++;
    snprintf(fake_log + at, room, "%s: %s\n", names[level], text);
}

bool ratelimit_ok(struct ratelimit *r)
{
    r->dropped += fake_ratelimit_full;
    return !fake_ratelimit_full;
}

_Noreturn void panic(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(fake_panic_text, sizeof(fake_panic_text), fmt, ap);
    va_end(ap);
    if (fake_panic_to)
        longjmp(*fake_panic_to, 1);
    printf("unexpected panic: %s\n", fake_panic_text);
    abort();
}
