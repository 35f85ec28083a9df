/* SPDX-License-Identifier: BSD-2-Clause */
#include "vm/emul/lapic.h"
#include "kernel/cpu/x86.h"
#include "kernel/mm/heap.h"
#include "vm/emul/apic.h"
#include "vm/emul/emul.h"
#include "vm/hvm.h"
#include "vm/migrate/state.h"
#include "vm/vcpu.h"
#include "vm/vm.h"

/* Rights to a register in the two modes (without one, the page reads 0), and the bits of it that can be written. */
#define X_R   1u
#define X_W   2u
#define X2_R  4u
#define X2_W  8u
#define ALL_R (X_R | X2_R)
#define ALL   (ALL_R | X_W | X2_W)

/* SDM 3A tables 11-1 and 11-6, figure 11-8 (LVT). */
static const struct {
    uint8_t rights;
    uint64_t valid;
} regs[APIC_REGS] = {
    [APIC_ID] = {ALL_R | X_W, 0}, /* the vCPU's number for good */
    [APIC_VERSION] = {ALL_R, 0},
    [APIC_TPR] = {ALL, GENMASK32(7, 0)},
    [APIC_PPR] = {ALL_R, 0},
    [APIC_EOI] = {X_W | X2_W, 0},
    [APIC_LDR] = {ALL_R | X_W, GENMASK32(31, 24)},
    [APIC_DFR] = {X_R | X_W, DFR_FLAT},
    [APIC_SVR] = {ALL, SVR_VALID},
    [APIC_ISR... APIC_IRR + APIC_WORDS - 1] = {ALL_R, 0},
    [APIC_ESR] = {ALL, 0}, /* errors are not reported: 0 */
    [APIC_ICR] = {ALL, GENMASK(63, 32) | ICR_VALID},
    [APIC_ICR2] = {X_R | X_W, GENMASK32(31, 24)},
    [APIC_LVTT] = {ALL, LVT_RO | GENMASK32(18, 16) | GENMASK32(7, 0)},
    [APIC_LVT + 1 ... APIC_LVT + 2] = {ALL, LVT_RO | BIT32(16) | GENMASK32(10, 0)},
    [APIC_LVT + 3 ... APIC_LVT + 4] = {ALL, LVT_RO | GENMASK32(16, 15) | BIT32(13) | GENMASK32(10, 0)},
    [APIC_LVTERR] = {ALL, LVT_RO | BIT32(16) | GENMASK32(7, 0)},
    [APIC_TMICT] = {ALL, GENMASK32(31, 0)},
    [APIC_TMCCT] = {ALL_R, 0},
    [APIC_TDCR] = {ALL, TDCR_VALID},
    [APIC_SELF] = {X2_W, GENMASK32(7, 0)},
};

static bool is_lvt(unsigned reg)
{
    return reg - APIC_LVT < APIC_LVTS;
}

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
    int isrv = highest(&l->reg[APIC_ISR], l->isr_words);
    uint32_t in_service = isrv < 0 ? 0 : (uint32_t)isrv & 0xf0, tpr = l->reg[APIC_TPR];

    apic_set(l, APIC_PPR, (tpr & 0xf0) >= in_service ? tpr : in_service);
}

/* The word of IRR looked empty. A bit set meanwhile is either seen by the second look, or its setter sets
 * irr_words after us. */
static void irr_word_empty(struct lapic *l, unsigned w)
{
    __atomic_fetch_and(&l->irr_words, ~BIT32(w), __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&l->reg[APIC_IRR + w], __ATOMIC_SEQ_CST) != 0)
        __atomic_fetch_or(&l->irr_words, BIT32(w), __ATOMIC_SEQ_CST);
}

