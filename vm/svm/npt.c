/* SPDX-License-Identifier: BSD-2-Clause */
/* Nested page tables (APM 2 15.25): long-mode entries, walked with the host's PAT; U/S is set because nested
 * accesses are user's. */
#include "vm/svm/svm.h"

#define NPT_US BIT(2)

static uint64_t npt_leaf(hpa_t target, unsigned level, unsigned flags)
{
    uint64_t e = (target.a & PTE_TARGET) | NPT_US;

    if (flags & RADIX_R)
        e |= PTE_P;
    if (flags & RADIX_W)
        e |= PTE_RW;
    if (!(flags & RADIX_X))
        e |= PTE_NX;
    if (flags & RADIX_UC) /* PAT entry 3: uncacheable */
        e |= PTE_PCD | PTE_PWT;
    return level > 0 ? e | PTE_PS : e;
}

static uint64_t npt_table(hpa_t table, unsigned level)
{
    (void)level;
    return table.a | PTE_P | PTE_RW | NPT_US;
}

static bool npt_present(uint64_t entry)
{
    return entry & PTE_P;
}

static bool npt_is_leaf(uint64_t entry, unsigned level)
{
    return level == 0 || (entry & PTE_PS);
}

static hpa_t npt_target(uint64_t entry)
{
    return hpa(entry & PTE_TARGET);
}

static unsigned npt_flags(uint64_t entry)
{
    return (entry & PTE_P ? RADIX_R : 0) | (entry & PTE_RW ? RADIX_W : 0) | (entry & PTE_NX ? 0 : RADIX_X) |
           (entry & PTE_PCD ? RADIX_UC : 0);
}

/* 2 MiB leaves are in every CPU with nested paging; 1 GiB ones follow the host's own (CPUID 8000_0001). */
static const struct radix_format npt_2m = {1,           npt_leaf,   npt_table, npt_present,
                                           npt_is_leaf, npt_target, npt_flags, true};
static const struct radix_format npt_1g = {2,           npt_leaf,   npt_table, npt_present,
                                           npt_is_leaf, npt_target, npt_flags, true};

const struct radix_format *svm_npt_format(void)
{
    return svm_features.leaf_1g ? &npt_1g : &npt_2m;
}
