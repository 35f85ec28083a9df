/* SPDX-License-Identifier: BSD-2-Clause */
/* inih as boot/ compiles it, in one translation unit with the test; -I names its folder. */
#include "boot/ini_options.h"

#include <stddef.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-compare"
#include <ini.c>
#pragma GCC diagnostic pop

void *ini_malloc(size_t size)
{
    (void)size;
    return NULL;
}

void *ini_realloc(void *p, size_t size)
{
    (void)p;
    (void)size;
    return NULL;
}

void ini_free(void *p)
{
    (void)p;
}
