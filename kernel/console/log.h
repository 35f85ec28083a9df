/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The hypervisor's log: one line a call, `[    1.234567] level: text`, to the console's hypervisor channel.
 * Callable from any CPU and from exception context; takes the console lock.
 */
#pragma once

#include "kernel/lib/types.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* Lines above this level are dropped. */
void log_set_level(enum log_level level);

void log_print(enum log_level level, const char *fmt, ...) PRINTF(2, 3);

#define log_error(...) log_print(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_print(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_print(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_print(LOG_DEBUG, __VA_ARGS__)

/* A budget of lines for one source that may be hostile: `burst` lines at once, `per_sec` lines a second after
 * that. */
struct ratelimit {
    uint64_t last_ns;
    uint32_t tokens, burst, per_sec, dropped;
};

#define RATELIMIT_INIT(burst_, per_sec_)                                                                     \
    {                                                                                                        \
        0, (burst_), (burst_), (per_sec_), 0                                                                 \
    }

/* True when one more line may go out; counts those that may not in r->dropped. The caller holds the source's
 * lock. */
MUST_USE bool ratelimit_ok(struct ratelimit *r);

/* Prints the text, this CPU's registers and a symbolised backtrace, stops the other CPUs, and halts. Never
 * returns. */
_Noreturn void panic(const char *fmt, ...) PRINTF(1, 2);

/* For our own bugs only, never for a peer's input. */
#define ASSERT(cond)                                                                                         \
    do {                                                                                                     \
        if (!(cond))                                                                                         \
            panic("%s:%d: assertion failed: %s", __FILE__, __LINE__, #cond);                                 \
    } while (0)
