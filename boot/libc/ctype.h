/* SPDX-License-Identifier: BSD-2-Clause */
/* The part of <ctype.h> that inih uses: the C locale. */
#pragma once

static inline int isspace(int c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}
