/* SPDX-License-Identifier: BSD-2-Clause */
/* Guest physical to machine memory: the nested page table, and the RAM behind it. */
#pragma once

#include "boot/bootinfo.h"
#include "kernel/lib/spinlock.h"
#include "kernel/lib/types.h"
#include "kernel/mm/radix.h"
#include "vm/abi/platform.h"

struct p2m {
    struct spinlock lock;
    struct radix table;
    uint64_t ram_low, ram_high;           /* bytes below the hole, and from 4 GiB up */
    const struct boot_block *block, *end; /* RAM, by guest address; never a device */
    uint64_t generation; /* counts changes, and starts; vCPUs flush, and fetch anew, when theirs is older */
};

/* RAM as the configuration says, mapped RWX, in an empty structure. -ENOMEM. */
MUST_USE int p2m_init(struct p2m *p, const struct boot_guest *cfg);

/* Zeroes the next piece of all RAM, *done bytes of which are zero; false when there is no more. */
bool p2m_zero(struct p2m *p, uint64_t *done);

/* Maps device registers or RAM of the hypervisor's choice (RADIX_* flags) at page granularity; -EINVAL,
 * -ENOMEM. */
MUST_USE int p2m_map(struct p2m *p, gpa_t at, hpa_t target, uint64_t size, unsigned flags);
MUST_USE int p2m_unmap(struct p2m *p, gpa_t at, uint64_t size);

/*
 * The hypervisor's pointer to [at, at + size) of the guest's RAM (never device memory), or NULL if any byte
 * is not RAM or the range is not within 2 MiB-aligned 2 MiB, which are contiguous in machine memory. The
 * guest may change what is behind it at any time: copy once, then check.
 */
void *p2m_ram(const struct p2m *p, gpa_t at, uint64_t size);

/* Copies across block borders. -EFAULT: not all RAM; nothing was copied then. */
MUST_USE int p2m_read(const struct p2m *p, gpa_t at, void *dst, uint64_t size);
MUST_USE int p2m_write(const struct p2m *p, gpa_t at, const void *src, uint64_t size);
