/* SPDX-License-Identifier: BSD-2-Clause */
#include "kernel/mm/paging.h"
#include "kernel/console/log.h"
#include "kernel/cpu/regs.h"
#include "kernel/cpu/x86.h"
#include "kernel/lib/spinlock.h"
#include "kernel/mm/radix.h"

/* A virtual address's part that the four levels translate (SDM 3A 4.5.4). */
#define VA_MASK GENMASK(47, 0)

static const struct radix_format x86_format = {
    .present = PTE_P,
    .table = PTE_P | PTE_RW | PTE_A,
    .large = PTE_PS,
    .leaf = PTE_A | PTE_D | PTE_G | PTE_NX,
    .flag = {PTE_P, PTE_RW, PTE_NX, PTE_PCD | PTE_PWT}, /* uncached: PAT entry 3 */
};

static struct {
    struct spinlock lock; /* of the tree and of mmio_next */
    struct radix tree;
    uint64_t mmio_next;
} paging = {.tree = {.format = &x86_format, .levels = 4, .max_leaf_level = 1}, .mmio_next = MMIO_MAP_BASE};

void paging_init(const struct bootinfo *bi)
{
    paging.tree.root = hpa(read_cr3());
    paging_unmap_identity(hpa(bi->jump));
}

void paging_unmap_identity(hpa_t page)
{
    spin_guard(&paging.lock);
    if (radix_unmap(&paging.tree, page.a, PAGE_SIZE))
        panic("paging: %#lx stays mapped", page.a);
    invlpg(page.a);
}

/* Nothing is ever taken out of the direct map, so there is no lock. */
bool paging_is_ram(hpa_t at)
{
    return at.a < MMIO_MAP_BASE - DIRECT_MAP_BASE &&
           radix_lookup(&paging.tree, (DIRECT_MAP_BASE + at.a) & VA_MASK, NULL, NULL);
}

volatile void *mmio_map(hpa_t start, uint64_t size)
{
    hpa_t first = hpa(ALIGN_DOWN(start.a, PAGE_SIZE));
    uint64_t span = ALIGN_UP(start.a + size, PAGE_SIZE) - first.a,
             align = span >= SIZE_2M ? SIZE_2M : PAGE_SIZE, va;

    if (!size || start.a + size < start.a || start.a + size > PTE_TARGET)
        return NULL;
    spin_guard(&paging.lock);
    /* The same offset in a large page on both sides, so that large leaves fit. */
    va = ALIGN_UP(paging.mmio_next, align) + (first.a & (align - 1));
    if (span > MMIO_MAP_END - va ||
        radix_map(&paging.tree, va & VA_MASK, first, span, RADIX_R | RADIX_W | RADIX_UC))
        return NULL;
    paging.mmio_next = va + span;
    return (volatile char *)va + (start.a - first.a);
}
