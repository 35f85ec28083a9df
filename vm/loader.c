/* SPDX-License-Identifier: BSD-2-Clause */
#include "vm/loader.h"
#include "kernel/cpu/regs.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"
#include "vm/guestmem.h"
#include "vm/hvm.h"
#include "vm/load.h"
#include "vm/vcpu.h"

int load_fail(const struct load_plan *p, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(p->vm->stop_reason, sizeof(p->vm->stop_reason), fmt, ap);
    va_end(ap);
    return -EINVAL;
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

int load_piece(struct load_plan *p, uint64_t at, uint64_t size, const void *src, uint64_t src_size)
{
    const struct load_piece *q;

    if (size == 0)
        return 0;
    if (at + size < at || !p2m_is_ram(&p->vm->p2m, gpa(at), size))
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
    return 0;
}

bool load_has(const struct load_plan *p, uint64_t addr)
{
    for (unsigned i = 0; i < p->npieces && addr <= UINT32_MAX; i++)
        if (addr >= p->piece[i].at && addr - p->piece[i].at < p->piece[i].src_size)
            return true;
    return false;
}

int load_initrd(struct load_plan *p, uint64_t limit)
{
    uint64_t size = p->img->initrd ? p->img->initrd_size : 0;
    uint64_t top = MIN(limit, p->vm->p2m.ram_low);

    if (size == 0)
        return 0;
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
    return p2m_ram(&p->vm->p2m, gpa(at), PAGE_SIZE);
}

unsigned load_ranges(const struct load_plan *p, struct load_range out[LOAD_RANGES])
{
    const struct p2m *p2m = &p->vm->p2m;

    out[0] = (struct load_range){0, LOAD_LOW_END, 1};
    out[1] = (struct load_range){LOAD_LOW_END, LOAD_1M - LOAD_LOW_END, 2};
    out[2] = (struct load_range){LOAD_1M, p2m->ram_low - LOAD_1M, 1};
    out[3] = (struct load_range){GPA_HIGH_RAM, p2m->ram_high, 1};
    return p2m->ram_high ? 4 : 3;
}

/* What the image is decides its content, not its name. */
static int plan_image(struct load_plan *p)
{
    if (p->vm->p2m.ram_low < SIZE_2M)
        return load_fail(p, "guest has less than 2 MiB of memory");
    if (strnlen(p->img->cmdline, LOAD_CMDLINE_MAX) == LOAD_CMDLINE_MAX)
        return load_fail(p, "command line is longer than %u characters", LOAD_CMDLINE_MAX - 1);
    if (bzimage_is(p))
        return bzimage_plan(p);
    if (elf_is(p))
        return elf_plan(p);
    return load_fail(p, "kernel is neither a Linux bzImage nor an ELF file");
}

static int write_pieces(const struct load_plan *p)
{
    int err = 0;

    for (unsigned i = 0; i < p->npieces && !err; i++)
        err = p2m_write(&p->vm->p2m, gpa(p->piece[i].at), p->piece[i].src, p->piece[i].src_size);
    return err;
}

/* Descriptors (APM 2 4.7, 4.8): flat, 4 GiB, accessed. */
#define GDT_CODE64 0x00af9b000000ffff
#define GDT_CODE32 0x00cf9b000000ffff
#define GDT_DATA   0x00cf93000000ffff

static void write_gdt(const struct load_plan *p)
{
    uint64_t *gdt = load_low(p, LOAD_GDT);

    gdt[LOAD_CS / 8] = p->long_mode ? GDT_CODE64 : GDT_CODE32;
    gdt[LOAD_DS / 8] = GDT_DATA;
}

/* Identity map of the first 4 GiB in 2 MiB pages (APM 2 5.3). */
#define PTE_TABLE (PTE_P | PTE_RW)
#define PTE_2M    (PTE_P | PTE_RW | PTE_A | PTE_D | PTE_PS)

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

static void set_segments(const struct load_plan *p, struct vcpu *v)
{
    const struct vm_segment code = {LOAD_CS, p->long_mode ? 0xa9b : 0xc9b, UINT32_MAX, 0};
    const struct vm_segment data = {LOAD_DS, 0xc93, UINT32_MAX, 0};
    const struct vm_segment tr = {0, 0x8b, 0x67, 0}, ldtr = {0, 0x82, 0, 0};
    const struct vm_segment gdtr = {0, 0, LOAD_DS + 7, LOAD_GDT};

    for (unsigned s = SEG_ES; s <= SEG_GS; s++)
        hvm->set_segment(v, (enum vm_seg)s, s == SEG_CS ? &code : &data);
    hvm->set_segment(v, SEG_TR, &tr);
    hvm->set_segment(v, SEG_LDTR, &ldtr);
    hvm->set_segment(v, SEG_GDTR, &gdtr);
}

static void set_start(const struct load_plan *p, struct vcpu *v)
{
    for (unsigned i = 0; i < p->vm->nvcpus; i++)
        guest_forget(p->vm->vcpu[i]); /* of a VM that had the same memory before */
    hvm->reset(v);
    set_segments(p, v);
    if (p->long_mode) {
        hvm->set_reg(v, REG_CR3, LOAD_PAGE_TABLES);
        hvm->set_reg(v, REG_CR4, CR4_PAE);
        hvm->set_reg(v, REG_EFER, EFER_LME | EFER_LMA);
        hvm->set_reg(v, REG_CR0, CR0_PG | CR0_NE | CR0_ET | CR0_PE);
    } else {
        hvm->set_reg(v, REG_CR0, CR0_ET | CR0_PE);
    }
    for (unsigned i = 0; i < GPRS; i++)
        v->gpr[i] = 0;
    v->gpr[RAX] = p->rax;
    v->gpr[RBX] = p->rbx;
    v->gpr[RSI] = p->rsi;
    v->rip = p->entry;
    v->rflags = BIT(1); /* interrupts off; bit 1 is always set */
}

int loader_load(struct vm *vm, const struct load_image *img, const char **why)
{
    struct load_plan p = {.vm = vm, .img = img};
    int err = plan_image(&p);

    *why = vm->stop_reason;
    if (err)
        return err;

    /* commit */
    err = write_pieces(&p);
    if (err)
        return load_fail(&p, "guest memory cannot be written");
    strlcpy(load_low(&p, LOAD_CMDLINE), img->cmdline, LOAD_CMDLINE_MAX);
    write_gdt(&p);
    if (p.long_mode)
        write_page_tables(&p);
    p.fill(&p);
    set_start(&p, vm->vcpu[0]);
    return 0;
}
