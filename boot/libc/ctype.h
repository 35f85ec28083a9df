/* SPDX-License-Identifier: BSD-2-Clause */
/* The part of <ctype.h> that inih uses: the C locale. */
#ifndef BOOT_LIBC_CTYPE_H
#define BOOT_LIBC_CTYPE_H

static inline int isspace(int c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

#endif
