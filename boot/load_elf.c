/* SPDX-License-Identifier: BSD-2-Clause */
/* ELF images (System V ABI, chapters 4 and 5) and the start of PVH guests (Xen's docs/misc/pvh.pandoc,
 * public/arch-x86/hvm/start_info.h). */
#include "boot/load.h"
#include <string.h>

#define ELF_CLASS   4 /* offset of EI_CLASS */
#define ELFCLASS32  1
#define ELFCLASS64  2
#define ELF_DATA    5
#define ELFDATA2LSB 1
#define ELF_MACHINE 18
#define EM_386      3
#define EM_X86_64   62
#define PT_LOAD     1
#define PT_NOTE     4

/* Where the fields that matter are in the file header and in a program header, whose type comes first. The
 * two counts have 2 bytes, the type 4, all others `word`. */
struct elf_layout {
    uint8_t word, header_size, entry, phoff, phentsize, phnum;
    uint8_t phdr_size, offset, vaddr, paddr, filesz, memsz;
};

static const struct elf_layout layouts[] = {
    [ELFCLASS32] = {4, 52, 24, 28, 42, 44, 32, 4, 8, 12, 16, 20},
    [ELFCLASS64] = {8, 64, 24, 32, 54, 56, 56, 8, 16, 24, 32, 40},
};

struct segment {
    uint64_t type, offset, vaddr, paddr, filesz, memsz;
};

struct elf_note {
    uint32_t namesz, descsz, type;
};

#define XEN_ELFNOTE_PHYS32_ENTRY 18

/* The file header, of either class. */
struct elf {
    const struct elf_layout *l;
    uint64_t entry, phoff, phentsize, phnum;
};

bool elf_is(const struct load_plan *p)
{
    const void *magic = load_bytes(p, 0, 4);

    return magic && memcmp(magic, "\177ELF", 4) == 0;
}

/* The number of `size` bytes at `off`, which is known to be in the file. */
static uint64_t number(const struct load_plan *p, uint64_t off, unsigned size)
{
    uint64_t n = 0;

    memcpy(&n, load_bytes(p, off, size), size);
    return n;
}

static bool read_header(const struct load_plan *p, struct elf *e)
{
    uint64_t class, machine;

    if (!load_bytes(p, 0, layouts[ELFCLASS32].header_size))
        return load_fail(p, "kernel is cut off in its ELF header");
    class = number(p, ELF_CLASS, 1);
    machine = number(p, ELF_MACHINE, 2);
    if (number(p, ELF_DATA, 1) != ELFDATA2LSB || (class != ELFCLASS32 && class != ELFCLASS64))
        return load_fail(p, "kernel is an ELF file of a kind that no x86 processor has");
    e->l = &layouts[class];
    if (!load_bytes(p, 0, e->l->header_size))
        return load_fail(p, "kernel is cut off in its ELF header");
    e->entry = number(p, e->l->entry, e->l->word);
    e->phoff = number(p, e->l->phoff, e->l->word);
    e->phentsize = number(p, e->l->phentsize, 2);
    e->phnum = number(p, e->l->phnum, 2);
    if (machine != EM_X86_64 && machine != EM_386)
        return load_fail(p, "kernel is an ELF file for machine %lu, not for x86", machine);
    if (e->phentsize != e->l->phdr_size || e->phnum == 0)
        return load_fail(p, "kernel's ELF program headers have an impossible size or number");
    if (!load_bytes(p, e->phoff, e->phentsize * e->phnum))
        return load_fail(p, "kernel is cut off: its %lu ELF program headers are not in the file", e->phnum);
    return true;
}

/* read_header() has seen that the table is in the file. */
static struct segment segment(const struct load_plan *p, const struct elf *e, unsigned i)
{
    const struct elf_layout *l = e->l;
    uint64_t at = e->phoff + i * e->phentsize;

    return (struct segment){
        .type = number(p, at, 4),
        .offset = number(p, at + l->offset, l->word),
        .vaddr = number(p, at + l->vaddr, l->word),
        .paddr = number(p, at + l->paddr, l->word),
        .filesz = number(p, at + l->filesz, l->word),
        .memsz = number(p, at + l->memsz, l->word),
    };
}

static bool plan_segment(struct load_plan *p, const struct segment *h)
{
    const void *src = load_bytes(p, h->offset, h->filesz);

    if (h->filesz > h->memsz)
        return load_fail(p, "kernel's ELF segment at 0x%lx is larger in the file than in memory", h->paddr);
    if (!src)
        return load_fail(p, "kernel is cut off: segment at 0x%lx ends behind the file's %lu bytes", h->paddr,
                         p->img->kernel_size);
    return load_piece(p, h->paddr, h->memsz, src, h->filesz);
}

