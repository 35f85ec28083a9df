/* SPDX-License-Identifier: BSD-2-Clause */
/* Multiboot 1 (Multiboot Specification 0.6.96) as ELF. */
#include "boot/load.h"
#include <string.h>

#define SEARCH          8192 /* 3.1: the header lies in the first 8 KiB, 4-byte aligned */
#define MULTIBOOT_MAGIC 0x1badb002
#define START_MAGIC     0x2badb002

/* Requests of the header: bits 15:0 must be understood (3.1.2). */
#define FLAG_PAGE_ALIGN BIT32(0)
#define FLAG_MEMORY     BIT32(1)
#define FLAG_VIDEO      BIT32(2) /* there is no display: the information says nothing about one */

struct multiboot_header {
    uint32_t magic, flags, checksum;
};

static bool find_header(const struct load_plan *p, struct multiboot_header *h)
{
    const void *src;

    for (uint64_t off = 0; off + sizeof(*h) <= SEARCH && (src = load_bytes(p, off, sizeof(*h))); off += 4) {
        memcpy(h, src, sizeof(*h));
        if (h->magic == MULTIBOOT_MAGIC && h->magic + h->flags + h->checksum == 0)
            return true;
    }
    return false;
}

/* 3.3 */
struct information {
    uint32_t flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr, syms[4];
    uint32_t mmap_length, mmap_addr;
};
_Static_assert(offsetof(struct information, mmap_addr) == 48, "Multiboot 3.3");
#define INFO_MEMORY  BIT32(0)
#define INFO_CMDLINE BIT32(2)
#define INFO_MODS    BIT32(3)
#define INFO_MMAP    BIT32(6)

struct module {
    uint32_t start, end, string, reserved;
};

struct map_entry {
    uint32_t size; /* of what follows */
    struct load_range range;
} __attribute__((packed));

/* All in one page; the specification's `information` may be longer, its later fields are then not flagged. */
struct multiboot_info {
    struct information info;
    uint8_t pad[128 - sizeof(struct information)];
    struct module module;
    struct map_entry map[LOAD_RANGES];
};
_Static_assert(sizeof(struct multiboot_info) <= PAGE_SIZE, "LOAD_INFO is one page");

static void fill_information(const struct load_plan *p)
{
    struct multiboot_info *mb = load_low(p, LOAD_INFO);
    struct load_range range[LOAD_RANGES];
    unsigned n = load_ranges(p, range);

    mb->info = (struct information){
        .flags = INFO_MEMORY | INFO_CMDLINE | INFO_MODS | INFO_MMAP,
        .mem_lower = LOAD_LOW_END >> 10,
        .mem_upper = (uint32_t)(range[2].size >> 10),
        .cmdline = LOAD_CMDLINE,
        .mods_count = p->initrd ? 1 : 0,
        .mods_addr = LOAD_INFO + offsetof(struct multiboot_info, module),
        .mmap_length = n * (uint32_t)sizeof(struct map_entry),
        .mmap_addr = LOAD_INFO + offsetof(struct multiboot_info, map),
    };
    if (p->initrd)
        mb->module =
            (struct module){.start = (uint32_t)p->initrd, .end = (uint32_t)(p->initrd + p->img->initrd_size)};
    for (unsigned i = 0; i < n; i++)
        mb->map[i] = (struct map_entry){sizeof(range[i]), range[i]};
}

/* The ELF headers say what goes where: a header with addresses of its own (bit 16) is refused. */
bool multiboot_start(struct load_plan *p, uint64_t entry)
{
    struct multiboot_header h;
    uint32_t unknown;

    if (!find_header(p, &h))
        return load_fail(p, "kernel is an ELF file with neither a PVH note nor a Multiboot 1 header");
    unknown = h.flags & 0x1ffff & ~(FLAG_PAGE_ALIGN | FLAG_MEMORY | FLAG_VIDEO);
    if (unknown)
        return load_fail(p, "kernel asks for Multiboot features 0x%x, which it does not get", unknown);
    if (!load_has(p, entry))
        return load_fail(p, "kernel's entry 0x%lx is not in the kernel", entry);
    if (!load_initrd(p, SIZE_4G))
        return false;
    p->start->vcpu.rip = entry;
    p->start->vcpu.gpr[RAX] = START_MAGIC;
    p->start->vcpu.gpr[RBX] = LOAD_INFO;
    fill_information(p);
    return true;
}
