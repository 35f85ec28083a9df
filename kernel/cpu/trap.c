/* SPDX-License-Identifier: BSD-2-Clause */
#include "kernel/console/log.h"
#include "kernel/cpu/irq.h"
#include "kernel/cpu/setup.h"
#include "kernel/cpu/time.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/spinlock.h"
#include "kernel/mm/heap.h"
#include "kernel/mm/paging.h"

#define VECTORS          256
#define VECTOR_DEVICE_LO 0x20
#define VECTOR_DEVICE_HI 0xdf
#define NO_VECTOR        0 /* a vector that no device has */

/* Interrupt gate, SDM 3A figure 6-8. */
struct gate {
    uint16_t offset_lo, selector;
    uint8_t ist, type;
    uint16_t offset_mid;
    uint32_t offset_hi, reserved;
};

#define GATE_INTERRUPT 0x8e /* present, 64-bit interrupt gate: enters with interrupts off */
#define SELECTOR_CODE  0x08

_Static_assert(sizeof(struct gate) == 16, "SDM 3A figure 6-8");

struct irq {
    irq_handler_t *handler;
    void *arg;
};

/* One CPU's vectors. The table comes with the first irq_alloc() for the CPU. */
static struct irq_cpu {
    struct irq *table;
    unsigned running; /* vector whose handler is being called */
    unsigned last;    /* where the search for a free vector starts: a freed one rests as long as possible */
    uint32_t dropped; /* interrupts that nobody wanted */
    uint32_t nmis;    /* not told yet */
} irqs[CPU_MAX];

static struct spinlock irq_lock; /* of all tables */
static struct gate idt[VECTORS];

extern const char trap_stubs[];
#define STUB_SIZE 16

static void build_idt(void)
{
    static const uint8_t stacks[VECTORS] = {[EXC_NMI] = STACK_NMI, [EXC_DF] = STACK_DF, [EXC_MC] = STACK_MC};

    for (unsigned v = 0; v < VECTORS; v++) {
        uint64_t stub = (uint64_t)trap_stubs + v * STUB_SIZE;

        idt[v] = (struct gate){
            .offset_lo = (uint16_t)stub,
            .offset_mid = (uint16_t)(stub >> 16),
            .offset_hi = (uint32_t)(stub >> 32),
            .selector = SELECTOR_CODE,
            .ist = stacks[v],
            .type = GATE_INTERRUPT,
        };
    }
}

void trap_init_this(void)
{
    const struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) idtr = {sizeof(idt) - 1, (uint64_t)idt};

    if (cpu_id() == 0)
        build_idt();
    __asm__ volatile("lidt %0" : : "m"(idtr));
}

/* Nothing is logged from within an NMI: it may have interrupted the holder of the console's lock. */
static void tell_nmis(struct irq_cpu *c)
{
    uint32_t nmis = __atomic_exchange_n(&c->nmis, 0, __ATOMIC_RELAXED);

    if (nmis)
        log_warn("cpu %u: %u unexpected NMIs ignored", cpu_id(), nmis);
}

/* `running` goes up before the handler is read, so that irq_free(), which works the other way round, misses
 * no call. */
static void device_interrupt(struct irq_cpu *c, unsigned vector)
{
    struct irq *table = __atomic_load_n(&c->table, __ATOMIC_ACQUIRE);
    irq_handler_t *handler = NULL;

    __atomic_store_n(&c->running, vector, __ATOMIC_SEQ_CST);
    if (table)
        handler = __atomic_load_n(&table[vector].handler, __ATOMIC_SEQ_CST);
    if (handler)
        handler(table[vector].arg);
    else
        c->dropped++;
    __atomic_store_n(&c->running, NO_VECTOR, __ATOMIC_RELEASE);
}

static void interrupt(unsigned vector)
{
    struct irq_cpu *c = &irqs[cpu_id()];

    if (vector == VECTOR_SPURIOUS)
        return; /* has no EOI, SDM 3A 10.9 */
    if (vector == VECTOR_TIMER) {
        tell_nmis(c);
        time_interrupt();
    } else if (vector != VECTOR_KICK) {
        device_interrupt(c, vector);
    }
    wrmsr(MSR_X2APIC_EOI, 0);
}

void trap_handle(const struct trap_frame *f)
{
    if (f->vector >= VECTOR_DEVICE_LO) {
        interrupt((unsigned)f->vector);
    } else if (f->vector == EXC_NMI) {
        panic_nmi();
        __atomic_fetch_add(&irqs[cpu_id()].nmis, 1, __ATOMIC_RELAXED);
    } else {
        panic_trap(f);
    }
}

/* A free vector of the table, or NO_VECTOR. */
static unsigned find_vector(const struct irq_cpu *c)
{
    unsigned v = c->last;

    for (unsigned i = VECTOR_DEVICE_LO; i <= VECTOR_DEVICE_HI; i++) {
        v = v < VECTOR_DEVICE_LO || v >= VECTOR_DEVICE_HI ? VECTOR_DEVICE_LO : v + 1;
        if (!c->table[v].handler)
            return v;
    }
    return NO_VECTOR;
}

int irq_alloc(unsigned cpu, irq_handler_t *handler, void *arg)
{
    struct irq_cpu *c = &irqs[cpu];
    unsigned v;

    spin_guard(&irq_lock);
    if (!c->table)
        __atomic_store_n(&c->table, heap_alloc(VECTORS * sizeof(struct irq)), __ATOMIC_RELEASE);
    v = c->table ? find_vector(c) : NO_VECTOR;
    if (v == NO_VECTOR)
        return -ENOSPC;
    c->last = v;
    c->table[v].arg = arg;
    __atomic_store_n(&c->table[v].handler, handler, __ATOMIC_RELEASE);
    return (int)v;
}

void irq_free(unsigned cpu, unsigned vector)
{
    struct irq_cpu *c = &irqs[cpu];

    ASSERT(c->table && vector >= VECTOR_DEVICE_LO && vector <= VECTOR_DEVICE_HI);
    __atomic_store_n(&c->table[vector].handler, NULL, __ATOMIC_SEQ_CST);
    while (cpu != cpu_id() && __atomic_load_n(&c->running, __ATOMIC_SEQ_CST) == vector)
        __builtin_ia32_pause();
}
