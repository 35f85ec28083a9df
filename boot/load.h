/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From a guest's image to its start plan: what is copied where into its memory, and how its first vCPU
 * starts. The image is hostile: the plan stays inside the guest's RAM. load.c knows what all guests get; the
 * formats are Linux bzImage (64-bit boot protocol), ELF with a PVH note, and Multiboot 1 as ELF. Knows no EFI
 * type; memory is identity-mapped.
 */
#pragma once

#include "boot/bootinfo.h"
#include "boot/text.h"
#include "kernel/lib/types.h"

struct load_image {
    const void *kernel;
    uint64_t kernel_size;
    const void *initrd; /* or PVH or Multiboot module 0; NULL: none */
    uint64_t initrd_size;
    const char *cmdline;
    uint64_t memory; /* of the guest: bytes, a multiple of 2 MiB */
    unsigned vcpus;
};

/* Below 1 MiB: what the plan itself puts there. */
#define LOAD_GDT         0x1000
#define LOAD_INFO        0x2000 /* zero page, PVH start info or Multiboot information */
#define LOAD_PAGE_TABLES 0x3000 /* PML4, PDPT, four page directories */
#define LOAD_CMDLINE     0x9000
#define LOAD_DATA_END    0xa000
#define LOAD_CMDLINE_MAX (LOAD_DATA_END - LOAD_CMDLINE) /* with its 0 */
#define LOAD_LOW_END     0x9fc00                        /* RAM below the reserved end of the first MiB */
#define LOAD_TABLES      0xff000                        /* the page before 1 MiB: boot/tables.h */
#define LOAD_1M          0x100000

/* The bytes of both, which the plan's pieces point to. */
struct load_data {
    uint8_t low[LOAD_DATA_END - LOAD_GDT] __attribute__((aligned(4096)));
    uint8_t tables[LOAD_1M - LOAD_TABLES];
};

/*
 * Fills *start; of an image that cannot be started it holds the reason alone. *data is zero when it is given.
 * It and the image must stay as long as the plan is used.
 */
void load_plan(struct boot_start *start, const struct load_image *img, struct load_data *data);

/* --- between load.c and the formats --- */

#define LOAD_PIECES (BOOT_PIECES_MAX - 2) /* the others are struct load_data */

struct load_piece {
    uint64_t at, size; /* guest physical */
    const void *src;
    uint64_t src_size; /* the rest is zero, as the RAM of a guest that starts is */
};

struct load_plan {
    const struct load_image *img;
    struct boot_start *start;
    struct load_data *data;
    uint64_t ram_low, ram_high; /* bytes below the hole, and from 4 GiB up */
    struct load_piece piece[LOAD_PIECES];
    unsigned npieces;
    uint64_t initrd; /* where it goes, 0 if there is none */
    bool long_mode;  /* it starts in 64-bit mode, on identity-mapped pages */
};

/* Writes the sentence for the operator; returns false. */
MUST_USE bool load_fail(const struct load_plan *p, const char *fmt, ...) BOOT_PRINTF(2, 3);

/* `size` bytes at `off` of the image, or NULL if it ends before. */
const void *load_bytes(const struct load_plan *p, uint64_t off, uint64_t size);

/* Adds a piece. Fails if it is not all RAM, touches the plan's own data below 1 MiB, or overlaps an earlier
 * piece. */
MUST_USE bool load_piece(struct load_plan *p, uint64_t at, uint64_t size, const void *src, uint64_t src_size);

/* True if a planned piece has a byte of the image at `addr`: somewhere for 32-bit code to start. */
bool load_has(const struct load_plan *p, uint64_t addr);

/* Adds the initrd, if there is one: page-aligned, as high as the other pieces allow, its end not above
 * `limit`. After all other pieces. */
MUST_USE bool load_initrd(struct load_plan *p, uint64_t limit);

/* The bytes that the guest finds at `at` below LOAD_DATA_END. */
void *load_low(const struct load_plan *p, uint64_t at);

/* The memory map, as every format tells it: type 1 is RAM, 2 is reserved. Laid out as in the zero page and in
 * Multiboot. */
#define LOAD_RANGES 4
struct load_range {
    uint64_t base, size;
    uint32_t type;
} __attribute__((packed));
unsigned load_ranges(const struct load_plan *p, struct load_range out[LOAD_RANGES]);

/* The formats: false after load_fail(); else the pieces are planned, and LOAD_INFO, RIP and the general
 * registers are written. */
bool bzimage_is(const struct load_plan *p);
MUST_USE bool bzimage_plan(struct load_plan *p);
bool elf_is(const struct load_plan *p);
MUST_USE bool elf_plan(struct load_plan *p); /* with a PVH note, or else Multiboot */
/* For elf_plan(): `entry` is e_entry as a physical address. */
MUST_USE bool multiboot_start(struct load_plan *p, uint64_t entry);
