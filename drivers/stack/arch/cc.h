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

/* Pools and heap are large, and lwIP sets up what it takes out of them. */
#define LWIP_DECLARE_MEMORY_ALIGNED(name, size)                                                              \
    u8_t name[LWIP_MEM_ALIGN_BUFFER(size)] __attribute__((section(".bss.not_zeroed")))

#define LWIP_RAND() ((u32_t)rand())
