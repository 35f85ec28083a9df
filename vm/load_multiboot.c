/* SPDX-License-Identifier: BSD-2-Clause */
/* Multiboot 1 (Multiboot Specification 0.6.96), as ELF or with its own address fields. */
#include "kernel/lib/bits.h"
#include "kernel/lib/string.h"
#include "vm/load.h"

#define SEARCH          8192 /* 3.1: the header lies in the first 8 KiB, 4-byte aligned */
#define MULTIBOOT_MAGIC 0x1badb002
#define START_MAGIC     0x2badb002

/* Requests of the header: bits 15:0 must be understood (3.1.2). */
#define FLAG_PAGE_ALIGN BIT32(0)
#define FLAG_MEMORY     BIT32(1)
#define FLAG_VIDEO      BIT32(2) /* there is no display: the information says nothing about one */
#define FLAG_ADDRESS    BIT32(16)

struct multiboot_header {
    uint32_t magic, flags, checksum;
    uint32_t header_addr, load_addr, load_end_addr, bss_end_addr, entry_addr; /* valid with FLAG_ADDRESS */
};

/* Where the header is in the file, or -1. Fields that the file ends before are 0. */
static int64_t find_header(const struct load_plan *p, struct multiboot_header *h)
{
    const uint64_t fixed = offsetof(struct multiboot_header, header_addr);
    const void *src;

    for (uint64_t off = 0; off + fixed <= SEARCH && (src = load_bytes(p, off, fixed)); off += 4) {
        *h = (struct multiboot_header){0};
        memcpy(h, src, fixed);
        if (h->magic != MULTIBOOT_MAGIC || h->magic + h->flags + h->checksum != 0)
            continue;
        src = load_bytes(p, off, sizeof(*h));
        if (src)
            memcpy(h, src, sizeof(*h));
        return (int64_t)off;
    }
    return -1;
}

bool multiboot_is(const struct load_plan *p)
{
    struct multiboot_header h;

    return find_header(p, &h) >= 0;
}

/* 3.1.3: one contiguous piece, placed by the header's own addresses. */
static int plan_addresses(struct load_plan *p, const struct multiboot_header *h, uint64_t header_off)
{
    uint64_t off, size, bss;

    if (h->load_addr > h->header_addr || h->header_addr - h->load_addr > header_off)
        return load_fail(p, "kernel's Multiboot load address 0x%x is not in the file", h->load_addr);
    off = header_off - (h->header_addr - h->load_addr);
    if (h->load_end_addr && h->load_end_addr < h->load_addr)
        return load_fail(p, "kernel's Multiboot load end 0x%x is below its start", h->load_end_addr);
    size = h->load_end_addr ? h->load_end_addr - h->load_addr : p->img->kernel_size - off;
    if (!load_bytes(p, off, size))
        return load_fail(p, "kernel is cut off: needs %lu bytes, has %lu", off + size, p->img->kernel_size);
    bss = h->bss_end_addr ? h->bss_end_addr : h->load_addr + size;
    if (bss < h->load_addr + size)
        return load_fail(p, "kernel's Multiboot bss end 0x%x is below its load end", h->bss_end_addr);
    p->npieces = 0;
    p->entry = h->entry_addr;
    return load_piece(p, h->load_addr, bss - h->load_addr, load_bytes(p, off, size), size);
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
    uint64_t base, length;
    uint32_t type;
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
        mb->map[i] =
            (struct map_entry){sizeof(struct map_entry) - 4, range[i].base, range[i].size, range[i].type};
}

int multiboot_plan(struct load_plan *p, bool elf)
{
    struct multiboot_header h = {0};
    int64_t off = find_header(p, &h);
    uint32_t unknown = h.flags & 0xffff & ~(FLAG_PAGE_ALIGN | FLAG_MEMORY | FLAG_VIDEO);
    int err = 0;

    if (off < 0)
        return load_fail(p, "kernel has no Multiboot 1 header");
    if (unknown)
        return load_fail(p, "kernel asks for Multiboot features 0x%x, which are unknown", unknown);
    if (h.flags & FLAG_ADDRESS)
        err = plan_addresses(p, &h, (uint64_t)off);
    else if (!elf)
        return load_fail(p, "kernel has a Multiboot 1 header without addresses, and is not an ELF file");
    if (err)
        return err;
    if (p->entry > UINT32_MAX || !load_has(p, p->entry))
        return load_fail(p, "kernel's entry 0x%lx is not in the kernel", p->entry);
    p->rax = START_MAGIC;
    p->rbx = LOAD_INFO;
    p->fill = fill_information;
    return load_initrd(p, SIZE_4G);
}
