/* SPDX-License-Identifier: BSD-2-Clause */
/* lwIP's view of the compiler and the platform. */
#pragma once

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <sys/types.h>

#ifndef SSIZE_MAX
#define SSIZE_MAX LONG_MAX /* tells lwIP that ssize_t exists */
#endif

#define LWIP_PLATFORM_DIAG(x)                                                                                \
    do {                                                                                                     \
        printf x;                                                                                            \
    } while (0)

/* A broken invariant inside lwIP: better a stopped domain, which the hypervisor restarts, than a wrong one.
 */
#define LWIP_PLATFORM_ASSERT(x)                                                                              \
    do {                                                                                                     \
        printf("lwip: %s (%s:%d)\n", x, __FILE__, __LINE__);                                                 \
        abort();                                                                                             \
    } while (0)

#define LWIP_RAND() ((u32_t)rand())
