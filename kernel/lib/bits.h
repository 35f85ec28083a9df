/* SPDX-License-Identifier: BSD-2-Clause */
/* Bit fields of hardware registers, named as masks: GENMASK(7, 4), taken and placed with FIELD_GET and
 * FIELD_PREP. */
#pragma once

#include <stdint.h>

#define BIT(n)          ((uint64_t)1 << (n))
#define BIT32(n)        ((uint32_t)1 << (n))
#define GENMASK(h, l)   ((~(uint64_t)0 >> (63 - (h))) & (~(uint64_t)0 << (l)))
#define GENMASK32(h, l) ((uint32_t)GENMASK(h, l))

/* The field's value, shifted down. `mask` is a constant, contiguous mask. */
#define FIELD_GET(mask, reg) (((reg) & (mask)) >> __builtin_ctzll(mask))
/* `val` shifted up into the field; bits that do not fit are cut. */
#define FIELD_PREP(mask, val) (((uint64_t)(val) << __builtin_ctzll(mask)) & (mask))

/* `align` is a power of two. */
#define ALIGN_UP(x, align)   (((x) + ((align)-1)) & ~((__typeof__(x))(align)-1))
#define ALIGN_DOWN(x, align) ((x) & ~((__typeof__(x))(align)-1))
#define IS_ALIGNED(x, align) (((x) & ((align)-1)) == 0)

#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
