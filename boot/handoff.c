/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/handoff.h"
#include "boot/clock.h"
#include "boot/enumerate.h"
#include "boot/firmware.h"
#include "boot/memmap.h"
#include "boot/paging.h"
#include "boot/power.h"
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

void boot_jump(uint64_t bootinfo, uint64_t cr3, uint64_t stack, uint64_t entry);
extern const char trampoline_start[], trampoline_cr3[], trampoline_entry[], trampoline_end[];

static struct {
    struct fw_map map;
    uint64_t *edges; /* scratch of memmap_convert() */
    size_t max;      /* room at info->mem, in entries */
    struct page_tables pt;
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
    uint64_t stacks = (uint64_t)fw_pages(STACKS_PER_CPU * STACK_BYTES, PAGE_SIZE);

    h.pt.npages = paging_tables(ram, info->ram_count, img);
    h.pt.pool = fw_pages_below(SIZE_4G, h.pt.npages * PAGE_SIZE);
    h.pt.leaf_1g = cpuid(0x80000001, 0).edx & CPUID_80000001_EDX_1G;
    return stacks && h.pt.pool && paging_build(&h.pt, ram, info->ram_count, img, info->image_base, stacks) &&
           paging_map(&h.pt, info->jump, info->jump, PAGE_SIZE, 0) &&
           paging_map(&h.pt, info->trampoline, info->trampoline, PAGE_SIZE, 0);
}

/* For the other processors. */
static void write_trampoline(char *to, uint64_t entry)
{
    uint32_t cr3 = (uint32_t)(uint64_t)h.pt.pool;

    memcpy(to, trampoline_start, (size_t)(trampoline_end - trampoline_start));
    memcpy(to + (trampoline_cr3 - trampoline_start), &cr3, sizeof(cr3));
    memcpy(to + (trampoline_entry - trampoline_start), &entry, sizeof(entry));
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
    write_trampoline((char *)info->trampoline, img->entry);
    return true;
}

/* With the firmware gone, nothing comes through the 8259s any more, and no device goes on. */
void handoff_go(struct bootinfo *info, const struct elf_image *img)
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
    clock_measure(info->machine.power.pm_timer, info);
    clock_set_wall(wall_seconds, tsc_wall, info);
    power_prepare(&info->machine.power, info->tsc_khz);
    wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_NXE);
    boot_jump(direct(info), (uint64_t)h.pt.pool, stack_top(0, STACK_MAIN), img->entry);
}
