/* SPDX-License-Identifier: BSD-2-Clause */
/* The C library functions that the TCB needs, or the compiler calls for it. ISO C semantics. */
#pragma once

#include "kernel/lib/types.h"
#include <stdarg.h>

void *memcpy(void *restrict dst, const void *restrict src, size_t n);
void *memset(void *dst, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
int strcmp(const char *a, const char *b);

/* Copies at most size - 1 characters and always terminates; returns strlen(src). size >= 1. */
size_t strlcpy(char *dst, const char *src, size_t size);

/*
 * printf into a buffer: %d %u %x, each with '0', '#', a width up to 32 and l, ll, z; %s and %.*s; %%. Always
 * terminates (size >= 1); returns the length that the whole text would have.
 */
int vsnprintf(char *dst, size_t size, const char *fmt, va_list ap);
int snprintf(char *dst, size_t size, const char *fmt, ...) PRINTF(3, 4);
