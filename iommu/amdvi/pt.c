/* SPDX-License-Identifier: BSD-2-Clause */
/* I/O page tables, version 1 (2.2.3). The specification counts levels from 1, the walker from 0. */
#include "iommu/amdvi/amdvi.h"

static uint64_t pt_leaf(hpa_t target, unsigned level, unsigned flags)
{
    (void)level; /* a NextLevel of 0 makes a leaf at any level */
    return PTE_PR | PTE_FC | (target.a & PTE_ADDR) | (flags & RADIX_R ? PTE_IR : 0) |
           (flags & RADIX_W ? PTE_IW : 0);
}

/* Permissions along the walk are ANDed, so tables allow everything. */
static uint64_t pt_table(hpa_t table, unsigned level)
{
    return PTE_PR | PTE_IR | PTE_IW | (table.a & PTE_ADDR) | FIELD_PREP(PTE_NEXT_LEVEL, level);
}

static bool pt_present(uint64_t entry)
{
    return entry & PTE_PR;
}

static bool pt_is_leaf(uint64_t entry, unsigned level)
{
    (void)level;
    return FIELD_GET(PTE_NEXT_LEVEL, entry) == 0;
}

static hpa_t pt_target(uint64_t entry)
{
    return hpa(entry & PTE_ADDR);
}

static unsigned pt_flags(uint64_t entry)
{
    return (entry & PTE_IR ? RADIX_R : 0) | (entry & PTE_IW ? RADIX_W : 0);
}

const struct radix_format pt_format = {2,          pt_leaf,   pt_table, pt_present,
                                       pt_is_leaf, pt_target, pt_flags, true /* Control.Coherent */};
