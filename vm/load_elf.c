/* SPDX-License-Identifier: BSD-2-Clause */
/* ELF images (System V ABI, chapters 4 and 5) and the start of PVH guests (Xen's docs/misc/pvh.pandoc,
 * public/arch-x86/hvm/start_info.h). */
#include "kernel/lib/bits.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"
#include "vm/emul/tables.h"
#include "vm/load.h"

#define ELFCLASS32  1
#define ELFCLASS64  2
#define ELFDATA2LSB 1
#define EM_386      3
#define EM_X86_64   62
#define PT_LOAD     1
#define PT_NOTE     4

struct elf_ident {
    uint8_t magic[4], class, data, version, pad[9];
    uint16_t type, machine;
    uint32_t elf_version;
};

struct elf32_header {
    struct elf_ident ident;
    uint32_t entry, phoff, shoff, flags;
    uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};
_Static_assert(sizeof(struct elf32_header) == 52, "System V ABI 4");

struct elf64_header {
    struct elf_ident ident;
    uint64_t entry, phoff, shoff;
    uint32_t flags;
    uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};
_Static_assert(sizeof(struct elf64_header) == 64, "System V ABI 4");

struct elf32_phdr {
    uint32_t type, offset, vaddr, paddr, filesz, memsz, flags, align;
};
_Static_assert(sizeof(struct elf32_phdr) == 32, "System V ABI 5");

struct elf64_phdr {
    uint32_t type, flags;
    uint64_t offset, vaddr, paddr, filesz, memsz, align;
};
_Static_assert(sizeof(struct elf64_phdr) == 56, "System V ABI 5");

struct elf_note {
    uint32_t namesz, descsz, type;
};

#define XEN_ELFNOTE_PHYS32_ENTRY 18

/* The file header, of either class. */
struct elf {
    bool is64;
    uint64_t entry, phoff;
    uint16_t phentsize, phnum;
};

bool elf_is(const struct load_plan *p)
{
    const void *ident = load_bytes(p, 0, sizeof(struct elf_ident));

    return ident && memcmp(ident, "\177ELF", 4) == 0;
}

static int read_header(const struct load_plan *p, struct elf *e)
{
    struct elf64_header h64 = {0};
    struct elf32_header h32 = {0};
    const struct elf_ident *id = load_bytes(p, 0, sizeof(*id));

    if (!id || id->data != ELFDATA2LSB || (id->class != ELFCLASS32 && id->class != ELFCLASS64))
        return load_fail(p, "kernel is an ELF file of a kind that no x86 processor has");
    e->is64 = id->class == ELFCLASS64;
    if (!load_bytes(p, 0, e->is64 ? sizeof(h64) : sizeof(h32)))
        return load_fail(p, "kernel is cut off in its ELF header");
    if (e->is64) {
        memcpy(&h64, id, sizeof(h64));
        *e = (struct elf){true, h64.entry, h64.phoff, h64.phentsize, h64.phnum};
    } else {
        memcpy(&h32, id, sizeof(h32));
        *e = (struct elf){false, h32.entry, h32.phoff, h32.phentsize, h32.phnum};
    }
    if (id->machine != EM_X86_64 && id->machine != EM_386)
        return load_fail(p, "kernel is an ELF file for machine %u, not for x86", id->machine);
    if (e->phentsize != (e->is64 ? sizeof(struct elf64_phdr) : sizeof(struct elf32_phdr)) || e->phnum == 0)
        return load_fail(p, "kernel's ELF program headers have an impossible size or number");
    if (!load_bytes(p, e->phoff, (uint64_t)e->phentsize * e->phnum))
        return load_fail(p, "kernel is cut off: its %u ELF program headers are not in the file", e->phnum);
    return 0;
}

/* read_header() has seen that the table is in the file. */
static struct elf64_phdr phdr(const struct load_plan *p, const struct elf *e, unsigned i)
{
    const void *src = load_bytes(p, e->phoff + (uint64_t)i * e->phentsize, e->phentsize);
    struct elf64_phdr h;
    struct elf32_phdr s;

    if (e->is64) {
        memcpy(&h, src, sizeof(h));
        return h;
    }
    memcpy(&s, src, sizeof(s));
    return (struct elf64_phdr){s.type, s.flags, s.offset, s.vaddr, s.paddr, s.filesz, s.memsz, s.align};
}

static int plan_segment(struct load_plan *p, const struct elf64_phdr *h)
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
static uint64_t find_note(const struct load_plan *p, const struct elf64_phdr *h)
{
    uint64_t off = 0, name, desc, entry;
    struct elf_note note;

    while (h->filesz - off >= sizeof(note)) {
        memcpy(&note, load_bytes(p, h->offset + off, sizeof(note)), sizeof(note));
        name = off + sizeof(note);
        desc = name + ALIGN_UP((uint64_t)note.namesz, 4);
        if (desc > h->filesz || note.descsz > h->filesz - desc)
            return 0;
        if (note.type == XEN_ELFNOTE_PHYS32_ENTRY && note.namesz == 4 &&
            (note.descsz == 4 || note.descsz == 8) &&
            memcmp(load_bytes(p, h->offset + name, 4), "Xen", 4) == 0) {
            entry = 0;
            memcpy(&entry, load_bytes(p, h->offset + desc, note.descsz), note.descsz);
            return entry;
        }
        off = MIN(h->filesz, desc + ALIGN_UP((uint64_t)note.descsz, 4));
    }
    return 0;
}

int elf_plan(struct load_plan *p, uint64_t *pvh_entry)
{
    struct elf e = {0};
    int err = read_header(p, &e);

    if (err)
        return err;
    p->entry = e.entry;
    *pvh_entry = 0;
    for (unsigned i = 0; i < e.phnum; i++) {
        struct elf64_phdr h = phdr(p, &e, i);

        if (h.type == PT_LOAD) {
            err = plan_segment(p, &h);
            if (err)
                return err;
            if (e.entry >= h.vaddr && e.entry - h.vaddr < h.memsz)
                p->entry = e.entry - h.vaddr + h.paddr;
        } else if (h.type == PT_NOTE && !*pvh_entry) {
            if (!load_bytes(p, h.offset, h.filesz))
                return load_fail(p, "kernel is cut off: its ELF notes are not in the file");
            *pvh_entry = find_note(p, &h);
        }
    }
    if (*pvh_entry && !load_has(p, *pvh_entry))
        return load_fail(p, "kernel's PVH entry 0x%lx is not in the kernel", *pvh_entry);
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
    uint64_t addr, size;
    uint32_t type, reserved;
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
        .rsdp_paddr = TABLES_RSDP,
        .memmap_paddr = LOAD_INFO + offsetof(struct pvh_info, memmap),
        .memmap_entries = n,
    };
    if (p->initrd)
        info->module = (struct hvm_modlist_entry){.paddr = p->initrd, .size = p->img->initrd_size};
    for (unsigned i = 0; i < n; i++)
        info->memmap[i] = (struct hvm_memmap_entry){range[i].base, range[i].size, range[i].type, 0};
}

void pvh_start(struct load_plan *p, uint64_t pvh_entry)
{
    p->entry = pvh_entry;
    p->rbx = LOAD_INFO;
    p->fill = fill_start_info;
}
