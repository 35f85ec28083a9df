/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hv.elf: an ELF64 executable whose PT_LOAD segments become one contiguous block. The file is hostile until
 * checked. Knows no EFI type.
 */
#pragma once

#include "boot/text.h"

#define ELF_SEGMENTS_MAX 8
#define ELF_IMAGE_MAX    ((uint64_t)64 << 20)

struct elf_segment {
    uint64_t vaddr, memsz; /* on a page; vaddr + memsz need not end on one */
    uint64_t offset, filesz;
    bool write, exec; /* never both */
};

struct elf_image {
    uint64_t entry;
    uint64_t vaddr,
        size; /* vaddr on 2 MiB; size in whole pages, from the first segment's start to the last one's end */
    unsigned nsegments;
    struct elf_segment segment[ELF_SEGMENTS_MAX]; /* ascending, no page shared */
};

/*
 * Checks headers and segments against the file's `size` and against the range [vbase, vend) that the image
 * may take. False with the reason in `err`, which calls the file `name`.
 */
bool elf_check(struct elf_image *img, const char *name, const void *file, uint64_t size, uint64_t vbase,
               uint64_t vend, struct boot_error *err);

/* Copies what elf_check() accepted to `dst`, which has img->size bytes, and zeroes the rest of it. */
void elf_place(const struct elf_image *img, const void *file, void *dst);
