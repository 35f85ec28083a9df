/* SPDX-License-Identifier: BSD-2-Clause */
#include "vm/guestmem.h"
#include "kernel/cpu/cpu.h"
#include "kernel/lib/string.h"
#include "vm/emul/regs.h"
#include "vm/hvm.h"
#include "vm/vcpu.h"
#include "vm/vm.h"

/*
 * The page that a CPU's last fetch of 64-bit code came from. It counts while the vCPU, its CR3, the page and
 * the nested map are the same and the guest's page-table entry still reads as it did: that catches a kernel
 * which puts other code at an address (a module unloaded and another loaded) without a new CR3. Table levels
 * above are not looked at: what a guest does to those under running code changes only the bytes that this
 * guest is shown.
 */
static struct fetch_page {
    const struct vcpu *owner;
    uint64_t cr3, linear, generation, entry;
    const uint64_t *entry_at; /* both in the guest's RAM */
    const uint8_t *page;
} __attribute__((aligned(64))) last_fetch[CPU_MAX]; /* one cache line each */

unsigned guest_bits(const struct vcpu *v)
{
    struct vm_segment cs;

    if ((int64_t)v->rip < 0) /* only 64-bit code is in the upper half */
        return 64;
    cs = hvm->segment(v, SEG_CS);
    if ((cs.attr & SEG_ATTR_L) && (hvm->reg(v, REG_EFER) & EFER_LMA))
        return 64;
    return cs.attr & SEG_ATTR_D ? 32 : 16;
}

/* Fills an entry for the page of `linear`. Only entries of 64 bits are compared; without them nothing is
 * remembered. */
static const uint8_t *fetch_page(struct vcpu *v, uint64_t linear, struct fetch_page *f)
{
    uint64_t cr4 = hvm->reg(v, REG_CR4), cr3 = hvm->reg(v, REG_CR3), table = cr3 & ~(uint64_t)0x1f, offset;
    unsigned levels = !(cr4 & CR4_PAE) ? 2 : hvm->reg(v, REG_EFER) & EFER_LMA ? 4 : 3;
    unsigned bits = levels == 2 ? 10 : 9, size = levels == 2 ? 4 : 8, level = levels;

    *f = (struct fetch_page){.cr3 = cr3, .linear = linear & ~PAGE_MASK, .generation = v->vm->p2m.generation};
    if (!(hvm->reg(v, REG_CR0) & CR0_PG))
        return p2m_ram(&v->vm->p2m, gpa(f->linear), PAGE_SIZE);
    if (levels != 3)
        table &= PTE_TARGET;
    do {
        level--;
        offset = BIT(PAGE_SHIFT + bits * level) - 1;
        table += (linear >> (PAGE_SHIFT + bits * level) & (BIT(bits) - 1)) * size;
        f->entry_at = p2m_ram(&v->vm->p2m, gpa(table), size);
        if (!f->entry_at)
            return NULL;
        memcpy(&f->entry, f->entry_at, size);
        table = f->entry & PTE_TARGET;
        if (!(f->entry & PTE_P))
            return NULL;
    } while (level > 0 && !(f->entry & PTE_PS));
    f->page = p2m_ram(&v->vm->p2m, gpa((table & ~offset) | (f->linear & offset)), PAGE_SIZE);
    if (f->page && size == sizeof(f->entry))
        f->owner = v;
    return f->page;
}

static inline bool remembered(const struct vcpu *v, uint64_t linear, uint64_t cr3, const struct fetch_page *f)
{
    return f->owner == v && f->linear == (linear & ~PAGE_MASK) && f->generation == v->vm->p2m.generation &&
           f->cr3 == cr3 && *(const volatile uint64_t *)f->entry_at == f->entry;
}

/* Out of line, so that the usual fetch saves few registers. The instruction may end before the page does:
 * what cannot be read is left out. */
static __attribute__((noinline)) unsigned fetch_slowly(struct vcpu *v, uint64_t linear, struct fetch_page *f,
                                                       uint8_t buf[15])
{
    unsigned n = (unsigned)MIN(PAGE_SIZE - (linear & PAGE_MASK), 15);
    const uint8_t *page = fetch_page(v, linear, f);
    struct fetch_page next;

    if (!page)
        return 0;
    memcpy(buf, page + (linear & PAGE_MASK), n);
    if (n == 15)
        return n;
    page = fetch_page(v, linear + n, &next);
    if (!page)
        return n;
    memcpy(buf + n, page, 15 - n);
    return 15;
}

unsigned guest_fetch(struct vcpu *v, uint8_t buf[15])
{
    uint64_t cr3 = hvm->reg(v, REG_CR3),
             linear = v->rip; /* first: few registers need to be saved over a call */
    struct fetch_page *f = &last_fetch[v->cpu];
    struct vm_segment cs;

    /* Only 64-bit code is in the upper half; elsewhere CS says. In 64-bit mode there is no base, and paging
     * is on (APM 2 14.6.1). */
    if ((int64_t)linear >= 0) {
        cs = hvm->segment(v, SEG_CS);
        if (!(cs.attr & SEG_ATTR_L))
            return fetch_slowly(v, (linear + cs.base) & UINT32_MAX, f, buf);
    }
    if ((linear & PAGE_MASK) > PAGE_SIZE - 15 || !remembered(v, linear, cr3, f))
        return fetch_slowly(v, linear, f, buf);
    __builtin_memcpy(buf, f->page + (linear & PAGE_MASK), 15); /* two moves, not a call */
    return 15;
}
