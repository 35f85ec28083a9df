/* SPDX-License-Identifier: BSD-2-Clause */
#include "kernel/cpu/cpu.h"
#include "kernel/console/log.h"
#include "kernel/cpu/setup.h"
#include "kernel/mm/paging.h"

/* Task state, SDM 3A 7.7: only the interrupt stacks are used. */
struct tss {
    uint32_t reserved0;
    uint64_t rsp[3];
    uint64_t reserved1;
    uint64_t ist[7];
    uint64_t reserved2;
    uint16_t reserved3, iomap;
} __attribute__((packed));

_Static_assert(sizeof(struct tss) == 104, "SDM 3A figure 7-11");

/* Everything of a CPU that hardware points at, and its public part. */
struct cpu_tables {
    struct cpu cpu;
    uint64_t gdt[5]; /* null, code, data, TSS in two */
    struct tss tss;
};

_Static_assert(offsetof(struct cpu_tables, cpu.self) == 0, "entry.S writes it");

#define GDT_CODE64   0x00af9b000000ffff
#define GDT_DATA     0x00cf93000000ffff
#define GDT_TSS      GENMASK(47, 40) /* type and P */
#define GDT_TSS_TYPE 0x89            /* present, available 64-bit TSS */

/* entry.S makes GS point to the first one: cpu_this(), and so panic(), work from the first line of C on. */
struct cpu_tables cpus[CPU_MAX];
static unsigned cpus_online;
static uint64_t host_cr4;

unsigned cpu_count(void)
{
    return __atomic_load_n(&cpus_online, __ATOMIC_ACQUIRE);
}

struct cpu *cpu_get(unsigned id)
{
    return &cpus[id].cpu;
}

static void load_descriptors(struct cpu_tables *t)
{
    struct descriptor_pointer gdtr = {sizeof(t->gdt) - 1, (uint64_t)t->gdt};
    uint64_t tss = (uint64_t)&t->tss, limit = sizeof(t->tss) - 1;

    t->tss.iomap = sizeof(t->tss);
    t->gdt[1] = GDT_CODE64;
    t->gdt[2] = GDT_DATA;
    t->gdt[3] = limit | (tss & GENMASK(23, 0)) << 16 | FIELD_PREP(GDT_TSS, GDT_TSS_TYPE) |
                FIELD_GET(GENMASK(31, 24), tss) << 56;
    t->gdt[4] = tss >> 32;
    cpu_load_gdt(&gdtr);
    wrmsr(MSR_GS_BASE, (uint64_t)&t->cpu);
    trap_init_this();
}

/* Fixed values rather than changes to what the firmware left: every CPU runs with the same ones. */
static void set_control_registers(void)
{
    write_cr0(CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_PG);
    write_cr4(host_cr4);
    wrmsr(MSR_PAT, PAT_POWER_ON);
    wrmsr(MSR_EFER, (rdmsr(MSR_EFER) | EFER_NXE) & ~EFER_SCE);
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

void cpu_init_this(unsigned id)
{
    struct cpu_tables *t = &cpus[id];

    t->cpu.self = &t->cpu;
    t->cpu.id = id;
    for (unsigned s = STACK_NMI; s < STACKS_PER_CPU; s++)
        t->tss.ist[s - 1] = stack_top(id, s);
    set_control_registers();
    load_descriptors(t);
}

void cpu_set_online(void)
{
    __atomic_fetch_add(&cpus_online, 1, __ATOMIC_ACQ_REL);
}

void cpu_init_boot(const struct bootinfo *bi)
{
    host_cr4 = bi->machine.processor.host_cr4;
    cpu_init_this(0);
    cpu_set_online();
}

void cpu_kick(unsigned id)
{
    const struct cpu *c = &cpus[id].cpu;

    apic_send(c->apic_id, ICR_LEVEL_ASSERT | (c->apart ? FIELD_PREP(ICR_MODE, ICR_MODE_NMI) : VECTOR_KICK));
}

bool cpu_set_apart(unsigned id)
{
    ASSERT(id != 0);
    cpus[id].cpu.apart = !apic_page;
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
