/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Address spaces are types: a guest's address cannot be handed to something that wants the machine's.
 * One-member structs cost nothing at run time; take the number out with `.a`, put one in with hpa(), gpa(),
 * iova().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Machine (host physical) address. */
typedef struct {
    uint64_t a;
} hpa_t;

/* Guest physical address. */
typedef struct {
    uint64_t a;
} gpa_t;

/* Guest virtual (linear) address. */
typedef struct {
    uint64_t a;
} gva_t;

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

static inline gva_t gva(uint64_t a)
{
    return (gva_t){a};
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

/* printf-like: `fmt` is the format's position, `first` the first variable argument's. */
#define PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))
