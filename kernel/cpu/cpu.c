/* SPDX-License-Identifier: BSD-2-Clause */
#include "kernel/cpu/cpu.h"
#include "kernel/console/log.h"
#include "kernel/cpu/setup.h"
#include "kernel/mm/paging.h"

/* entry.S makes GS point to each one, and writes its first two members: cpu_this(), and so panic(), work from the first line of C on. */
struct cpu cpus[CPU_MAX];
_Static_assert(sizeof(struct cpu) == 64 && offsetof(struct cpu, self) == 0 && offsetof(struct cpu, id) == 8,
               "entry.S");

static unsigned cpus_online;

unsigned cpu_count(void)
{
    return __atomic_load_n(&cpus_online, __ATOMIC_ACQUIRE);
}

struct cpu *cpu_get(unsigned id)
{
    return &cpus[id];
}

volatile uint32_t *apic_page;

/* xAPIC -> x2APIC needs EN set first (SDM 3A 10.12.5); LINT1 stays as the firmware routed the machine's NMI.
 */
void apic_init_this(void)
{
    uint64_t base = rdmsr(MSR_APIC_BASE) | APIC_BASE_EN;

    wrmsr(MSR_APIC_BASE, base);
    if (!apic_page)
        wrmsr(MSR_APIC_BASE, base | APIC_BASE_EXTD);
    apic_write(MSR_X2APIC_SVR, SVR_ENABLE | VECTOR_SPURIOUS);
    apic_write(MSR_X2APIC_TPR, 0);
    apic_write(MSR_X2APIC_TIMER_DIVIDE, TIMER_DIVIDE_BY_1);
    apic_write(MSR_X2APIC_LVT_TIMER, VECTOR_TIMER); /* one-shot */
    apic_write(MSR_X2APIC_LVT_LINT0, LVT_MASKED);
    apic_write(MSR_X2APIC_LVT_ERROR, LVT_MASKED);
    cpu_this()->apic_id = apic_read(MSR_X2APIC_ID) >> (apic_page ? 24 : 0);
    __atomic_fetch_add(&cpus_online, 1, __ATOMIC_ACQ_REL);
}

void apic_init_boot(void)
{
    if (!(cpuid(1, 0).ecx & CPUID_1_ECX_X2APIC)) {
        apic_page = mmio_map(hpa(rdmsr(MSR_APIC_BASE) & APIC_BASE_ADDRESS), PAGE_SIZE);
        if (!apic_page)
            panic("cpu: no memory for the local APIC's page");
    }
    apic_init_this();
}

void cpu_kick(unsigned id)
{
    const struct cpu *c = &cpus[id];

    apic_send(c->apic_id, ICR_LEVEL_ASSERT | (c->apart ? FIELD_PREP(ICR_MODE, ICR_MODE_NMI) : VECTOR_KICK));
}

bool cpu_set_apart(unsigned id)
{
    ASSERT(id != 0);
    cpus[id].apart = !apic_page;
    return !apic_page;
}

void cpu_lend_apic(void (*collect)(void *arg, uint8_t vector), void *arg)
{
    ASSERT(cpu_this()->apart);
    cpu_this()->collect_arg = arg;
    __atomic_store_n(&cpu_this()->collect, collect, __ATOMIC_SEQ_CST);
}

void cpu_take_apic(void)
{
    __atomic_store_n(&cpu_this()->collect, NULL, __ATOMIC_SEQ_CST);
    if (cpu_nudged()) /* it was no interrupt when it came: the guest is entered without a look at the note from now on */
        wrmsr(MSR_X2APIC_SELF_IPI, VECTOR_KICK);
}

bool cpu_nudged(void)
{
    return __atomic_exchange_n(&cpu_this()->nudged, false, __ATOMIC_SEQ_CST);
}

/* STI holds interrupts off for one more instruction: none slips in between it and HLT. NMIs it may not hold (SDM 2B STI): see nudge(). */
void cpu_idle(void)
{
    __asm__ volatile("sti\n.globl cpu_idle_hlt\ncpu_idle_hlt: hlt\ncli" : : : "memory");
}

void cpu_take_interrupts(void)
{
    __asm__ volatile("sti; nop; cli" : : : "memory");
}
