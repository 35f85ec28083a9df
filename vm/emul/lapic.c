/* SPDX-License-Identifier: BSD-2-Clause */
#include "vm/emul/lapic.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"
#include "kernel/mm/heap.h"
#include "vm/emul/apic.h"
#include "vm/emul/emul.h"
#include "vm/hvm.h"
#include "vm/vcpu.h"
#include "vm/vm.h"

/* Bits that can be written, by LVT entry (SDM 3A figure 11-8). */
static const uint32_t lvt_valid[APIC_LVTS] = {
    GENMASK32(18, 16) | GENMASK32(7, 0),              /* timer */
    BIT32(16) | GENMASK32(10, 0),                     /* thermal */
    BIT32(16) | GENMASK32(10, 0),                     /* performance */
    GENMASK32(16, 15) | BIT32(13) | GENMASK32(10, 0), /* LINT0 */
    GENMASK32(16, 15) | BIT32(13) | GENMASK32(10, 0), /* LINT1 */
    BIT32(16) | GENMASK32(7, 0),                      /* error */
};

/* --- interrupts: IRR, ISR, priorities (SDM 3A 11.8) --- */

/* The highest vector of a 256-bit register, or -1. `words` has a bit set for each word that is not zero. */
static int highest(const uint32_t *reg, uint32_t words)
{
    unsigned w;

    if (words == 0)
        return -1;
    w = 31 - (unsigned)__builtin_clz(words);
    return (int)(w * 32 + 31 - (unsigned)__builtin_clz(reg[w]));
}

static void update_ppr(struct lapic *l)
{
    int isrv = highest(l->isr, l->isr_words);
    uint32_t in_service = isrv < 0 ? 0 : (uint32_t)isrv & 0xf0;

    __atomic_store_n(&l->ppr, (l->tpr & 0xf0) >= in_service ? l->tpr : in_service, __ATOMIC_RELAXED);
}

/* irr[w] looked empty. A bit set meanwhile is either seen by the second look, or its setter sets irr_words
 * after us. */
static void irr_word_empty(struct lapic *l, unsigned w)
{
    __atomic_fetch_and(&l->irr_words, ~BIT32(w), __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&l->irr[w], __ATOMIC_SEQ_CST) != 0)
        __atomic_fetch_or(&l->irr_words, BIT32(w), __ATOMIC_SEQ_CST);
}

static int highest_irr(struct lapic *l)
{
    uint32_t words;

    while ((words = __atomic_load_n(&l->irr_words, __ATOMIC_ACQUIRE)) != 0) {
        unsigned w = 31 - (unsigned)__builtin_clz(words);
        uint32_t irr = __atomic_load_n(&l->irr[w], __ATOMIC_ACQUIRE);

        if (irr != 0)
            return (int)(w * 32 + 31 - (unsigned)__builtin_clz(irr));
        irr_word_empty(l, w);
    }
    return -1;
}

int lapic_pending(struct vcpu *v)
{
    struct lapic *l = v->lapic;
    int vector;

    if (__builtin_expect(__atomic_load_n(&l->irr_words, __ATOMIC_ACQUIRE) == 0, 1))
        return -1;
    vector = highest_irr(l);
    if (vector < 0 || ((uint32_t)vector & 0xf0) <= (l->ppr & 0xf0) || !(l->base & APIC_BASE_EN))
        return -1;
    return vector;
}

/*
 * Leaves the EOI to a bit in the guest's memory: only for an edge interrupt (a level one must be reported),
 * only with nothing in service below it and nothing waiting for its end (both would need the hypervisor
 * then).
 */
static void offer_pv_eoi(struct lapic *l, unsigned w, uint32_t bit)
{
    if (!l->pv_eoi || l->isr_words != BIT32(w) || l->isr[w] != bit ||
        __atomic_load_n(&l->irr_words, __ATOMIC_RELAXED) != 0 ||
        (__atomic_load_n(&l->tmr[w], __ATOMIC_RELAXED) & bit))
        return;
    __atomic_fetch_or(l->pv_eoi, 1, __ATOMIC_RELAXED);
    l->v->pv_eoi_armed = true;
}

