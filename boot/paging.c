/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/paging.h"
#include "kernel/cpu/regs.h"
#include "kernel/lib/types.h"
#include "kernel/mm/layout.h"

#define LEAF (PTE_P | PTE_A | PTE_D | PTE_G)

#define ENTRIES 512

static uint64_t *new_table(struct page_tables *pt)
{
    return pt->used < pt->npages ? pt->pool + ENTRIES * pt->used++ : NULL;
}

static unsigned level_shift(unsigned level)
{
    return PAGE_SHIFT + 9 * level;
}

/* The largest level whose leaf fits: 0 for 4 KiB, 1 for 2 MiB, 2 for 1 GiB. */
static unsigned leaf_level(const struct page_tables *pt, uint64_t va, uint64_t pa, uint64_t size)
{
    unsigned level = pt->leaf_1g ? 2 : 1;

    while (level && (!IS_ALIGNED(va | pa, (uint64_t)1 << level_shift(level)) ||
                     size < (uint64_t)1 << level_shift(level)))
        level--;
    return level;
}

/*
 * The entry for `va` at `level`, with the tables above it made; NULL if there is no room or a leaf is in the
 * way.
 */
static uint64_t *walk(struct page_tables *pt, uint64_t va, unsigned level)
{
    uint64_t *table = pt->pool, *entry;

    if (!pt->used)
        table = new_table(pt);
    for (unsigned l = 3; table; l--) {
        entry = &table[va >> level_shift(l) & (ENTRIES - 1)];
        if (l == level)
            return entry;
        if (!*entry) {
            table = new_table(pt);
            if (table)
                *entry = (uint64_t)(uintptr_t)table | PTE_A | PTE_RW | PTE_P;
        } else {
            table = *entry & PTE_PS ? NULL : (uint64_t *)(uintptr_t)(*entry & PTE_TARGET);
        }
    }
    return NULL;
}

bool paging_map(struct page_tables *pt, uint64_t va, uint64_t pa, uint64_t size, uint64_t flags)
{
    while (size) {
        unsigned level = leaf_level(pt, va, pa, size);
        uint64_t step = (uint64_t)1 << level_shift(level), *entry = walk(pt, va, level);

        if (!entry || *entry)
            return false;
        *entry = pa | flags | LEAF | (level ? PTE_PS : 0);
        va += step;
        pa += step;
        size -= step;
    }
    return true;
}

/* At both ends of a stretch of RAM one of each level, and those in the middle; the same for the image and what it cuts. */
size_t paging_tables(const struct boot_range *ram, size_t n, const struct elf_image *img)
{
    size_t pages = 32 + 2 * (img->size / SIZE_2M);

    for (size_t i = 0; i < n; i++)
        pages += 6 + (ram[i].end - ram[i].base) / SIZE_1G;
    return pages;
}

/* Where code and constants end: they come first (linker/hv.ld). */
static uint64_t constant_bytes(const struct elf_image *img)
{
    uint64_t end = 0;

    for (unsigned i = 0; i < img->nsegments && !img->segment[i].write; i++)
        end = ALIGN_UP(img->segment[i].vaddr - img->vaddr + img->segment[i].memsz, PAGE_SIZE);
    return end;
}

static bool map_direct(struct page_tables *pt, uint64_t base, uint64_t end, uint64_t flags)
{
    return base >= end || paging_map(pt, DIRECT_MAP_BASE + base, base, end - base, flags | MAP_NO_EXEC);
}

static bool map_image(struct page_tables *pt, const struct elf_image *img, uint64_t image)
{
    for (const struct elf_segment *s = img->segment; s < img->segment + img->nsegments; s++)
        if (!paging_map(pt, s->vaddr, image + (s->vaddr - img->vaddr), ALIGN_UP(s->memsz, PAGE_SIZE),
                        (s->write ? MAP_WRITE : 0) | (s->exec ? 0 : MAP_NO_EXEC)))
            return false;
    return true;
}

bool paging_build(struct page_tables *pt, const struct boot_range *ram, size_t n, const struct elf_image *img,
                  uint64_t image, uint64_t stacks, unsigned cpus)
{
    uint64_t fixed = image + constant_bytes(img);

    for (size_t i = 0; i < n; i++)
        if (!map_direct(pt, ram[i].base, MIN(ram[i].end, image), MAP_WRITE) ||
            !map_direct(pt, MAX(ram[i].base, image), MIN(ram[i].end, fixed), 0) ||
            !map_direct(pt, MAX(ram[i].base, fixed), ram[i].end, MAP_WRITE))
            return false;
    for (unsigned i = 0; i < cpus * STACKS_PER_CPU; i++)
        if (!paging_map(pt, stack_top(i / STACKS_PER_CPU, i % STACKS_PER_CPU) - STACK_BYTES,
                        stacks + i * STACK_BYTES, STACK_BYTES, MAP_WRITE | MAP_NO_EXEC))
            return false;
    return map_image(pt, img, image);
}