int apic_highest_irr(struct lapic *l)
{
    uint32_t words;

    while ((words = __atomic_load_n(&l->irr_words, __ATOMIC_ACQUIRE)) != 0) {
        unsigned w = 31 - (unsigned)__builtin_clz(words);
        uint32_t irr = __atomic_load_n(&l->reg[APIC_IRR + w], __ATOMIC_ACQUIRE);

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
    vector = apic_highest_irr(l);
    if (vector < 0 || ((uint32_t)vector & 0xf0) <= (l->reg[APIC_PPR] & 0xf0) || !(l->base & APIC_BASE_EN))
        return -1;
    return vector;
}

static bool is_level(const struct lapic *l, uint8_t vector)
{
    return apic_get(l, APIC_TMR + vector / 32) & BIT32(vector % 32);
}

void apic_unrequest(struct lapic *l, uint8_t vector)
{
    uint32_t bit = BIT32(vector % 32);

    if ((__atomic_fetch_and(&l->reg[APIC_IRR + vector / 32], ~bit, __ATOMIC_SEQ_CST) & ~bit) == 0)
        irr_word_empty(l, vector / 32u);
}

bool apic_request(struct lapic *l, uint8_t vector)
{
    uint32_t bit = BIT32(vector % 32);

    if (__atomic_fetch_or(&l->reg[APIC_IRR + vector / 32], bit, __ATOMIC_SEQ_CST) & bit)
        return false;
    __atomic_fetch_or(&l->irr_words, BIT32(vector / 32), __ATOMIC_SEQ_CST);
    return true;
}

/*
 * The EOI of an edge interrupt is left to a bit in the guest's memory. A level one's must be reported; with something in service below, the bit would not
 * say whose end it is; and an end that others wait for must be seen.
 */
void lapic_queue(struct vcpu *v, uint8_t vector)
{
    struct lapic *l = v->lapic;

    apic_unrequest(l, vector);
    if (l->pv_eoi && !is_level(l, vector) && l->isr_words == 0 &&
        __atomic_load_n(&l->irr_words, __ATOMIC_RELAXED) == 0) {
        __atomic_fetch_or(l->pv_eoi, 1, __ATOMIC_RELAXED);
        v->pv_eoi_armed = true;
    }
}

void lapic_unqueue(struct vcpu *v, uint8_t vector, bool delivered)
{
    struct lapic *l = v->lapic;

    if (delivered)
        apic_in_service(l, vector);
    else
        apic_request(l, vector);
}

void apic_in_service(struct lapic *l, uint8_t vector)
{
    l->reg[APIC_ISR + vector / 32] |= BIT32(vector % 32);
    l->isr_words |= BIT32(vector / 32);
    update_ppr(l);
}

static void eoi(struct lapic *l)
{
    int vector = highest(&l->reg[APIC_ISR], l->isr_words);
    unsigned w = (unsigned)vector / 32;

    if (vector < 0)
        return;
    l->reg[APIC_ISR + w] &= ~BIT32((unsigned)vector % 32);
    if (l->reg[APIC_ISR + w] == 0)
        l->isr_words &= ~BIT32(w);
    update_ppr(l);
    if (__atomic_load_n(&l->irr_words, __ATOMIC_RELAXED) != 0)
        l->v->recheck = true;
    if (is_level(l, (uint8_t)vector))
        ioapic_eoi(l->v->vm, (uint8_t)vector);
}

void lapic_pv_eoi_sync(struct vcpu *v)
{
    struct lapic *l = v->lapic;

    v->pv_eoi_armed = false;
    if (!(__atomic_fetch_and(l->pv_eoi, ~1u, __ATOMIC_RELAXED) & 1))
        eoi(l);
}

int lapic_pv_eoi_write(struct vcpu *v, UNUSED uint32_t msr, uint64_t val)
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
           (apic_get(v->lapic, APIC_SVR) & SVR_ENABLE);
}

void lapic_raise(struct vcpu *v, uint8_t vector, bool level)
{
    struct lapic *l = v->lapic;
    uint32_t *tmr = &l->reg[APIC_TMR + vector / 32], bit = BIT32(vector % 32);

    if (!lapic_enabled(v) || vector < 16)
        return;
    if (level)
        __atomic_fetch_or(tmr, bit, __ATOMIC_SEQ_CST);
    else if (is_level(l, vector))
        __atomic_fetch_and(tmr, ~bit, __ATOMIC_SEQ_CST);
    if (apic_request(l, vector))
        vcpu_request(v, VCPU_REQ_EVENT);
}

void lapic_set_tpr(struct vcpu *v, uint8_t tpr)
{
    apic_set(v->lapic, APIC_TPR, tpr);
    update_ppr(v->lapic);
    hvm->set_reg(v, REG_CR8, tpr >> 4);
    v->recheck = true;
}

/* --- registers --- */

static uint32_t reg_read(const struct lapic *l, unsigned reg)
{
    return reg == APIC_TMCCT ? apic_timer_count(l) : apic_get(l, reg);
}

