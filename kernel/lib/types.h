/* SPDX-License-Identifier: BSD-2-Clause */
/* What every file may use: types, bit fields, error numbers. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Address spaces are types: a guest's address cannot be handed to something that wants the machine's.
 * One-member structs cost nothing at run time; take the number out with `.a`, put one in with hpa(), gpa(),
 * iova().
 */

/* Machine (host physical) address. */
typedef struct {
    uint64_t a;
} hpa_t;

/* Guest physical address. */
typedef struct {
    uint64_t a;
} gpa_t;

/* Address that a device puts on the bus, before the IOMMU translates it. */
typedef struct {
    uint64_t a;
} iova_t;

/* PCI segment and requester id: segment << 16 | bus << 8 | device << 3 | function (PCIe base 2.2.6.2). */
typedef struct {
    uint32_t id;
} rid_t;

static inline hpa_t hpa(uint64_t a)
{
    return (hpa_t){a};
}

static inline gpa_t gpa(uint64_t a)
{
    return (gpa_t){a};
}

static inline iova_t iova(uint64_t a)
{
    return (iova_t){a};
}

static inline rid_t rid(unsigned segment, unsigned bus, unsigned devfn)
{
    return (rid_t){(uint32_t)segment << 16 | (uint32_t)(bus & 0xff) << 8 | (uint32_t)(devfn & 0xff)};
}

#define PAGE_SHIFT 12
#define PAGE_SIZE  ((uint64_t)1 << PAGE_SHIFT)
#define PAGE_MASK  (PAGE_SIZE - 1)
#define SIZE_2M    ((uint64_t)2 << 20)
#define SIZE_1G    ((uint64_t)1 << 30)
#define SIZE_4G    ((uint64_t)4 << 30)

#define ARRAY_SIZE(x) (sizeof(x) / sizeof((x)[0]))

/* The struct that holds `member` at `ptr`. */
#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* The result must be looked at: hardware waits, checks of hostile input. */
#define MUST_USE __attribute__((warn_unused_result))

/* A parameter that a callback gets and does not need. */
#define UNUSED __attribute__((unused))

/* printf-like: `fmt` is the format's position, `first` the first variable argument's. */
#define PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))

/*
 * Bit fields of hardware registers, named as masks: GENMASK(7, 4), taken and placed with FIELD_GET and
 * FIELD_PREP.
 */
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

/* Errors are negative errno values; the numbers are Linux's, so that ABI users read them without a table. */
#define EPERM      1
#define ENOENT     2
#define ESRCH      3
#define EIO        5
#define EAGAIN     11
#define ENOMEM     12
#define EACCES     13
#define EFAULT     14
#define EBUSY      16
#define EEXIST     17
#define ENODEV     19
#define EINVAL     22
#define ENOSPC     28
#define ENOSYS     38
#define ETIMEDOUT  110
#define EOPNOTSUPP 95