/* The value of the PVH note in one PT_NOTE segment, or 0. Name and value are padded to 4 bytes. */
static uint64_t find_note(const struct load_plan *p, const struct segment *h)
{
    uint64_t off = 0, name, desc;
    struct elf_note note;

    while (h->filesz - off >= sizeof(note)) {
        memcpy(&note, load_bytes(p, h->offset + off, sizeof(note)), sizeof(note));
        name = off + sizeof(note);
        desc = name + ALIGN_UP((uint64_t)note.namesz, 4);
        if (desc > h->filesz || note.descsz > h->filesz - desc)
            return 0;
        if (note.type == XEN_ELFNOTE_PHYS32_ENTRY && note.namesz == 4 &&
            (note.descsz == 4 || note.descsz == 8) &&
            memcmp(load_bytes(p, h->offset + name, 4), "Xen", 4) == 0)
            return number(p, h->offset + desc, note.descsz);
        off = MIN(h->filesz, desc + ALIGN_UP((uint64_t)note.descsz, 4));
    }
    return 0;
}

struct hvm_start_info {
    uint32_t magic, version, flags, nr_modules;
    uint64_t modlist_paddr, cmdline_paddr, rsdp_paddr, memmap_paddr;
    uint32_t memmap_entries, reserved;
};
_Static_assert(sizeof(struct hvm_start_info) == 56, "start_info.h");
#define HVM_START_MAGIC 0x336ec578

struct hvm_modlist_entry {
    uint64_t paddr, size, cmdline_paddr, reserved;
};

struct hvm_memmap_entry {
    struct load_range range;
    uint32_t reserved;
};

/* Everything in one page. */
struct pvh_info {
    struct hvm_start_info start;
    struct hvm_modlist_entry module;
    struct hvm_memmap_entry memmap[LOAD_RANGES];
};
_Static_assert(sizeof(struct pvh_info) <= PAGE_SIZE, "LOAD_INFO is one page");

static void fill_start_info(const struct load_plan *p)
{
    struct pvh_info *info = load_low(p, LOAD_INFO);
    struct load_range range[LOAD_RANGES];
    unsigned n = load_ranges(p, range);

    info->start = (struct hvm_start_info){
        .magic = HVM_START_MAGIC,
        .version = 1,
        .nr_modules = p->initrd ? 1 : 0,
        .modlist_paddr = p->initrd ? LOAD_INFO + offsetof(struct pvh_info, module) : 0,
        .cmdline_paddr = LOAD_CMDLINE,
        .rsdp_paddr = LOAD_TABLES,
        .memmap_paddr = LOAD_INFO + offsetof(struct pvh_info, memmap),
        .memmap_entries = n,
    };
    if (p->initrd)
        info->module = (struct hvm_modlist_entry){.paddr = p->initrd, .size = p->img->initrd_size};
    for (unsigned i = 0; i < n; i++)
        info->memmap[i] = (struct hvm_memmap_entry){range[i], 0};
}

bool elf_plan(struct load_plan *p)
{
    uint64_t entry, pvh_entry = 0;
    struct elf e = {0};

    if (!read_header(p, &e))
        return false;
    entry = e.entry;
    for (unsigned i = 0; i < e.phnum; i++) {
        struct segment h = segment(p, &e, i);

        if (h.type == PT_LOAD) {
            if (!plan_segment(p, &h))
                return false;
            if (e.entry >= h.vaddr && e.entry - h.vaddr < h.memsz)
                entry = e.entry - h.vaddr + h.paddr;
        } else if (h.type == PT_NOTE && !pvh_entry) {
            if (!load_bytes(p, h.offset, h.filesz))
                return load_fail(p, "kernel is cut off: its ELF notes are not in the file");
            pvh_entry = find_note(p, &h);
        }
    }
    if (!pvh_entry)
        return multiboot_start(p, entry);
    if (!load_has(p, pvh_entry))
        return load_fail(p, "kernel's PVH entry 0x%lx is not in the kernel", pvh_entry);
    if (!load_initrd(p, SIZE_4G))
        return false;
    p->start->vcpu.rip = pvh_entry;
    p->start->vcpu.gpr[RBX] = LOAD_INFO;
    fill_start_info(p);
    return true;
}
