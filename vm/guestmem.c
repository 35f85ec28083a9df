/* SPDX-License-Identifier: BSD-2-Clause */
#include "vm/guestmem.h"
#include "kernel/cpu/cpu.h"
#include "kernel/lib/bits.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"
#include "vm/emul/regs.h"
#include "vm/hvm.h"
#include "vm/vcpu.h"
#include "vm/vm.h"

/* APM 2 5.4 */
#define PTE_US BIT(2)

/* Page-fault error code (APM 2 8.4.2) */
#define PF_P  BIT32(0)
#define PF_W  BIT32(1)
#define PF_U  BIT32(2)
#define PF_ID BIT32(4)

/* One paging mode: where its tables start and how an address is cut. */
struct walk {
    uint64_t cr0, cr4, efer;
    unsigned levels, index_bits, entry_size;
    uint64_t table;
};

/* What a walk found: the physical address, the entry that maps it, and the rights all levels leave. */
struct leaf {
    uint64_t addr, entry_at, entry,
        rights; /* rights: PTE_RW and PTE_US where every level has them, PTE_NX where one has it */
};

static struct walk walk_init(const struct vcpu *v)
{
    struct walk w = {.cr0 = hvm_reg(v, REG_CR0), .cr4 = hvm_reg(v, REG_CR4), .efer = hvm_reg(v, REG_EFER)};
    uint64_t cr3 = hvm_reg(v, REG_CR3);

    w.levels = !(w.cr4 & CR4_PAE) ? 2 : w.efer & EFER_LMA ? 4 : 3;
    w.index_bits = w.levels == 2 ? 10 : 9;
    w.entry_size = w.levels == 2 ? 4 : 8;
    w.table = cr3 & (w.levels == 4 ? PTE_TARGET : w.levels == 3 ? GENMASK(31, 5) : GENMASK(31, 12));
    return w;
}

/* True if an entry of `level` (0: PTE) ends the walk. */
static bool is_leaf(const struct walk *w, uint64_t entry, unsigned level)
{
    if (level == 0 || !(entry & PTE_PS))
        return level == 0;
    if (w->levels == 2)
        return w->cr4 & CR4_PSE;
    return level == 1 || (level == 2 && w->levels == 4);
}

/* From the root to the leaf of `addr`. False: an entry is not present, or is not in RAM. */
static bool walk(struct vcpu *v, struct walk w, uint64_t addr, struct leaf *out)
{
    out->rights = PTE_RW | PTE_US;
    for (unsigned level = w.levels; level-- > 0;) {
        unsigned shift = PAGE_SHIFT + w.index_bits * level;
        uint64_t offset = BIT(shift) - 1;

        out->entry = 0;
        out->entry_at = w.table + ((addr >> shift) & (BIT(w.index_bits) - 1)) * w.entry_size;
        if (p2m_read(&v->vm->p2m, gpa(out->entry_at), &out->entry, w.entry_size) || !(out->entry & PTE_P))
            return false;
        w.table = out->entry & PTE_TARGET;
        if (w.levels != 3 || level != 2) /* the PDPTEs of PAE have no rights */
            out->rights &= out->entry | ~(PTE_RW | PTE_US);
        out->rights |= w.efer & EFER_NXE ? out->entry & PTE_NX : 0;
        if (is_leaf(&w, out->entry, level)) {
            out->addr = (w.table & ~offset) | (addr & offset);
            return true;
        }
    }
    return false;
}

/* APM 2 5.6: supervisor and user rights, write protection, no-execute, SMEP, SMAP. */
static bool allowed(const struct vcpu *v, const struct walk *w, uint64_t rights, unsigned access)
{
    bool user_page = rights & PTE_US, user = access & ACCESS_USER;

    if (user && !user_page)
        return false;
    if (access & ACCESS_FETCH)
        return !(rights & PTE_NX) && !(!user && user_page && (w->cr4 & CR4_SMEP));
    if (!user && user_page && (w->cr4 & CR4_SMAP) && !(v->rflags & RFLAGS_AC))
        return false;
    return !(access & ACCESS_WRITE) || (rights & PTE_RW) || (!user && !(w->cr0 & CR0_WP));
}

static int translate(struct vcpu *v, const struct walk *w, uint64_t addr, unsigned access, struct leaf *out,
                     uint32_t *error)
{
    bool present = walk(v, *w, addr, out);

    if (present && allowed(v, w, out->rights, access))
        return 0;
    if (error) {
        *error = present ? PF_P : 0;
        *error |= access & ACCESS_WRITE ? PF_W : 0;
        *error |= access & ACCESS_USER ? PF_U : 0;
        *error |= (access & ACCESS_FETCH) && ((w->efer & EFER_NXE) || (w->cr4 & CR4_SMEP)) ? PF_ID : 0;
    }
    return -EFAULT;
}

int guest_translate(struct vcpu *v, gva_t addr, unsigned access, gpa_t *out, uint32_t *error)
{
    struct walk w = walk_init(v);
    struct leaf leaf;
    int err;

    if (!(w.cr0 & CR0_PG)) {
        *out = gpa(addr.a & UINT32_MAX);
        return 0;
    }
    err = translate(v, &w, w.levels == 4 ? addr.a : addr.a & UINT32_MAX, access, &leaf, error);
    if (!err)
        *out = gpa(leaf.addr);
    return err;
}

