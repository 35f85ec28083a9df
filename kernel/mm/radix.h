/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One radix-tree walker for every page table the hypervisor writes: its own, nested (NPT, EPT) and the
 * IOMMUs'. Nine bits a level, 4 KiB tables, 8-byte entries; what an entry looks like is a const format of its
 * owner. Leaves are the largest that alignment and the format allow; a large leaf is split when a part of it
 * changes. Callers lock, and invalidate caches afterwards. A table that is there stays in use, even if a
 * large leaf could replace all of it. Table frames come from frame_alloc(); the walker never frees a table
 * that hardware may still be walking: tables go back in radix_destroy() only.
 */
#pragma once

#include "kernel/lib/types.h"

/* Permissions and memory type of a leaf, in neutral terms. */
#define RADIX_R  0x1u
#define RADIX_W  0x2u
#define RADIX_X  0x4u
#define RADIX_UC 0x8u /* device memory: strong uncacheable */

struct radix_format {
    unsigned max_leaf_level; /* 0: 4 KiB leaves only; 1: 2 MiB; 2: 1 GiB */
    /* Entry for a leaf at `level`, or for a table whose own entries are of level `level - 1`. */
    uint64_t (*leaf)(hpa_t target, unsigned level, unsigned flags);
    uint64_t (*table)(hpa_t table, unsigned level);
    bool (*present)(uint64_t entry);
    /* True if a present entry at `level` is a leaf. */
    bool (*is_leaf)(uint64_t entry, unsigned level);
    hpa_t (*target)(uint64_t entry);
    unsigned (*flags)(uint64_t entry); /* RADIX_* of a leaf */
    bool coherent; /* false: written entries are flushed from the CPU's caches (VT-d ECAP.C = 0) */
};

struct radix {
    const struct radix_format *format;
    hpa_t root;      /* level `levels - 1` table */
    unsigned levels; /* 3, 4 or 5 */
    uint64_t tables; /* frames in use, the root included */
};

/* An empty tree. -ENOMEM. */
MUST_USE int radix_init(struct radix *t, const struct radix_format *format, unsigned levels);

/*
 * Frees all tables, not what the leaves point at. The caller made sure that no hardware walks them any more.
 */
void radix_destroy(struct radix *t);

/*
 * Maps [addr, addr + size) to [target, target + size); all page-aligned, size > 0. Replaces what was mapped
 * there. -EINVAL: unaligned, or beyond what the levels span. -ENOMEM: a part may be mapped; unmap it.
 */
MUST_USE int radix_map(struct radix *t, uint64_t addr, hpa_t target, uint64_t size, unsigned flags);

/* Removes every leaf in [addr, addr + size). Errors as radix_map(); -ENOMEM only if a large leaf must be
 * split. */
MUST_USE int radix_unmap(struct radix *t, uint64_t addr, uint64_t size);

/* Looks one address up: true and the target with the offset added, the leaf's flags and its size (each
 * pointer may be NULL). */
bool radix_lookup(const struct radix *t, uint64_t addr, hpa_t *target, unsigned *flags, uint64_t *leaf_size);
