/* SPDX-License-Identifier: BSD-2-Clause */
#include "kernel/mm/paging.h"
#include "kernel/console/log.h"
#include "kernel/cpu/regs.h"
#include "kernel/cpu/x86.h"
#include "kernel/lib/spinlock.h"
#include "kernel/mm/frame.h"
#include "kernel/mm/radix.h"

/* A virtual address's part that the four levels translate (SDM 3A 4.5.4). */
#define VA_MASK GENMASK(47, 0)

extern const char image_start[], text_end[], rodata_end[], image_end[];

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
} paging = {.tree = {.format = &x86_format, .levels = 4}, .mmio_next = MMIO_MAP_BASE};

/* Boot time only: without its own mappings the hypervisor cannot run. */
static void map(uint64_t va, hpa_t target, uint64_t size, unsigned flags)
{
    if (size && radix_map(&paging.tree, va & VA_MASK, target, size, flags))
        panic("paging: no memory to map %#lx", va);
}

static void map_image(const struct bootinfo *bi)
{
    uint64_t text = (uint64_t)(text_end - image_start), rodata = (uint64_t)(rodata_end - text_end);
    uint64_t data = (uint64_t)(image_end - rodata_end);
    hpa_t base = hpa(bi->image_base);

    map(IMAGE_BASE, base, text, RADIX_R | RADIX_X);
    map(IMAGE_BASE + text, hpa(base.a + text), rodata, RADIX_R);
    map(IMAGE_BASE + text + rodata, hpa(base.a + text + rodata), data, RADIX_R | RADIX_W);
    /* The image's second address must not be a way round: code and constants are read-only there, too. */
    map(DIRECT_MAP_BASE + base.a, base, text + rodata, RADIX_R);
}

/* Global entries of the tables at hand-off go only when PGE does (SDM 3A 4.10.4.1). */
void paging_init(const struct bootinfo *bi)
{
    const struct frame_range *ram;
    unsigned count = frame_ram_ranges(&ram);
    uint64_t cr4 = read_cr4();

    paging.tree.max_leaf_level = cpuid(0x80000001, 0).edx & CPUID_80000001_EDX_1G ? 2 : 1;
    paging.tree.root = frame_low_page();
    for (unsigned i = 0; i < count; i++)
        map(DIRECT_MAP_BASE + ram[i].start, hpa(ram[i].start), ram[i].end - ram[i].start, RADIX_R | RADIX_W);
    map_image(bi);
    write_cr4(cr4 & ~CR4_PGE);
    write_cr3(paging.tree.root.a);
    write_cr4(cr4);
}

void paging_map_trampoline(hpa_t page)
{
    spin_guard(&paging.lock);
    map(page.a, page, PAGE_SIZE, RADIX_R | RADIX_X);
}

void paging_unmap_trampoline(hpa_t page)
{
    spin_guard(&paging.lock);
    if (radix_unmap(&paging.tree, page.a, PAGE_SIZE))
        panic("paging: the trampoline stays mapped");
    invlpg(page.a);
}

uint64_t paging_stack_top(unsigned cpu, enum stack which)
{
    uint64_t slot = (uint64_t)cpu * STACKS_PER_CPU + which;

    return STACKS_BASE + (slot + 1) * (STACK_PAGES + 1) * PAGE_SIZE;
}

/* The lowest page of each slot stays unmapped. */
uint64_t paging_map_stacks(unsigned cpu)
{
    spin_guard(&paging.lock);
    for (unsigned i = 0; i < STACKS_PER_CPU * STACK_PAGES; i++) {
        hpa_t frame = frame_alloc(FRAME_ORDER_4K);
        uint64_t va = paging_stack_top(cpu, i / STACK_PAGES) - (i % STACK_PAGES + 1) * PAGE_SIZE;

        if (!frame.a || radix_map(&paging.tree, va & VA_MASK, frame, PAGE_SIZE, RADIX_R | RADIX_W))
            return 0;
    }
    return paging_stack_top(cpu, STACK_MAIN);
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
