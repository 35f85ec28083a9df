/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/load.h"
#include "boot/state.h"
#include "boot/tables.h"
#include "vm/abi/platform.h"
#include <string.h>

bool load_fail(const struct load_plan *p, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    text_vformat(p->start->refusal, sizeof(p->start->refusal), fmt, ap);
    va_end(ap);
    return false;
}

const void *load_bytes(const struct load_plan *p, uint64_t off, uint64_t size)
{
    if (off > p->img->kernel_size || size > p->img->kernel_size - off)
        return NULL;
    return (const char *)p->img->kernel + off;
}

/* The piece that [at, at + size) overlaps, or NULL. */
static const struct load_piece *overlapped(const struct load_plan *p, uint64_t at, uint64_t size)
{
    for (unsigned i = 0; i < p->npieces; i++) {
        const struct load_piece *q = &p->piece[i];

        if (at < q->at + q->size && q->at < at + size)
            return q;
    }
    return NULL;
}

static bool is_ram(const struct load_plan *p, uint64_t at, uint64_t size)
{
    uint64_t base = at < GPA_HIGH_RAM ? 0 : GPA_HIGH_RAM;
    uint64_t len = at < GPA_HIGH_RAM ? p->ram_low : p->ram_high;

    return at - base < len && size <= len - (at - base);
}

bool load_piece(struct load_plan *p, uint64_t at, uint64_t size, const void *src, uint64_t src_size)
{
    const struct load_piece *q;

    if (size == 0)
        return true;
    if (!is_ram(p, at, size))
        return load_fail(p, "kernel asks for 0x%lx bytes at 0x%lx, which is not the guest's memory", size,
                         at);
    if (at < LOAD_DATA_END || (at < LOAD_1M && at + size > LOAD_LOW_END))
        return load_fail(p, "kernel asks for 0x%lx bytes at 0x%lx, which the boot data needs", size, at);
    q = overlapped(p, at, size);
    if (q)
        return load_fail(p, "kernel overlaps itself: 0x%lx bytes at 0x%lx and at 0x%lx", size, at, q->at);
    if (p->npieces == LOAD_PIECES)
        return load_fail(p, "kernel has more than %u segments", LOAD_PIECES);
    p->piece[p->npieces++] = (struct load_piece){at, size, src, src_size};
    return true;
}

bool load_has(const struct load_plan *p, uint64_t addr)
{
    for (unsigned i = 0; i < p->npieces && addr <= UINT32_MAX; i++)
        if (addr >= p->piece[i].at && addr - p->piece[i].at < p->piece[i].src_size)
            return true;
    return false;
}

bool load_initrd(struct load_plan *p, uint64_t limit)
{
    uint64_t size = p->img->initrd ? p->img->initrd_size : 0;
    uint64_t top = MIN(limit, p->ram_low);

    if (size == 0)
        return true;
    while (top >= LOAD_1M + PAGE_SIZE && size <= top - LOAD_1M - PAGE_SIZE) {
        const struct load_piece *q;

        p->initrd = ALIGN_DOWN(top - size, PAGE_SIZE);
        q = overlapped(p, p->initrd, size);
        if (!q)
            return load_piece(p, p->initrd, size, p->img->initrd, size);
        top = q->at;
    }
    return load_fail(p, "no room for the initrd of %lu KiB beside the kernel: give the guest more memory",
                     size >> 10);
}

void *load_low(const struct load_plan *p, uint64_t at)
{
    return p->data->low + (at - LOAD_GDT);
}

unsigned load_ranges(const struct load_plan *p, struct load_range out[LOAD_RANGES])
{
    out[0] = (struct load_range){0, LOAD_LOW_END, 1};
    out[1] = (struct load_range){LOAD_LOW_END, LOAD_1M - LOAD_LOW_END, 2};
    out[2] = (struct load_range){LOAD_1M, p->ram_low - LOAD_1M, 1};
    out[3] = (struct load_range){GPA_HIGH_RAM, p->ram_high, 1};
    return p->ram_high ? 4 : 3;
}

/* What the image is decides its content, not its name. */
static bool plan_image(struct load_plan *p)
{
    if (p->ram_low < SIZE_2M)
        return load_fail(p, "guest has less than 2 MiB of memory");
    if (strlen(p->img->cmdline) >= LOAD_CMDLINE_MAX)
        return load_fail(p, "command line is longer than %u characters", LOAD_CMDLINE_MAX - 1);
    if (bzimage_is(p))
        return bzimage_plan(p);
    if (elf_is(p))
        return elf_plan(p);
    return load_fail(p, "kernel is neither a Linux bzImage nor an ELF file");
}

/* Descriptors (APM 2 4.7, 4.8): flat, 4 GiB, accessed. */
#define GDT_CODE64 0x00af9b000000ffff
#define GDT_CODE32 0x00cf9b000000ffff
#define GDT_DATA   0x00cf93000000ffff

static void write_gdt(const struct load_plan *p)
{
    uint64_t *gdt = load_low(p, LOAD_GDT);

    gdt[STATE_CS / 8] = p->long_mode ? GDT_CODE64 : GDT_CODE32;
    gdt[STATE_DS / 8] = GDT_DATA;
}

/* Identity map of the first 4 GiB in 2 MiB pages (APM 2 5.3). */
#define PTE_TABLE 0x03 /* present, writable */
#define PTE_2M    0xe3 /* and accessed, dirty, a large page */

static void write_page_tables(const struct load_plan *p)
{
    uint64_t *pml4 = load_low(p, LOAD_PAGE_TABLES);
    uint64_t *pdpt = load_low(p, LOAD_PAGE_TABLES + PAGE_SIZE);

    pml4[0] = (LOAD_PAGE_TABLES + PAGE_SIZE) | PTE_TABLE;
    for (unsigned i = 0; i < 4; i++) {
        uint64_t at = LOAD_PAGE_TABLES + (2 + i) * PAGE_SIZE;
        uint64_t *pd = load_low(p, at);

        pdpt[i] = at | PTE_TABLE;
        for (unsigned j = 0; j < 512; j++)
            pd[j] = (i * 512 + j) * SIZE_2M | PTE_2M;
    }
}

/* Only what has bytes in the image is copied. */
static void add_copy(struct boot_start *s, uint64_t at, const void *src, uint64_t size)
{
    if (size > 0)
        s->piece[s->npieces++] = (struct boot_piece){.at = at, .source = (uintptr_t)src, .size = size};
}

void load_plan(struct boot_start *start, const struct load_image *img, struct load_data *data)
{
    struct load_plan p = {.img = img, .start = start, .data = data};

    *start = (struct boot_start){0};
    p.ram_low = MIN(img->memory, (uint64_t)GPA_PCI_WINDOW);
    p.ram_high = img->memory - p.ram_low;
    if (!plan_image(&p))
        return;
    text_copy(load_low(&p, LOAD_CMDLINE), LOAD_CMDLINE_MAX, img->cmdline);
    write_gdt(&p);
    if (p.long_mode)
        write_page_tables(&p);
    state_start(&start->vcpu, LOAD_GDT, p.long_mode ? LOAD_PAGE_TABLES : 0);
    tables_write(data->tables, LOAD_TABLES, img->vcpus, img->memory);

    add_copy(start, LOAD_GDT, data->low, sizeof(data->low));
    add_copy(start, LOAD_TABLES, data->tables, sizeof(data->tables));
    for (unsigned i = 0; i < p.npieces; i++)
        add_copy(start, p.piece[i].at, p.piece[i].src, p.piece[i].src_size);
}
