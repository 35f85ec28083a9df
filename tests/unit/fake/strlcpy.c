/* SPDX-License-Identifier: BSD-2-Clause */
/* The one function of kernel/lib/string.h that not every host's C library has. */
#include "kernel/lib/string.h"

size_t strlcpy(char *dst, const char *src, size_t size)
{
    size_t len = strlen(src), n = len < size ? len : size - 1;

    memcpy(dst, src, n);
    dst[n] = 0;
    return len;
}