int guest_copy(struct vcpu *v, gva_t addr, void *buf, unsigned size, unsigned access, uint32_t *error)
{
    int err = 0;

    for (unsigned done = 0, part; done < size && !err; done += part) {
        gva_t from = gva(addr.a + done);
        gpa_t at;

        part = (unsigned)MIN(size - done, PAGE_SIZE - (from.a & PAGE_MASK));
        err = guest_translate(v, from, access, &at, error);
        if (err)
            break;
        err = access & ACCESS_WRITE ? p2m_write(&v->vm->p2m, at, (char *)buf + done, part)
                                    : p2m_read(&v->vm->p2m, at, (char *)buf + done, part);
        if (err && error)
            *error = 0;
    }
    return err;
}

/*
 * The page that a CPU's last fetch of 64-bit code came from. It counts while the vCPU, its CR3, the page and
 * the nested map are the same and the guest's page-table entry still reads as it did: that catches a kernel
 * which puts other code at an address (a module unloaded and another loaded) without a new CR3. Table levels
 * above are not looked at: what a guest does to those under running code changes only the bytes that this
 * guest is shown.
 */
static struct fetch_page {
    const struct vcpu *owner; /* atomic: guest_forget() clears it from another CPU */
    uint64_t cr3, linear, generation, entry;
    const uint64_t *entry_at; /* both in the guest's RAM */
    const uint8_t *page;
} __attribute__((aligned(64))) last_fetch[CPU_MAX]; /* one cache line each */

unsigned guest_bits(const struct vcpu *v)
{
    struct vm_segment cs;

    if ((int64_t)v->rip < 0) /* only 64-bit code is in the upper half */
        return 64;
    hvm_segment(v, SEG_CS, &cs);
    if ((cs.attr & SEG_ATTR_L) && (hvm_reg(v, REG_EFER) & EFER_LMA))
        return 64;
    return cs.attr & SEG_ATTR_D ? 32 : 16;
}

void guest_forget(const struct vcpu *v)
{
    for (unsigned i = 0; i < CPU_MAX; i++) {
        const struct vcpu *owner = v;

        __atomic_compare_exchange_n(&last_fetch[i].owner, &owner, NULL, false, __ATOMIC_ACQ_REL,
                                    __ATOMIC_RELAXED);
    }
}

/* Fills the CPU's entry for the page of `linear`. Without paging there is no entry to compare: then nothing
 * is remembered. */
static const uint8_t *fetch_page(struct vcpu *v, uint64_t linear, unsigned access, struct fetch_page *f)
{
    struct walk w = walk_init(v);
    struct leaf leaf;

    f->owner = NULL;
    if (!(w.cr0 & CR0_PG))
        return p2m_ram(&v->vm->p2m, gpa(linear & ~PAGE_MASK), PAGE_SIZE);
    if (translate(v, &w, linear, access, &leaf, NULL))
        return NULL;
    f->page = p2m_ram(&v->vm->p2m, gpa(leaf.addr & ~PAGE_MASK), PAGE_SIZE);
    f->entry_at = p2m_ram(&v->vm->p2m, gpa(leaf.entry_at), sizeof(leaf.entry));
    f->entry = leaf.entry;
    f->linear = linear & ~PAGE_MASK;
    f->cr3 = hvm_reg(v, REG_CR3);
    f->generation = v->vm->p2m.generation;
    if (f->page && f->entry_at && w.entry_size == sizeof(leaf.entry))
        __atomic_store_n(&f->owner, v, __ATOMIC_RELEASE);
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
    unsigned access = ACCESS_FETCH | (hvm_cpl(v) == 3 ? ACCESS_USER : 0);
    unsigned n = (unsigned)MIN(PAGE_SIZE - (linear & PAGE_MASK), 15);
    const uint8_t *page = fetch_page(v, linear, access, f);

    if (!page)
        return 0;
    memcpy(buf, page + (linear & PAGE_MASK), n);
    return guest_copy(v, gva(linear + n), buf + n, 15 - n, access, NULL) ? n : 15;
}

unsigned guest_fetch(struct vcpu *v, uint8_t buf[15])
{
    uint64_t cr3 = hvm_reg(v, REG_CR3),
             linear = v->rip; /* first: few registers need to be saved over a call */
    struct fetch_page *f = &last_fetch[v->cpu];
    struct vm_segment cs;

    /* Only 64-bit code is in the upper half; elsewhere CS says. In 64-bit mode there is no base, and paging
     * is on (APM 2 14.6.1). */
    if ((int64_t)linear >= 0) {
        hvm_segment(v, SEG_CS, &cs);
        if (!(cs.attr & SEG_ATTR_L))
            return fetch_slowly(v, (linear + cs.base) & UINT32_MAX, f, buf);
    }
    if ((linear & PAGE_MASK) > PAGE_SIZE - 15 || !remembered(v, linear, cr3, f))
        return fetch_slowly(v, linear, f, buf);
    __builtin_memcpy(buf, f->page + (linear & PAGE_MASK), 15); /* two moves, not a call */
    return 15;
}
