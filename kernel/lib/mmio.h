/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Device registers with a width in their type: `static const reg32_t CTRL = {0x18};` can only be read with
 * mmio_read32(). `base` is a mapped device page (mmio_map()); unit tests hand in ordinary memory.
 */
#ifndef KERNEL_LIB_MMIO_H
#define KERNEL_LIB_MMIO_H

#include "kernel/lib/types.h"

typedef struct {
    uint32_t off;
} reg32_t;

typedef struct {
    uint32_t off;
} reg64_t;

static inline uint32_t mmio_read32(volatile void *base, reg32_t r)
{
    return *(volatile uint32_t *)((volatile char *)base + r.off);
}

static inline void mmio_write32(volatile void *base, reg32_t r, uint32_t v)
{
    *(volatile uint32_t *)((volatile char *)base + r.off) = v;
}

static inline uint64_t mmio_read64(volatile void *base, reg64_t r)
{
    return *(volatile uint64_t *)((volatile char *)base + r.off);
}

static inline void mmio_write64(volatile void *base, reg64_t r, uint64_t v)
{
    *(volatile uint64_t *)((volatile char *)base + r.off) = v;
}

#endif
