/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/handoff.h"
#include "boot/clock.h"
#include "boot/enumerate.h"
#include "boot/firmware.h"
#include "boot/iommu_stop.h"
#include "boot/memmap.h"
#include "boot/paging.h"
#include "boot/percpu.h"
#include "boot/power.h"
#include "boot/ram.h"
#include "boot/regs.h"
#include "boot/serial.h"
#include "kernel/cpu/x86.h"
#include "kernel/lib/types.h"
#include "kernel/mm/layout.h"
#include <string.h>

#define MAP_SLACK      64      /* descriptors that may appear between here and the end */
#define LOW_END        0xa0000 /* what lies above is the BIOS's data area and the VGA hole */
#define PIC1_MASK_PORT 0x21
#define PIC2_MASK_PORT 0xa1

void boot_jump(uint64_t cr3, uint64_t trampoline);
extern const char trampoline_start[], trampoline_64[], trampoline_words[], trampoline_end[];

struct trampoline_words {
    uint64_t bootinfo, entry, pages, cr4, cr3; /* pages: of struct percpu */
};

static struct {
    struct fw_map map;
    uint64_t *edges; /* scratch of memmap_convert() */
    size_t max;      /* room at info->mem, in entries */
    struct page_tables pt;
    char *percpu; /* pages of struct percpu */
} h;

static uint64_t direct(const void *p)
{
    return DIRECT_MAP_BASE + (uint64_t)p;
}

/* Room for a memory map with some more entries than it has now, and for what is made of it. */
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
    info->ram = (uint64_t)fw_pages(h.max * sizeof(struct boot_range), PAGE_SIZE);
    info->free = (uint64_t)fw_pages(h.max * sizeof(struct boot_range), PAGE_SIZE);
    return h.map.map && h.edges && info->mem && info->ram && info->free;
}

static void convert_map(struct bootinfo *info, const struct fw_map *map)
{
    struct boot_mem *mem = (struct boot_mem *)info->mem;

    info->mem_count = memmap_convert(map->map, map->bytes / map->stride, map->stride, mem, h.max, h.edges);
    info->ram_count = memmap_ram(mem, info->mem_count, (struct boot_range *)info->ram);
    info->free_count = memmap_free(mem, info->mem_count, (struct boot_range *)info->free);
}

/* The map as it is now: where there is RAM does not change any more. */
static bool read_map(struct bootinfo *info)
{
    struct fw_map now = h.map;
    const struct boot_range *ram = (const struct boot_range *)info->ram;

    if (!fw_memory_map(&now))
        return false;
    convert_map(info, &now);
    if (!info->free_count)
        return false;
    info->frame_states = (uint64_t)fw_pages(ram[info->ram_count - 1].end >> PAGE_SHIFT, PAGE_SIZE);
    return info->frame_states != 0;
}

/* A root below 4 GiB: the other processors load it from 32-bit code. */
static bool build_tables(const struct bootinfo *info, const struct elf_image *img)
{
    const struct boot_range *ram = (const struct boot_range *)info->ram;
    unsigned cpus = MIN(info->machine.ncpus, BOOT_CPUS_MAX);
    uint64_t stacks = (uint64_t)fw_pages(cpus * STACKS_PER_CPU * STACK_BYTES, PAGE_SIZE);

    h.percpu = fw_pages(cpus * PAGE_SIZE, PAGE_SIZE);
    for (unsigned i = 0; h.percpu && i < cpus; i++)
        percpu_fill((struct percpu *)(h.percpu + i * PAGE_SIZE), direct(h.percpu + i * PAGE_SIZE), i);
    h.pt.npages = paging_tables(ram, info->ram_count, img);
    h.pt.pool = fw_pages_below(SIZE_4G, h.pt.npages * PAGE_SIZE);
    h.pt.leaf_1g = cpuid(0x80000001, 0).edx & CPUID_80000001_EDX_1G;
    return stacks && h.percpu && h.pt.pool &&
           paging_build(&h.pt, ram, info->ram_count, img, info->image_base, stacks, cpus) &&
           paging_map(&h.pt, info->jump, info->jump, PAGE_SIZE, 0) &&
           paging_map(&h.pt, info->trampoline, info->trampoline, PAGE_SIZE, 0);
}

static void write_trampoline(const struct bootinfo *info, uint64_t entry)
{
    const struct trampoline_words words = {direct(info), entry, direct(h.percpu),
                                           info->machine.processor.host_cr4, (uint64_t)h.pt.pool};
    char *to = (char *)info->trampoline;

    memcpy(to, trampoline_start, (size_t)(trampoline_end - trampoline_start));
    memcpy(to + (trampoline_words - trampoline_start), &words, sizeof(words));
}

bool handoff_prepare(struct bootinfo *info, const struct elf_image *img, struct boot_error *err)
{
    info->jump = ALIGN_DOWN((uint64_t)boot_jump, PAGE_SIZE);
    info->trampoline = (uint64_t)fw_pages_below(LOW_END, PAGE_SIZE);
    if (!info->trampoline)
        return error_set(err,
                         "memory: no free page below 1 MiB, accepted: one for the start of the other CPUs");
    if (!prepare_map(info) || !read_map(info))
        return error_set(err, "memory: no room for the hand-off");
    if (!build_tables(info, img))
        return error_set(err, "memory: no room for the hypervisor's page tables and stacks");
    write_trampoline(info, img->entry);
    return true;
}

static void place_guest(struct bootinfo *info, struct boot_guest *g)
{
    static const char none[] = "the machine has no memory left for it";

    if (!g->start.refusal[0] && !ram_take(g, (struct boot_range *)info->free, &info->free_count, h.max))
        memcpy(g->start.refusal, none, sizeof(none));
}

/* With the firmware gone, nothing comes through the 8259s any more, and no device goes on. */
void handoff_go(struct bootinfo *info)
{
    uint64_t wall_seconds = fw_wall_seconds(), tsc_wall = rdtsc();

    if (!fw_exit(&h.map))
        return;
    __asm__ volatile("cli");
    outb(PIC1_MASK_PORT, 0xff);
    outb(PIC2_MASK_PORT, 0xff);
    serial_set_up(info->config.console_port);
    enumerate_silence();
    convert_map(info, &h.map);
    if (info->config.nnics)
        place_guest(info, &info->iodom);
    for (unsigned i = 0; i < info->config.nguests; i++)
        place_guest(info, &info->config.guest[i]);
    clock_measure(info->machine.power.pm_timer, info);
    iommu_stop(&info->machine.iommu, info->tsc_khz);
    clock_set_wall(wall_seconds, tsc_wall, info);
    power_prepare(&info->machine.power, info->tsc_khz);
    wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_NXE);
    boot_jump((uint64_t)h.pt.pool, info->trampoline + (uint64_t)(trampoline_64 - trampoline_start));
}
