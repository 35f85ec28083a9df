/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Between loader.c and the image formats. A format first plans: it checks the image and says what goes where,
 * and nothing of the guest changes. Then the plan is committed: the pieces are written, and the format fills
 * its boot data, all in places that the plan has checked.
 */
#pragma once

#include "kernel/lib/types.h"
#include "vm/loader.h"

/* Below 1 MiB: what the hypervisor itself puts there. */
#define LOAD_GDT         0x1000
#define LOAD_INFO        0x2000 /* zero page, PVH start info or Multiboot information */
#define LOAD_PAGE_TABLES 0x3000 /* PML4, PDPT, four page directories */
#define LOAD_CMDLINE     0x9000
#define LOAD_DATA_END    0xa000
#define LOAD_CMDLINE_MAX (LOAD_DATA_END - LOAD_CMDLINE) /* with its 0 */
#define LOAD_LOW_END     0x9fc00                        /* RAM below the reserved end of the first MiB */
#define LOAD_1M          0x100000

/* Selectors of the GDT (Documentation/arch/x86/boot.rst, "64-bit Boot Protocol"). */
#define LOAD_CS 0x10
#define LOAD_DS 0x18

struct load_piece {
    uint64_t at, size; /* guest physical */
    const void *src;
    uint64_t src_size; /* the rest is zero, as the RAM of a new VM is */
};

#define LOAD_PIECES 24

struct load_plan {
    struct vm *vm;
    const struct load_image *img;
    struct load_piece piece[LOAD_PIECES];
    unsigned npieces;
    uint64_t initrd; /* where it goes, 0 if there is none */
    /* Start state: 64-bit with paging, or 32-bit flat. */
    bool long_mode;
    uint64_t entry;
    uint64_t rax, rbx, rsi;
    /* Writes LOAD_INFO once the pieces are in place; cannot fail. */
    void (*fill)(const struct load_plan *p);
};

/* -EINVAL, with the sentence for the user in the VM's stop_reason. */
MUST_USE int load_fail(const struct load_plan *p, const char *fmt, ...) PRINTF(2, 3);

/* `size` bytes at `off` of the image, or NULL if it ends before. */
const void *load_bytes(const struct load_plan *p, uint64_t off, uint64_t size);

/* Adds a piece. Fails if it is not all RAM, touches what the hypervisor puts below 1 MiB, or overlaps an
 * earlier piece. */
MUST_USE int load_piece(struct load_plan *p, uint64_t at, uint64_t size, const void *src, uint64_t src_size);

/* True if a planned piece has a byte of the image at `addr`: somewhere for 32-bit code to start. */
bool load_has(const struct load_plan *p, uint64_t addr);

/* Adds the initrd, if there is one: page-aligned, as high as the other pieces allow, its end not above
 * `limit`. After all other pieces. */
MUST_USE int load_initrd(struct load_plan *p, uint64_t limit);

/* Guest RAM below 1 MiB, for fill(). */
void *load_low(const struct load_plan *p, uint64_t at);

/* The memory map, as every format tells it: type 1 is RAM, 2 is reserved. Laid out as in the zero page and in
 * Multiboot. */
#define LOAD_RANGES 4
struct load_range {
    uint64_t base, size;
    uint32_t type;
} __attribute__((packed));
unsigned load_ranges(const struct load_plan *p, struct load_range out[LOAD_RANGES]);

/* The formats. Each plan returns 0 and the start state in *p, or load_fail(). */
bool bzimage_is(const struct load_plan *p);
MUST_USE int bzimage_plan(struct load_plan *p);
bool elf_is(const struct load_plan *p);
MUST_USE int elf_plan(struct load_plan *p); /* with a PVH note, or else Multiboot */
MUST_USE int
multiboot_start(struct load_plan *p); /* for elf_plan(), p->entry being e_entry as a physical address */