/* Only bits that can be written are set in `val`. */
static void reg_write(struct lapic *l, unsigned reg, uint32_t val)
{
    if (is_lvt(reg)) /* masked as long as the APIC is disabled (SDM 3A 11.4.7.2) */
        val = (val & ~LVT_RO) | (l->reg[APIC_SVR] & SVR_ENABLE ? 0 : (uint32_t)LVT_MASKED);
    switch (reg) {
    case APIC_TPR:
        lapic_set_tpr(l->v, (uint8_t)val);
        break;
    case APIC_EOI:
        eoi(l);
        break;
    case APIC_SVR:
        apic_set(l, APIC_SVR, val);
        for (unsigned i = APIC_LVT; i < APIC_LVT + APIC_LVTS && !(val & SVR_ENABLE); i++)
            apic_set(l, i, l->reg[i] | (uint32_t)LVT_MASKED);
        break;
    case APIC_ICR:
        apic_set(l, APIC_ICR, val);
        apic_send_icr(l, (uint64_t)l->reg[APIC_ICR2] << 32 | val);
        break;
    case APIC_LVTT:
        apic_timer_set_lvt(l, val);
        if (l->v->lent)
            wrmsr(MSR_X2APIC_LVT_TIMER, val);
        break;
    case APIC_TMICT:
        apic_timer_start(l, val, val);
        break;
    case APIC_SELF:
        apic_send_icr(l, FIELD_PREP(ICR_SHORTHAND, SHORTHAND_SELF) | val);
        break;
    case APIC_ID:
        break;
    case APIC_DFR:
        val |= ~DFR_FLAT; /* always ones */
        __attribute__((fallthrough));
    default:
        apic_set(l, reg, val);
    }
}

/* xAPIC: a page of registers, 32 bits on each 128-bit line (SDM 3A 11.4.1). */
static void page_access(struct vcpu *v, UNUSED void *dev, struct io_access *a)
{
    struct lapic *l = v->lapic;
    unsigned reg = (unsigned)a->addr >> 4, rights = reg < APIC_REGS ? regs[reg].rights : 0;

    if ((l->base & (APIC_BASE_EN | APIC_BASE_EXTD)) != APIC_BASE_EN || a->size != 4 || (a->addr & 15) != 0)
        return;
    if (!a->write)
        a->data = rights & X_R ? reg_read(l, reg) : 0;
    else if (rights & X_W)
        reg_write(l, reg, (uint32_t)(a->data & regs[reg].valid));
}

/* State that INIT, power-up and disabling leave (SDM 3A 11.4.7.1, 11.12.5.1). */
static void clear(struct lapic *l)
{
    apic_timer_stop(l);
    for (unsigned i = 0; i < APIC_REGS; i++)
        __atomic_store_n(&l->reg[i], is_lvt(i) ? (uint32_t)LVT_MASKED : 0, __ATOMIC_SEQ_CST);
    l->isr_words = 0;
    apic_set(l, APIC_ID, l->v->id << 24);
    apic_set(l, APIC_VERSION, APIC_VERSION_VALUE);
    apic_set(l, APIC_SVR, 0xff);
    apic_set(l, APIC_DFR, ~0u);
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

    if ((val & ~(mode | APIC_BASE_BSP)) != GPA_LAPIC || mode == APIC_BASE_EXTD ||
        ((old & APIC_BASE_EXTD) && mode == APIC_BASE_EN) || (old == 0 && (mode & APIC_BASE_EXTD)))
        return -EINVAL;
    if (mode == 0 && old != 0)
        clear(l);
    if ((mode & APIC_BASE_EXTD) && !(old & APIC_BASE_EXTD)) {
        l->reg[APIC_ICR2] = 0;
        l->reg[APIC_ID] = id;
        apic_set(l, APIC_LDR, id >> 4 << 16 | BIT32(id & 15)); /* 11.12.10.2 */
    }
    __atomic_store_n(&l->base, GPA_LAPIC | mode | (l->base & APIC_BASE_BSP), __ATOMIC_RELAXED);
    return 0;
}

int lapic_msr_read(struct vcpu *v, uint32_t msr, uint64_t *val)
{
    const struct lapic *l = v->lapic;
    unsigned reg = msr - MSR_X2APIC_FIRST;

    if (msr == MSR_TSC_DEADLINE)
        *val = apic_timer_deadline(l);
    else if (msr == MSR_APIC_BASE)
        *val = l->base;
    else if (!apic_x2(l) || reg >= APIC_REGS || !(regs[reg].rights & X2_R))
        return -EINVAL;
    else
        *val = reg_read(l, reg) | (reg == APIC_ICR ? (uint64_t)l->reg[APIC_ICR2] << 32 : 0);
    return 0;
}