void lapic_accept(struct vcpu *v, uint8_t vector)
{
    struct lapic *l = v->lapic;
    unsigned w = vector / 32;
    uint32_t bit = BIT32(vector % 32);

    if ((__atomic_fetch_and(&l->irr[w], ~bit, __ATOMIC_SEQ_CST) & ~bit) == 0)
        irr_word_empty(l, w);
    l->isr[w] |= bit;
    l->isr_words |= BIT32(w);
    update_ppr(l);
    offer_pv_eoi(l, w, bit);
}

static void eoi(struct lapic *l)
{
    int vector = highest(l->isr, l->isr_words);
    unsigned w = (unsigned)vector / 32;
    uint32_t bit = BIT32((unsigned)vector % 32);

    if (vector < 0)
        return;
    l->isr[w] &= ~bit;
    if (l->isr[w] == 0)
        l->isr_words &= ~BIT32(w);
    update_ppr(l);
    if (__atomic_load_n(&l->irr_words, __ATOMIC_RELAXED) != 0)
        l->v->recheck = true;
    if (__atomic_load_n(&l->tmr[w], __ATOMIC_RELAXED) & bit)
        ioapic_eoi(l->v->vm, (uint8_t)vector);
}

void lapic_pv_eoi_sync(struct vcpu *v)
{
    struct lapic *l = v->lapic;

    v->pv_eoi_armed = false;
    if (!(__atomic_fetch_and(l->pv_eoi, ~1u, __ATOMIC_RELAXED) & 1))
        eoi(l);
}

int lapic_pv_eoi_write(struct vcpu *v, uint64_t val)
{
    uint32_t *word = NULL;

    if (val & KVM_MSR_ENABLE) {
        word = p2m_ram(&v->vm->p2m, gpa(val & ~KVM_MSR_ENABLE), sizeof(*word));
        if (!word || (val & 2))
            return -EINVAL;
    }
    if (v->pv_eoi_armed)
        lapic_pv_eoi_sync(v);
    v->lapic->pv_eoi = word;
    v->pv_eoi_gpa = val;
    return 0;
}

bool lapic_enabled(const struct vcpu *v)
{
    return (__atomic_load_n(&v->lapic->base, __ATOMIC_RELAXED) & APIC_BASE_EN) &&
           (__atomic_load_n(&v->lapic->svr, __ATOMIC_RELAXED) & SVR_ENABLE);
}

void lapic_raise(struct vcpu *v, uint8_t vector, bool level)
{
    struct lapic *l = v->lapic;
    unsigned w = vector / 32;
    uint32_t bit = BIT32(vector % 32);

    if (!lapic_enabled(v))
        return;
    if (vector < 16) {
        apic_error(l, ESR_RECV_ILLEGAL);
        return;
    }
    if (level)
        __atomic_fetch_or(&l->tmr[w], bit, __ATOMIC_SEQ_CST);
    else if (__atomic_load_n(&l->tmr[w], __ATOMIC_RELAXED) & bit)
        __atomic_fetch_and(&l->tmr[w], ~bit, __ATOMIC_SEQ_CST);
    if (__atomic_fetch_or(&l->irr[w], bit, __ATOMIC_SEQ_CST) & bit)
        return; /* whoever set it has seen to the rest */
    __atomic_fetch_or(&l->irr_words, BIT32(w), __ATOMIC_SEQ_CST);
    vcpu_request(v, VCPU_REQ_EVENT);
}

/* SDM 3A 11.5.3. An error interrupt whose own vector is illegal would call itself for ever. */
void apic_error(struct lapic *l, uint32_t esr_bits)
{
    uint32_t lvt = __atomic_load_n(&l->lvt[LVT_ERROR], __ATOMIC_RELAXED);

    __atomic_fetch_or(&l->esr_pending, esr_bits, __ATOMIC_RELAXED);
    if (!(lvt & LVT_MASKED) && (lvt & LVT_VECTOR) >= 16)
        lapic_raise(l->v, (uint8_t)lvt, false);
}

uint8_t lapic_tpr(const struct vcpu *v)
{
    return (uint8_t)v->lapic->tpr;
}

void lapic_set_tpr(struct vcpu *v, uint8_t tpr)
{
    v->lapic->tpr = tpr;
    update_ppr(v->lapic);
    hvm_set_reg(v, REG_CR8, tpr >> 4);
    v->recheck = true;
}

