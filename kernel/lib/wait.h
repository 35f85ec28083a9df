/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The only place where the TCB waits for hardware: every wait has a bound, and the caller must look at the
 * outcome.
 *
 *     if (!wait_until(mmio_read32(u, STATUS) & READY, 100 * NS_PER_MS))
 *         return -ETIMEDOUT;
 *
 * The condition is evaluated once more after the limit has passed, so that a CPU that was away does not
 * report a time-out which did not happen.
 */
#pragma once

#include "kernel/cpu/time.h"

#define wait_until(cond, limit_ns)                                                                           \
    __extension__({                                                                                          \
        uint64_t wait_end = time_ns() + (limit_ns);                                                          \
        bool wait_ok;                                                                                        \
        while (!(wait_ok = (cond)) && time_ns() < wait_end)                                                  \
            __builtin_ia32_pause();                                                                          \
        wait_result(wait_ok || (cond));                                                                      \
    })

static inline MUST_USE bool wait_result(bool ok)
{
    return ok;
}
