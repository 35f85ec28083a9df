/* SPDX-License-Identifier: BSD-2-Clause */
/* Nested page tables (APM 2 15.25): long-mode entries, walked with the host's PAT; U/S is set because nested
 * accesses are user's. */
#include "vm/svm/svm.h"

#define NPT_LEVELS 4 /* 48 bits, as the host's own tables */
#define NPT_US     BIT(2)

static const struct radix_format npt_format = {
    .present = PTE_P,
    .table = PTE_P | PTE_RW | NPT_US,
    .large = PTE_PS,
    .leaf = NPT_US | PTE_NX,
    .flag = {PTE_P, PTE_RW, PTE_NX, PTE_PCD | PTE_PWT}, /* uncached: PAT entry 3 */
};

/* 2 MiB leaves are in every CPU with nested paging; 1 GiB ones follow the host's own (CPUID 8000_0001). */
int svm_p2m_init(struct radix *t)
{
    *t = (struct radix){
        .format = &npt_format, .levels = NPT_LEVELS, .max_leaf_level = hvm_cpu.leaf_1g ? 2 : 1};
    return radix_init(t);
}
