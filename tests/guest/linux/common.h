/* SPDX-License-Identifier: BSD-2-Clause */
/* What the programs of Linux test guests share. */
#pragma once

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Seconds, of a clock that only goes on. */
static inline double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* What failed, with errno's reason. */
static inline void die(const char *what)
{
    printf("guest: error %s: %s\n", what, strerror(errno));
    exit(1);
}

/* Of ICMP (RFC 1071); n is even. */
static inline uint16_t checksum(const void *data, size_t n)
{
    const uint16_t *p = data;
    uint32_t sum = 0;

    for (size_t i = 0; i < n / 2; i++)
        sum += p[i];
    sum = (sum >> 16) + (sum & 0xffff);
    return (uint16_t) ~(sum + (sum >> 16));
}