/* --- registers (SDM 3A table 11-1, 11-6) --- */

static uint32_t vectors_read(const uint32_t *reg, unsigned word)
{
    return __atomic_load_n(&reg[word], __ATOMIC_RELAXED);
}

/* Those with several numbers; false: no such register. */
static bool range_read(const struct lapic *l, unsigned reg, uint64_t *val)
{
    if (reg >= APIC_ISR && reg < APIC_ISR + APIC_WORDS)
        *val = l->isr[reg - APIC_ISR];
    else if (reg >= APIC_TMR && reg < APIC_TMR + APIC_WORDS)
        *val = vectors_read(l->tmr, reg - APIC_TMR);
    else if (reg >= APIC_IRR && reg < APIC_IRR + APIC_WORDS)
        *val = vectors_read(l->irr, reg - APIC_IRR);
    else if (reg >= APIC_LVT && reg < APIC_LVT + APIC_LVTS)
        *val = l->lvt[reg - APIC_LVT];
    else
        return false;
    return true;
}

/* What both modes have. */
static bool reg_read(const struct lapic *l, unsigned reg, uint64_t *val)
{
    switch (reg) {
    case APIC_VERSION:
        *val = APIC_VERSION_VALUE;
        return true;
    case APIC_TPR:
        *val = l->tpr;
        return true;
    case APIC_PPR:
        *val = l->ppr;
        return true;
    case APIC_LDR:
        *val = l->ldr;
        return true;
    case APIC_SVR:
        *val = l->svr;
        return true;
    case APIC_ESR:
        *val = l->esr;
        return true;
    case APIC_TMICT:
        *val = l->tmict;
        return true;
    case APIC_TMCCT:
        *val = apic_timer_count(l);
        return true;
    case APIC_TDCR:
        *val = l->tdcr;
        return true;
    default:
        return range_read(l, reg, val);
    }
}

static void write_svr(struct lapic *l, uint32_t val)
{
    __atomic_store_n(&l->svr, val & SVR_VALID, __ATOMIC_RELAXED);
    if (val & SVR_ENABLE)
        return;
    for (unsigned i = 0; i < APIC_LVTS; i++) /* SDM 3A 11.4.7.2 */
        __atomic_store_n(&l->lvt[i], l->lvt[i] | (uint32_t)LVT_MASKED, __ATOMIC_RELAXED);
}

static void write_lvt(struct lapic *l, unsigned i, uint32_t val)
{
    val &= lvt_valid[i];
    if (!(l->svr & SVR_ENABLE))
        val |= (uint32_t)LVT_MASKED;
    if (i == LVT_TIMER)
        apic_timer_set_lvt(l, val);
    else
        __atomic_store_n(&l->lvt[i], val, __ATOMIC_RELAXED);
}

/* What both modes have; the value has no bit set that is reserved in x2APIC mode. False: no such register, or
 * read-only. */
static bool reg_write(struct lapic *l, unsigned reg, uint32_t val)
{
    switch (reg) {
    case APIC_TPR:
        lapic_set_tpr(l->v, (uint8_t)val);
        return true;
    case APIC_EOI:
        eoi(l);
        return true;
    case APIC_SVR:
        write_svr(l, val);
        return true;
    case APIC_ESR:
        l->esr = __atomic_exchange_n(&l->esr_pending, 0, __ATOMIC_RELAXED);
        return true;
    case APIC_TMICT:
        apic_timer_start(l, val);
        return true;
    case APIC_TDCR:
        l->tdcr = val & TDCR_VALID;
        return true;
    default:
        if (reg < APIC_LVT || reg >= APIC_LVT + APIC_LVTS)
            return false;
        write_lvt(l, reg - APIC_LVT, val);
        return true;
    }
}

/* --- xAPIC: a page of registers, 32 bits on each 128-bit line (SDM 3A 11.4.1) --- */

static bool xapic_read(const struct lapic *l, unsigned reg, uint64_t *val)
{
    switch (reg) {
    case APIC_ID:
        *val = (uint64_t)l->v->id << 24;
        return true;
    case APIC_APR:
    case APIC_RRD:
    case APIC_EOI:
        *val = 0;
        return true;
    case APIC_DFR:
        *val = l->dfr;
        return true;
    case APIC_ICR:
        *val = (uint32_t)l->icr;
        return true;
    case APIC_ICR2:
        *val = l->icr >> 32;
        return true;
    default:
        return reg_read(l, reg, val);
    }
}