/* x2APIC: MSRs (SDM 3A 11.12); bits that are reserved are #GP. What a busy guest writes comes first. */
int lapic_msr_write(struct vcpu *v, uint32_t msr, uint64_t val)
{
    struct lapic *l = v->lapic;
    unsigned reg = msr - MSR_X2APIC_FIRST;

    if (msr == MSR_TSC_DEADLINE) {
        apic_timer_set_deadline(l, val);
        return 0;
    }
    if (msr == MSR_APIC_BASE || reg == APIC_SVR ||
        (reg == APIC_LVTT && FIELD_GET(LVT_TIMER_MODE, val) > LVT_TIMER_PERIODIC))
        lapic_take_back(v);
    if (msr == MSR_APIC_BASE)
        return write_base(l, val);
    if (!apic_x2(l))
        return -EINVAL;
    if (reg == APIC_EOI && val == 0) {
        eoi(l);
        return 0;
    }
    if (reg >= APIC_REGS || !(regs[reg].rights & X2_W) || (val & ~regs[reg].valid))
        return -EINVAL;
    if (reg == APIC_ICR)
        l->reg[APIC_ICR2] = (uint32_t)(val >> 32);
    reg_write(l, reg, (uint32_t)val);
    return 0;
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

static void *lapic_at(struct vm *vm, unsigned i)
{
    return vm->vcpu[i]->lapic->reg;
}

/* From here on it raises nothing. */
static void lapic_save(struct vm *vm, unsigned i, UNUSED void *data)
{
    struct lapic *l = vm->vcpu[i]->lapic;
    bool armed = __atomic_load_n(&l->timer.armed, __ATOMIC_ACQUIRE);

    timer_cancel(&l->timer);
    l->left = armed ? MAX(apic_timer_count(l), 1u) : 0;
    l->tsc_deadline = armed ? l->tsc_deadline : 0;
}

/* Bits that a register may hold; ~0 where that follows from others. */
static uint32_t possible(unsigned reg, bool x2)
{
    if (reg - APIC_ISR < 3 * APIC_WORDS)
        return reg % APIC_WORDS ? ~0u : ~GENMASK32(15, 0);
    if (reg == APIC_PPR || reg == APIC_DFR || reg == APIC_ICR2 || (reg == APIC_LDR && x2) || reg == APIC_ID ||
        reg == APIC_VERSION)
        return ~0u;
    return (uint32_t)regs[reg].valid & ~(is_lvt(reg) ? LVT_RO : 0);
}

static const char *lapic_check(UNUSED const struct vm *vm, unsigned i, const void *data)
{
    uint64_t modes = APIC_BASE_EN | APIC_BASE_EXTD, bsp = i == 0 ? APIC_BASE_BSP : 0;
    const struct lapic_state *s = data;
    bool x2 = s->base & APIC_BASE_EXTD;

    if ((s->base & ~modes) != (GPA_LAPIC | bsp) || (s->base & modes) == APIC_BASE_EXTD)
        return "base";
    if (s->reg[APIC_ID] != (x2 ? i : i << 24) || s->reg[APIC_VERSION] != APIC_VERSION_VALUE)
        return "ID";
    for (unsigned r = 0; r < APIC_REGS; r++)
        if (s->reg[r] & ~possible(r, x2))
            return is_lvt(r) ? "LVT" : r - APIC_ISR < 3 * APIC_WORDS ? "vectors" : "registers";
    return FIELD_GET(LVT_TIMER_MODE, s->reg[APIC_LVTT]) > LVT_TIMER_TSC_DEADLINE ? "timer mode" : NULL;
}

static void lapic_load(struct vm *vm, unsigned i, const void *data)
{
    struct lapic *l = vm->vcpu[i]->lapic;
    const struct lapic_state *s = data;

    l->irr_words = l->isr_words = UINT8_MAX; /* may have a bit set, until somebody looks */
    for (unsigned w = 0; w < APIC_WORDS; w++)
        if (l->reg[APIC_ISR + w] == 0)
            l->isr_words &= ~BIT32(w);
    lapic_set_tpr(l->v, (uint8_t)l->reg[APIC_TPR]);
    apic_timer_start(l, l->reg[APIC_TMICT], s->left);
    if (s->tsc_deadline)
        apic_timer_set_deadline(l, s->tsc_deadline);
}

const struct state_part lapic_part = {
    "lapic", sizeof(struct lapic_state), true, lapic_at, lapic_save, lapic_check, lapic_load};

/* The page is one region of the VM: an access goes to the APIC of the vCPU that makes it. */
int lapic_create(struct vcpu *v)
{
    struct lapic *l = heap_alloc(sizeof(*l));

    if (!l)
        return -ENOMEM;
    l->v = v;
    v->lapic = l;
    timer_init(&l->timer, apic_timer_fired);
    lapic_reset(v);
    return v->id == 0 ? vm_io_register(v->vm, IO_MEM, GPA_LAPIC, PAGE_SIZE, page_access, NULL) : 0;
}
