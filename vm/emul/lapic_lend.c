/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a CPU does of a vCPU's local APIC. Its own local APIC, for the one vCPU that runs there: registers and timer are copied, what is requested is requested
 * again, and what is in service is ended on the one side, so nothing is lent before the emulated APIC has nothing in service. And for any other, where
 * the CPU has virtual-interrupt delivery, the delivery of interrupts and their ends.
 */
#include "kernel/cpu/cpu.h"
#include "vm/assign/assign.h"
#include "vm/emul/apic.h"
#include "vm/emul/lapic.h"
#include "vm/hvm.h"
#include "vm/vcpu.h"
#include "vm/vm.h"

/* Holds back what the guest may request but the host could not tell from an exception (SDM 3A 11.5.2: vectors from 16 on are valid). */
#define TPR_HOST 0x10

static uint32_t hw_read(unsigned reg)
{
    return (uint32_t)rdmsr(MSR_X2APIC_FIRST + reg);
}

static void hw_write(unsigned reg, uint32_t val)
{
    wrmsr(MSR_X2APIC_FIRST + reg, val);
}

/* What the host has caught of the guest's interrupts. */
static void collect(void *arg, uint8_t vector)
{
    apic_request(((struct vcpu *)arg)->lapic, vector);
}

/* A kick from before: nothing of the guest's can come yet. */
static void drop(UNUSED void *arg, UNUSED uint8_t vector)
{
}

static uint64_t lvtt_mode(const struct lapic *l)
{
    return FIELD_GET(LVT_TIMER_MODE, apic_get(l, APIC_LVTT));
}

/* The end of a level interrupt must be seen, for the I/O APIC waits for it; an NMI may need its window; the CPU's timer may lack the mode with TSC deadlines. */
static bool can_lend(const struct vcpu *v)
{
    const struct lapic *l = v->lapic;
    uint32_t level = 0;

    for (unsigned i = 0; i < APIC_WORDS; i++)
        level |= apic_get(l, APIC_TMR + i);
    return apic_x2(l) && lapic_enabled(v) && level == 0 && !v->nmi_pending && l->isr_words == 0 &&
           !v->pv_eoi_armed && !v->halted && lvtt_mode(l) <= LVT_TIMER_PERIODIC;
}

/* One that was armed and is over now has at least a tick to go: better twice than never. */
static void timer_to_hw(struct lapic *l)
{
    bool armed = __atomic_load_n(&l->timer.armed, __ATOMIC_ACQUIRE);
    uint32_t left, initial = l->reg[APIC_TMICT];

    timer_cancel(&l->timer);
    left = MAX(apic_timer_count(l), armed ? 1u : 0);
    hw_write(APIC_LVTT, l->reg[APIC_LVTT]);
    hw_write(APIC_TDCR, l->reg[APIC_TDCR]);
    hw_write(APIC_TMICT, lvtt_mode(l) == LVT_TIMER_PERIODIC ? initial : left);
}

/* One that is over may not have been told yet, and then never is: its interrupt may follow the count by some time. The same holds. */
static void timer_from_hw(struct lapic *l)
{
    uint32_t initial = hw_read(APIC_TMICT), left = MAX(hw_read(APIC_TMCCT), 1u);

    l->reg[APIC_TDCR] = hw_read(APIC_TDCR);
    hw_write(APIC_TMICT, 0);
    hw_write(APIC_LVTT, (uint32_t)LVT_MASKED);
    apic_timer_start(l, initial, left);
}

/* `lent` changes before the routes do: whoever routes an interrupt at the same time does it the new way already. */
static void lend(struct vcpu *v)
{
    struct lapic *l = v->lapic;

    if (!hvm->lend_apic(v, true))
        return;
    cpu_lend_apic(drop, NULL);
    cpu_take_interrupts();
    __atomic_store_n(&v->lent, true, __ATOMIC_SEQ_CST);
    assign_reroute(v->vm, true);
    cpu_lend_apic(collect, v);
    hw_write(APIC_SVR, SVR_ENABLE | (uint8_t)l->reg[APIC_SVR]);
    hw_write(APIC_TPR, l->reg[APIC_TPR]);
    timer_to_hw(l);
    assign_reroute(v->vm, false);
}