static bool xapic_write(struct lapic *l, unsigned reg, uint32_t val)
{
    switch (reg) {
    case APIC_ID: /* the vCPU's number for good */
        return true;
    case APIC_LDR:
        __atomic_store_n(&l->ldr, val & GENMASK32(31, 24), __ATOMIC_RELAXED);
        return true;
    case APIC_DFR:
        __atomic_store_n(&l->dfr, val | GENMASK32(27, 0), __ATOMIC_RELAXED);
        return true;
    case APIC_ICR:
        l->icr = (l->icr & GENMASK(63, 32)) | (val & ~(uint32_t)ICR_STATUS);
        apic_send_icr(l, l->icr);
        return true;
    case APIC_ICR2:
        l->icr = (uint32_t)l->icr | (uint64_t)(val & GENMASK32(31, 24)) << 32;
        return true;
    default:
        return reg_write(l, reg, val);
    }
}

static void page_access(struct vcpu *v, void *dev, struct io_access *a)
{
    struct lapic *l = v->lapic;
    unsigned reg = (unsigned)a->addr >> 4;
    bool known;

    (void)dev;
    if ((l->base & (APIC_BASE_EN | APIC_BASE_EXTD)) != APIC_BASE_EN || a->size != 4 || (a->addr & 15) != 0)
        return;
    if (!a->write)
        a->data = 0;
    known = a->write ? xapic_write(l, reg, (uint32_t)a->data) : xapic_read(l, reg, &a->data);
    if (!known)
        apic_error(l, ESR_ILLEGAL_REG);
}

/* --- x2APIC: MSRs (SDM 3A 11.12) --- */

static int x2apic_read(const struct lapic *l, unsigned reg, uint64_t *val)
{
    switch (reg) {
    case APIC_ID:
        *val = l->v->id;
        return 0;
    case APIC_ICR:
        *val = l->icr;
        return 0;
    default:
        return reg_read(l, reg, val) ? 0 : -EINVAL;
    }
}

/* Bits that may be set in a write (SDM 3A 11.12.1.3); nothing for EOI and ESR. */
static uint64_t x2apic_valid(unsigned reg)
{
    switch (reg) {
    case APIC_TPR:
        return 0xff;
    case APIC_SVR:
        return SVR_VALID;
    case APIC_TMICT:
        return GENMASK(31, 0);
    case APIC_TDCR:
        return TDCR_VALID;
    default:
        return reg >= APIC_LVT && reg < APIC_LVT + APIC_LVTS
                   ? lvt_valid[reg - APIC_LVT] | LVT_STATUS | LVT_IRR
                   : 0;
    }
}

static int x2apic_write(struct lapic *l, unsigned reg, uint64_t val)
{
    if (reg == APIC_SELF) {
        if (val & ~(uint64_t)0xff)
            return -EINVAL;
        apic_send_icr(l, FIELD_PREP(ICR_SHORTHAND, SHORTHAND_SELF) | val);
        return 0;
    }
    if (val & ~x2apic_valid(reg))
        return -EINVAL;
    return reg_write(l, reg, (uint32_t)val) ? 0 : -EINVAL;
}

static int write_x2apic_icr(struct lapic *l, uint64_t val)
{
    if (val & ICR_X2_RESERVED)
        return -EINVAL;
    l->icr = val;
    apic_send_icr(l, val);
    return 0;
}

/* State that INIT, power-up and disabling leave (SDM 3A 11.4.7.1, 11.12.5.1). */
static void clear(struct lapic *l)
{
    apic_timer_stop(l);
    for (unsigned w = 0; w < APIC_WORDS; w++) {
        __atomic_store_n(&l->irr[w], 0, __ATOMIC_SEQ_CST);
        __atomic_store_n(&l->tmr[w], 0, __ATOMIC_SEQ_CST);
        l->isr[w] = 0;
    }
    l->isr_words = 0;
    l->svr = 0xff;
    l->ldr = 0;
    l->dfr = ~0u;
    l->icr = 0;
    l->esr = 0;
    l->esr_pending = 0;
    l->tdcr = 0;
    for (unsigned i = 0; i < APIC_LVTS; i++)
        l->lvt[i] = (uint32_t)LVT_MASKED;
    if (l->v->pv_eoi_armed)
        lapic_pv_eoi_sync(l->v);
    lapic_set_tpr(l->v, 0);
}

