/* SPDX-License-Identifier: BSD-2-Clause */
#include "kernel/console/log.h"
#include "kernel/cpu/setup.h"
#include "kernel/lib/spinlock.h"
#include "kernel/mm/layout.h"

#define VECTORS 256

_Static_assert(STACK_NMI == 1 && STACK_DF == 2 && STACK_MC == 3, "entry.S has them in the IDT");

struct irq {
    irq_handler_t *handler;
    void *arg;
};

/* One CPU's vectors. */
static struct irq_cpu {
    struct irq table[VECTORS];
    unsigned running; /* vector whose handler is being called, or 0 */
    unsigned last;    /* where the search for a free vector starts: a freed one rests as long as possible */
    uint32_t nmis;    /* not told yet */
} irqs[CPU_MAX];

static struct spinlock irq_lock; /* of all tables */
static unsigned irqs_used;       /* atomic */
static struct ratelimit nmi_lines = RATELIMIT_INIT(5, 1);

/* Nothing is logged from within an NMI: it may have interrupted the holder of the console's lock. */
static void tell_nmis(struct irq_cpu *c)
{
    if (!__atomic_load_n(&c->nmis, __ATOMIC_RELAXED))
        return;
    spin_guard(&irq_lock);
    if (ratelimit_ok(&nmi_lines))
        log_warn("cpu %u: %u unexpected NMIs ignored", cpu_id(),
                 __atomic_exchange_n(&c->nmis, 0, __ATOMIC_RELAXED));
}

/* `running` goes up before the handler is read, so that irq_free(), which works the other way round, misses
 * no call. */
static void device_interrupt(struct irq_cpu *c, unsigned vector)
{
    irq_handler_t *handler;

    __atomic_store_n(&c->running, vector, __ATOMIC_SEQ_CST);
    handler = __atomic_load_n(&c->table[vector].handler, __ATOMIC_SEQ_CST);
    if (handler)
        handler(c->table[vector].arg);
    __atomic_store_n(&c->running, 0, __ATOMIC_RELEASE);
}

static void interrupt(unsigned vector)
{
    struct irq_cpu *c = &irqs[cpu_id()];
    const struct cpu *cpu = cpu_this();

    if (vector == VECTOR_SPURIOUS && !(apic_read(MSR_X2APIC_ISR_LAST) & BIT(31)))
        return; /* not in service: it has no EOI, SDM 3A 10.9. A guest's own may have that number, too */
    if (cpu->collect) {
        cpu->collect(cpu->collect_arg, (uint8_t)vector);
    } else if (vector == VECTOR_TIMER) {
        tell_nmis(c);
        time_interrupt();
    } else if (vector != VECTOR_KICK) {
        device_interrupt(c, vector);
    }
    apic_write(MSR_X2APIC_EOI, 0);
}

/*
 * A kick of a CPU that is set apart. Without a guest it becomes an interrupt, which stays pending until the CPU looks: it must end a halt that is yet to
 * come. Right before the HLT it would be taken too early, so that is left out.
 */
static void nudge(struct cpu *cpu, struct trap_frame *f)
{
    __atomic_store_n(&cpu->nudged, true, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&cpu->collect, __ATOMIC_SEQ_CST))
        return;
    wrmsr(MSR_X2APIC_SELF_IPI, VECTOR_KICK);
    if (f->rip == (uint64_t)cpu_idle_hlt)
        f->rip++;
}

void trap_handle(struct trap_frame *f)
{
    if (f->vector >= VECTOR_DEVICE_LO) {
        interrupt((unsigned)f->vector);
    } else if (f->vector == EXC_NMI) {
        panic_nmi();
        if (cpu_this()->apart)
            nudge(cpu_this(), f);
        else
            __atomic_fetch_add(&irqs[cpu_id()].nmis, 1, __ATOMIC_RELAXED);
    } else {
        panic_trap(f);
    }
}

int irq_alloc(unsigned cpu, irq_handler_t *handler, void *arg)
{
    struct irq_cpu *c = &irqs[cpu];
    unsigned v = c->last;

    spin_guard(&irq_lock);
    if (cpu_get(cpu)->apart)
        return -ENOSPC;
    for (unsigned i = VECTOR_DEVICE_LO; i <= VECTOR_DEVICE_HI; i++) {
        v = v < VECTOR_DEVICE_LO || v >= VECTOR_DEVICE_HI ? VECTOR_DEVICE_LO : v + 1;
        if (!c->table[v].handler) {
            c->last = v;
            c->table[v].arg = arg;
            __atomic_fetch_add(&irqs_used, 1, __ATOMIC_RELAXED);
            __atomic_store_n(&c->table[v].handler, handler, __ATOMIC_RELEASE);
            return (int)v;
        }
    }
    return -ENOSPC;
}

void irq_free(unsigned cpu, unsigned vector)
{
    struct irq_cpu *c = &irqs[cpu];

    ASSERT(vector >= VECTOR_DEVICE_LO && vector <= VECTOR_DEVICE_HI);
    __atomic_store_n(&c->table[vector].handler, NULL, __ATOMIC_SEQ_CST);
    __atomic_fetch_sub(&irqs_used, 1, __ATOMIC_RELAXED);
    while (cpu != cpu_id() && __atomic_load_n(&c->running, __ATOMIC_SEQ_CST) == vector)
        __builtin_ia32_pause();
}

unsigned irq_count(void)
{
    return __atomic_load_n(&irqs_used, __ATOMIC_RELAXED);
}
