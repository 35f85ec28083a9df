/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/elf.h"
#include "kernel/lib/types.h"
#include <string.h>

/* System V ABI, ELF-64 object file format 1.5, figures 2 and 6. */
struct elf64_ehdr {
    uint8_t e_ident[16];
    uint16_t e_type, e_machine;
    uint32_t e_version;
    uint64_t e_entry, e_phoff, e_shoff;
    uint32_t e_flags;
    uint16_t e_ehsize, e_phentsize, e_phnum, e_shentsize, e_shnum, e_shstrndx;
};
_Static_assert(sizeof(struct elf64_ehdr) == 64, "ELF-64 figure 2");

struct elf64_phdr {
    uint32_t p_type, p_flags;
    uint64_t p_offset, p_vaddr, p_paddr, p_filesz, p_memsz, p_align;
};
_Static_assert(sizeof(struct elf64_phdr) == 56, "ELF-64 figure 6");

#define ET_EXEC   2
#define EM_X86_64 62
#define PT_LOAD   1
#define PF_X      0x1u
#define PF_W      0x2u

static bool refuse(struct boot_error *err, const char *name, const char *why)
{
    return error_set(err, "%s: %s, accepted: the hv.elf of this version", name, why);
}

static bool check_header(const struct elf64_ehdr *h, uint64_t size, const char *name, struct boot_error *err)
{
    static const uint8_t ident[] = {0x7f, 'E', 'L', 'F', 2 /* ELFCLASS64 */, 1 /* ELFDATA2LSB */,
                                    1 /* EV_CURRENT */};

    if (memcmp(h->e_ident, ident, sizeof(ident)) != 0 || h->e_type != ET_EXEC || h->e_machine != EM_X86_64)
        return refuse(err, name, "no ELF64 executable for x86-64");
    if (h->e_phentsize != sizeof(struct elf64_phdr) || h->e_phnum == 0 || h->e_phnum > 64)
        return refuse(err, name, "bad program header table");
    if (h->e_phoff > size || (uint64_t)h->e_phnum * sizeof(struct elf64_phdr) > size - h->e_phoff)
        return refuse(err, name, "truncated in its program header table");
    return true;
}

/* One PT_LOAD, against the file and the segment before it. */
static bool add_segment(struct elf_image *img, const struct elf64_phdr *ph, uint64_t size, uint64_t end,
                        const char *name, struct boot_error *err)
{
    struct elf_segment *s = &img->segment[img->nsegments], *before = s - 1;

    if (img->nsegments == ELF_SEGMENTS_MAX)
        return refuse(err, name, "too many segments");
    if (ph->p_offset > size || ph->p_filesz > size - ph->p_offset)
        return refuse(err, name, "truncated: a segment lies beyond the file's end");
    if (ph->p_memsz < ph->p_filesz || ph->p_vaddr < img->vaddr || ph->p_vaddr > end ||
        ph->p_memsz > end - ph->p_vaddr)
        return refuse(err, name, "a segment lies outside the hypervisor's addresses");
    if (!IS_ALIGNED(ph->p_vaddr, PAGE_SIZE))
        return refuse(err, name, "a segment does not begin on a page");
    if (img->nsegments && ph->p_vaddr < ALIGN_UP(before->vaddr + before->memsz, PAGE_SIZE))
        return refuse(err, name, "segments overlap or are out of order");
    if ((ph->p_flags & PF_X) && (ph->p_flags & PF_W))
        return refuse(err, name, "a segment is both writable and executable");
    *s = (struct elf_segment){ph->p_vaddr,  ph->p_memsz,        ph->p_offset,
                              ph->p_filesz, ph->p_flags & PF_W, ph->p_flags & PF_X};
    img->nsegments++;
    return true;
}

static bool entry_is_code(const struct elf_image *img)
{
    for (unsigned i = 0; i < img->nsegments; i++) {
        const struct elf_segment *s = &img->segment[i];

        if (s->exec && img->entry >= s->vaddr && img->entry - s->vaddr < s->memsz)
            return true;
    }
    return false;
}

bool elf_check(struct elf_image *img, const char *name, const void *file, uint64_t size, uint64_t vbase,
               uint64_t vend, struct boot_error *err)
{
    struct elf64_ehdr h;
    struct elf64_phdr ph;
    uint64_t end = vend - vbase > ELF_IMAGE_MAX ? vbase + ELF_IMAGE_MAX : vend;

    memset(img, 0, sizeof(*img));
    if (size < sizeof(h))
        return refuse(err, name, "too short to be an ELF file");
    memcpy(&h, file, sizeof(h));
    if (!check_header(&h, size, name, err))
        return false;
    img->vaddr = vbase;
    img->entry = h.e_entry;
    for (unsigned i = 0; i < h.e_phnum; i++) {
        memcpy(&ph, (const uint8_t *)file + h.e_phoff + i * sizeof(ph), sizeof(ph));
        if (ph.p_type == PT_LOAD && ph.p_memsz && !add_segment(img, &ph, size, end, name, err))
            return false;
    }
    if (!img->nsegments || img->segment[0].vaddr != vbase)
        return refuse(err, name, "not linked for the hypervisor's base address");
    if (!entry_is_code(img))
        return refuse(err, name, "the entry point is not in executable memory");
    end = img->segment[img->nsegments - 1].vaddr + img->segment[img->nsegments - 1].memsz;
    img->size = ALIGN_UP(end, PAGE_SIZE) - vbase;
    return true;
}

void elf_place(const struct elf_image *img, const void *file, void *dst)
{
    memset(dst, 0, img->size);
    for (unsigned i = 0; i < img->nsegments; i++) {
        const struct elf_segment *s = &img->segment[i];

        memcpy((uint8_t *)dst + (s->vaddr - img->vaddr), (const uint8_t *)file + s->offset, s->filesz);
    }
}
