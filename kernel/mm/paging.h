/* SPDX-License-Identifier: BSD-2-Clause */
/* The hypervisor's own page tables (Intel SDM 3A 4.5, AMD APM 2 5.3). */
#pragma once

#include "boot/bootinfo.h"
#include "kernel/cpu/x86.h"
#include "kernel/lib/types.h"
#include "kernel/mm/layout.h"

/* Takes boot's tables over (W^X, guard pages), but for the page that jumped here. Boot CPU, once, after frame_init(). */
void paging_init(const struct bootinfo *bi);

/* Takes out a page that boot/ has mapped to its own address, on this CPU. */
void paging_unmap_identity(hpa_t page);

/*
 * Maps `size` bytes of device registers at `start` (any alignment) uncached, read-write, never executable,
 * and returns their address, or NULL without room or memory. Mappings stay for good. Own lock.
 */
MUST_USE volatile void *mmio_map(hpa_t start, uint64_t size);

/* Whether this is RAM that the firmware listed as such, which is what the direct map holds. Any address, any CPU. */
bool paging_is_ram(hpa_t at);

/* RAM through the direct map; a device's address must not be given here. */
static inline void *hpa_to_ptr(hpa_t p)
{
    return (void *)(p.a + DIRECT_MAP_BASE);
}

/* The inverse, for pointers that came from hpa_to_ptr() or the heap. */
static inline hpa_t ptr_to_hpa(const void *p)
{
    return hpa((uint64_t)p - DIRECT_MAP_BASE);
}

/* Writes back what the CPUs have cached of [p, p + size), for hardware that does not snoop them. */
static inline void flush_to_ram(const void *p, size_t size)
{
    const char *line = (const char *)((uintptr_t)p & ~(uintptr_t)63);

    for (; line < (const char *)p + size; line += 64)
        clflush(line);
}
