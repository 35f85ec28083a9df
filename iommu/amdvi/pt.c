/* SPDX-License-Identifier: BSD-2-Clause */
/* I/O page tables, version 1 (2.2.3). */
#include "iommu/amdvi/amdvi.h"

/* Permissions along the walk are ANDed, so tables allow everything. */
static const struct radix_format pt_format = {
    .present = PTE_PR,
    .table = PTE_PR | PTE_IR | PTE_IW,
    .level = PTE_NEXT_LEVEL,
    .leaf = PTE_PR | PTE_FC,
    .flag = {PTE_IR, PTE_IW},
};

int amdvi_pt_init(struct radix *t)
{
    *t = (struct radix){.format = &pt_format, .levels = AMDVI_LEVELS, .max_leaf_level = 2};
    return radix_init(t);
}