/* What the host holds back stays in the CPU's APIC until that is lent again: even beyond a reset of the guest, which can do the same to itself. */
static void requests_to_emulated(void)
{
    uint32_t left = 1;

    for (unsigned i = 0; i < 256 && left != 0; i++) {
        cpu_take_interrupts();
        left = 0;
        for (unsigned w = 1; w < APIC_WORDS; w++)
            left |= hw_read(APIC_IRR + w);
    }
}

static void ends_to_emulated(struct lapic *l)
{
    for (unsigned w = 0; w < APIC_WORDS; w++)
        for (uint32_t bits = hw_read(APIC_ISR + w); bits != 0; bits &= bits - 1) {
            apic_in_service(l, (uint8_t)(w * 32 + (unsigned)__builtin_ctz(bits)));
            hw_write(APIC_EOI, 0);
        }
}

/* --- interrupts that the CPU delivers: the requests and what is in service, no more, and of edge interrupts only --- */

static void request_again(struct lapic *l, const uint32_t *requested)
{
    for (unsigned w = 0; w < APIC_WORDS; w++)
        if (requested[w] != 0) {
            __atomic_fetch_or(&l->reg[APIC_IRR + w], requested[w], __ATOMIC_SEQ_CST);
            __atomic_fetch_or(&l->irr_words, BIT32(w), __ATOMIC_SEQ_CST);
        }
}

/* A level interrupt is marked before it is requested, so the mark of one that was taken here is seen. */
bool lapic_delegate(struct vcpu *v)
{
    struct lapic *l = v->lapic;
    struct vm_interrupts i;
    uint32_t level = 0;

    if (!hvm_cpu.delegates || !apic_x2(l) || !lapic_enabled(v))
        return false;
    for (unsigned w = 0; w < APIC_WORDS; w++) {
        i.requested[w] = __atomic_exchange_n(&l->reg[APIC_IRR + w], 0, __ATOMIC_SEQ_CST);
        i.in_service[w] = l->reg[APIC_ISR + w];
        level |= apic_get(l, APIC_TMR + w) & (i.requested[w] | i.in_service[w]);
    }
    v->delegated = level == 0;
    if (v->delegated)
        hvm->delegate(v, &i);
    else
        request_again(l, i.requested);
    return v->delegated;
}

static void recall(struct vcpu *v)
{
    struct lapic *l = v->lapic;
    struct vm_interrupts i;

    hvm->recall(v, &i);
    v->delegated = false;
    l->isr_words = 0;
    for (unsigned w = 0; w < APIC_WORDS; w++) {
        l->reg[APIC_ISR + w] = i.in_service[w];
        l->isr_words |= i.in_service[w] ? BIT32(w) : 0;
    }
    request_again(l, i.requested);
    lapic_set_tpr(v, (uint8_t)l->reg[APIC_TPR]); /* and the processor priority */
}

void lapic_take_back(struct vcpu *v)
{
    struct lapic *l = v->lapic;

    if (v->delegated)
        recall(v);
    if (!v->lent)
        return;
    __atomic_store_n(&v->lent, false, __ATOMIC_SEQ_CST);
    (void)hvm->lend_apic(v, false);
    assign_reroute(v->vm, true);
    timer_from_hw(l);
    ends_to_emulated(l);
    lapic_set_tpr(v, (uint8_t)hw_read(APIC_TPR));
    hw_write(APIC_TPR, TPR_HOST);
    hw_write(APIC_SVR, SVR_ENABLE | VECTOR_SPURIOUS);
    requests_to_emulated();
    cpu_take_apic();
    assign_reroute(v->vm, false);
}

/* By self-IPI. False: a level interrupt has come meanwhile. */
static bool hand_on(struct lapic *l)
{
    int vector;

    for (unsigned i = 0; i < 256 && (vector = apic_highest_irr(l)) >= 0; i++) {
        if (apic_get(l, APIC_TMR + (unsigned)vector / 32) & BIT32(vector % 32))
            return false;
        apic_unrequest(l, (uint8_t)vector);
        hw_write(APIC_SELF, (uint32_t)vector);
    }
    return true;
}

void lapic_lend(struct vcpu *v)
{
    bool can = can_lend(v);

    if (can && !v->lent)
        lend(v);
    if (!can || (v->lent && !hand_on(v->lapic)))
        lapic_take_back(v);
}