/* Transitions of figure 11-26 in SDM 3A 11.12.5; the base stays where it is, so that a page of RAM never has
 * to become registers. */
static int write_base(struct lapic *l, uint64_t val)
{
    uint64_t mode = val & (APIC_BASE_EN | APIC_BASE_EXTD), old = l->base & (APIC_BASE_EN | APIC_BASE_EXTD);
    uint32_t id = l->v->id;

    if ((val & ~(mode | APIC_BASE_BSP)) != GPA_LAPIC || mode == APIC_BASE_EXTD)
        return -EINVAL;
    if ((old & APIC_BASE_EXTD) && mode == APIC_BASE_EN)
        return -EINVAL;
    if (old == 0 && (mode & APIC_BASE_EXTD))
        return -EINVAL;
    if (mode == 0 && old != 0)
        clear(l);
    if ((mode & APIC_BASE_EXTD) && !(old & APIC_BASE_EXTD)) {
        l->icr = (uint32_t)l->icr;
        __atomic_store_n(&l->ldr, id >> 4 << 16 | BIT32(id & 15), __ATOMIC_RELAXED); /* 11.12.10.2 */
    }
    __atomic_store_n(&l->base, GPA_LAPIC | mode | (l->base & APIC_BASE_BSP), __ATOMIC_RELAXED);
    return 0;
}

int lapic_msr_read(struct vcpu *v, uint32_t msr, uint64_t *val)
{
    struct lapic *l = v->lapic;

    if (msr == MSR_TSC_DEADLINE) {
        *val = apic_timer_deadline(l);
        return 0;
    }
    if (msr == MSR_APIC_BASE) {
        *val = l->base;
        return 0;
    }
    return apic_x2(l) ? x2apic_read(l, msr - MSR_X2APIC_FIRST, val) : -EINVAL;
}

/* The three that a busy guest writes come first. */
int lapic_msr_write(struct vcpu *v, uint32_t msr, uint64_t val)
{
    struct lapic *l = v->lapic;

    if (msr == MSR_TSC_DEADLINE) {
        apic_timer_set_deadline(l, val);
        return 0;
    }
    if (msr == MSR_APIC_BASE)
        return write_base(l, val);
    if (!apic_x2(l))
        return -EINVAL;
    if (msr == MSR_X2APIC_EOI && val == 0) {
        eoi(l);
        return 0;
    }
    if (msr == MSR_X2APIC_ICR)
        return write_x2apic_icr(l, val);
    return x2apic_write(l, msr - MSR_X2APIC_FIRST, val);
}

/* --- life --- */

void lapic_reset(struct vcpu *v)
{
    struct lapic *l = v->lapic;

    clear(l);
    l->pv_eoi = NULL;
    v->pv_eoi_gpa = 0;
    l->base = GPA_LAPIC | APIC_BASE_EN | (v->id == 0 ? APIC_BASE_BSP : 0);
}

/* The page is one region of the VM: an access goes to the APIC of the vCPU that makes it. */
int lapic_create(struct vcpu *v)
{
    struct lapic *l = heap_alloc(sizeof(*l));
    int err = 0;

    if (!l)
        return -ENOMEM;
    if (v->id == 0)
        err = vm_io_register(v->vm, IO_MEM, GPA_LAPIC, PAGE_SIZE, page_access, NULL);
    if (err) {
        heap_free(l, sizeof(*l));
        return err;
    }
    l->v = v;
    v->lapic = l;
    apic_timer_init(l);
    lapic_reset(v);
    return 0;
}

void lapic_destroy(struct vcpu *v)
{
    if (!v->lapic)
        return;
    apic_timer_stop(v->lapic);
    if (v->id == 0)
        vm_io_unregister(v->vm, IO_MEM, GPA_LAPIC);
    heap_free(v->lapic, sizeof(*v->lapic));
    v->lapic = NULL;
}
