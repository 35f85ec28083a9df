/* SPDX-License-Identifier: BSD-2-Clause */
/* How inih is compiled, for boot/ and for its host tests: include it before ini.h and before ini.c. */
#pragma once

#include <stddef.h>

/*
 * A line of lastmile.cfg is at most CONFIG_LINE_MAX characters, its end not counted; inih's buffer is larger
 * than that.
 */
#define CONFIG_LINE_MAX 1500

#define INI_HANDLER_LINENO      1
#define INI_STOP_ON_FIRST_ERROR 1
#define INI_ALLOW_MULTILINE     0
#define INI_USE_STACK           1
#define INI_MAX_LINE            2048
#define INI_CUSTOM_ALLOCATOR    1

/* Nothing is allocated: the line is on the stack. Not every release of inih knows that when it is compiled. */
static inline void *ini_malloc(size_t size)
{
    (void)size;
    return NULL;
}

static inline void *ini_realloc(void *p, size_t size)
{
    (void)p;
    return ini_malloc(size);
}

static inline void ini_free(void *p)
{
    (void)p;
}
