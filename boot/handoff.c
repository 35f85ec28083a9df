/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/handoff.h"
#include "boot/firmware.h"
#include "boot/memmap.h"
#include "boot/paging.h"
#include "kernel/cpu/x86.h"
#include "kernel/lib/types.h"
#include "kernel/mm/layout.h"

#define STACK_BYTES    ((uint64_t)16 << 10)
#define MAP_SLACK      64 /* descriptors that may appear between here and the end */
#define MSR_EFER       0xc0000080u
#define EFER_NXE       BIT(11)
#define CPUID_1G_PAGES BIT32(26) /* 8000_0001h EDX */

void boot_jump(uint64_t bootinfo, uint64_t cr3, uint64_t stack, uint64_t entry);
extern const char boot_jump_end[];

static struct {
    struct fw_map map;
    uint64_t *edges; /* scratch of memmap_convert() */
    size_t max;      /* room at info->mem, in entries */
    struct page_tables pt;
    uint64_t stack;
} h;

static uint64_t direct(const void *p)
{
    return DIRECT_MAP_BASE + (uint64_t)p;
}

/* Room for a memory map with some more entries than it has now; then the map as it is now. */
static bool prepare_map(struct bootinfo *info)
{
    size_t n;

    fw_memory_map(&h.map); /* says how large it is */
    if (!h.map.stride)
        return false;
    n = h.map.bytes / h.map.stride + MAP_SLACK;
    h.map.bytes = n * h.map.stride;
    h.max = 2 * n;
    h.map.map = fw_pages(h.map.bytes, PAGE_SIZE);
    h.edges = fw_pages(2 * n * sizeof(*h.edges), PAGE_SIZE);
    info->mem = (uint64_t)fw_pages(h.max * sizeof(struct boot_mem), PAGE_SIZE);
    return h.map.map && h.edges && info->mem;
}

static bool read_map(struct bootinfo *info)
{
    struct fw_map now = h.map;

    if (!fw_memory_map(&now))
        return false;
    info->mem_count = memmap_convert(now.map, now.bytes / now.stride, now.stride,
                                     (struct boot_mem *)info->mem, h.max, h.edges);
    return info->mem_count != 0;
}

/* The next stretch of RAM at or after entry *i, whatever is in it; false if there is none. */
static bool next_ram(const struct bootinfo *info, size_t *i, uint64_t *base, uint64_t *size)
{
    const struct boot_mem *m = (const struct boot_mem *)info->mem;

    while (*i < info->mem_count && !memmap_is_ram(m[*i].type))
        (*i)++;
    if (*i == info->mem_count)
        return false;
    *base = m[*i].base;
    *size = 0;
    for (; *i < info->mem_count && memmap_is_ram(m[*i].type) && m[*i].base == *base + *size; (*i)++)
        *size += m[*i].size;
    return true;
}

/*
 * More tables than the hand-off can need: at both ends of a stretch one of each level, and those in the
 * middle.
 */
static size_t tables_needed(const struct bootinfo *info)
{
    size_t pages = 16 + info->image_size / SIZE_2M;
    uint64_t base, size;

    for (size_t i = 0; next_ram(info, &i, &base, &size);)
        pages += 6 + size / SIZE_1G;
    return pages;
}

static bool map_all(const struct bootinfo *info, const struct elf_image *img)
{
    uint64_t base, size, code = ALIGN_DOWN((uint64_t)boot_jump, PAGE_SIZE);

    for (size_t i = 0; next_ram(info, &i, &base, &size);)
        if (!paging_map(&h.pt, DIRECT_MAP_BASE + base, base, size, MAP_WRITE | MAP_NO_EXEC))
            return false;
    for (unsigned i = 0; i < img->nsegments; i++) {
        const struct elf_segment *s = &img->segment[i];
        uint64_t flags = (s->write ? MAP_WRITE : 0) | (s->exec ? 0 : MAP_NO_EXEC);

        if (!paging_map(&h.pt, s->vaddr, info->image_base + (s->vaddr - img->vaddr),
                        ALIGN_UP(s->memsz, PAGE_SIZE), flags))
            return false;
    }
    return paging_map(&h.pt, code, code, ALIGN_UP((uint64_t)boot_jump_end, PAGE_SIZE) - code, 0);
}

bool handoff_prepare(struct bootinfo *info, const struct elf_image *img, struct boot_error *err)
{
    info->trampoline = fw_low_page();
    if (!info->trampoline)
        return error_set(err,
                         "memory: no free page below 1 MiB, accepted: one for the start of the other CPUs");
    h.stack = (uint64_t)fw_pages(STACK_BYTES, PAGE_SIZE);
    if (!h.stack || !prepare_map(info) || !read_map(info))
        return error_set(err, "memory: no room for the hand-off");
    h.pt.npages = tables_needed(info);
    h.pt.pool = fw_pages(h.pt.npages * PAGE_SIZE, PAGE_SIZE);
    h.pt.leaf_1g = cpuid(0x80000001, 0).edx & CPUID_1G_PAGES;
    if (!h.pt.pool || !map_all(info, img))
        return error_set(err, "memory: no room for the page tables of the hand-off");
    return true;
}

void handoff_go(struct bootinfo *info, const struct elf_image *img)
{
    info->wall_seconds = fw_wall_seconds();
    info->tsc_wall = rdtsc();
    if (!fw_exit(&h.map))
        return;
    info->mem_count = memmap_convert(h.map.map, h.map.bytes / h.map.stride, h.map.stride,
                                     (struct boot_mem *)info->mem, h.max, h.edges);
    wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_NXE);
    boot_jump(direct(info), (uint64_t)h.pt.pool, DIRECT_MAP_BASE + h.stack + STACK_BYTES, img->entry);
}
