/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One radix-tree walker for every page table the hypervisor writes: its own, nested (NPT, EPT) and the
 * IOMMUs'. Nine bits a level, 4 KiB tables, 8-byte entries with the target in bits 51:12; the other bits are
 * a const format of its owner. Leaves are the largest that alignment and the tree allow; a large leaf is
 * split when a part of it changes. Callers lock, and invalidate caches afterwards. A table that is there
 * stays in use, even if a large leaf could replace all of it. Table frames come from frame_alloc(); the
 * walker never frees a table that hardware may still be walking: tables go back in radix_destroy() only.
 */
#pragma once

#include "kernel/lib/types.h"

/* Permissions and memory type of a leaf, in neutral terms. */
#define RADIX_R     0x1u
#define RADIX_W     0x2u
#define RADIX_X     0x4u
#define RADIX_UC    0x8u /* device memory: strong uncacheable */
#define RADIX_FLAGS 4

struct radix_format {
    uint64_t present; /* an entry with any of these bits is one */
    uint64_t table;   /* bits of every entry that names a table */
    uint64_t level;   /* a field of such entries that holds the level of their table, counted from 1, or 0 */
    uint64_t large;   /* bits of a leaf above level 0, if it has no such field */
    uint64_t leaf;    /* bits of a leaf without flags */
    uint64_t flag[RADIX_FLAGS]; /* what changes in them with RADIX_R, _W, _X and _UC */
};

/* All but the root are the owner's to fill in, before radix_init(). */
struct radix {
    const struct radix_format *format;
    unsigned levels;         /* 3, 4 or 5 */
    unsigned max_leaf_level; /* 0: 4 KiB leaves only; 1: 2 MiB; 2: 1 GiB */
    bool flush;              /* hardware walks it past the CPUs' caches */
    hpa_t root;              /* level `levels - 1` table */
};

/* An empty tree. -ENOMEM. */
MUST_USE int radix_init(struct radix *t);

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

/* Looks one address up: true and the target with the offset added, and the leaf's flags (each pointer may be
 * NULL). */
bool radix_lookup(const struct radix *t, uint64_t addr, hpa_t *target, unsigned *flags);
