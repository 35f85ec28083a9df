/* SPDX-License-Identifier: BSD-2-Clause */
#include "kernel/acpi/acpi.h"
#include "kernel/console/log.h"
#include "kernel/cpu/setup.h"
#include "kernel/lib/string.h"
#include "kernel/lib/wait.h"
#include "kernel/mm/paging.h"

#define START_TIMEOUT_NS (100 * NS_PER_MS)
#define INIT_WAIT_NS     (10 * NS_PER_MS) /* SDM 3A 9.4.4.1 */
#define SIPI_WAIT_NS     (200 * NS_PER_US)

/* entry.S: what the trampoline needs to get to long mode. */
struct trampoline_args {
    uint32_t far_offset;
    uint16_t far_selector;
    uint16_t gdt_limit;
    uint32_t gdt_base;
    uint32_t cr3;
} __attribute__((packed));

extern const char trampoline_start[], trampoline_args[], trampoline_end[];

/* The stack of the CPU that is being started; the CPU takes it, or smp_start() takes it back. */
uint64_t smp_ticket;
_Noreturn void smp_ap_main(void);

static struct {
    unsigned id; /* of the CPU that is being started */
    uint64_t trampoline;
    void (*entry)(void);
} start;

/* On the new CPU's own stack. The trampoline's mapping must not outlive its use in this CPU's TLB. */
_Noreturn void smp_ap_main(void)
{
    struct cpu *c = cpu_get(start.id);

    cpu_init_this(start.id);
    invlpg(start.trampoline);
    time_init_this();
    cpu_set_online(c);
    start.entry();
    panic("smp: cpu %u came back", c->id);
}

static void prepare_trampoline(hpa_t page)
{
    size_t size = (size_t)(trampoline_end - trampoline_start);
    struct trampoline_args *args;

    memcpy(hpa_to_ptr(page), trampoline_start, size);
    args = (struct trampoline_args *)((char *)hpa_to_ptr(page) + (trampoline_args - trampoline_start));
    args->far_offset += (uint32_t)page.a;
    args->gdt_base += (uint32_t)page.a;
    args->cr3 = (uint32_t)read_cr3();
    paging_map_trampoline(page);
}

/* INIT, or a start-up interrupt whose vector is the trampoline's page. */
static void send(uint32_t apic_id, uint64_t mode)
{
    uint64_t vector = mode == ICR_MODE_STARTUP ? start.trampoline >> PAGE_SHIFT : 0;

    apic_send(apic_id, FIELD_PREP(ICR_MODE, mode) | ICR_LEVEL_ASSERT | vector);
}

static bool is_online(const struct cpu *c)
{
    return __atomic_load_n(&c->online, __ATOMIC_ACQUIRE);
}

/* True if the CPU came up. One that did not is put to sleep again before its stack can go to the next. */
static bool start_one(uint32_t apic_id, unsigned id)
{
    const struct cpu *c = cpu_get(id);
    uint64_t stack = paging_map_stacks(id);

    if (!stack) {
        log_warn("smp: no memory for the stacks of cpu %u", id);
        return false;
    }
    cpu_set_stacks(id);
    start.id = id;
    __atomic_store_n(&smp_ticket, stack, __ATOMIC_SEQ_CST);
    send(apic_id, ICR_MODE_STARTUP);
    if (!wait_until(is_online(c), SIPI_WAIT_NS))
        send(apic_id, ICR_MODE_STARTUP);
    if (wait_until(is_online(c), START_TIMEOUT_NS))
        return true;
    if (__atomic_exchange_n(&smp_ticket, 0, __ATOMIC_SEQ_CST) != 0) {
        send(apic_id, ICR_MODE_INIT);
        log_warn("smp: the processor with APIC id %u does not start", apic_id);
        return false;
    }
    /* It is on its way with this stack and number, and nobody else can have them. */
    if (!wait_until(is_online(c), START_TIMEOUT_NS))
        panic("smp: cpu %u hangs while it starts", id);
    return true;
}

unsigned smp_start(const struct bootinfo *bi, void (*entry)(void))
{
    uint32_t ids[CPU_MAX], self = cpu_get(0)->apic_id;
    unsigned listed = acpi_cpus(ids, CPU_MAX), n = MIN(listed, CPU_MAX), next = 1;
    hpa_t page = hpa(bi->trampoline);

    if (!paging_map_stacks(0))
        panic("smp: no memory for the boot processor's stacks");
    cpu_set_stacks(0);
    if (read_cr3() >= SIZE_4G) {
        log_warn("smp: no memory below 4 GiB for the page tables' root: only the boot processor is used");
        return cpu_count();
    }
    start.trampoline = page.a;
    start.entry = entry;
    prepare_trampoline(page);
    for (unsigned i = 0; i < n; i++)
        if (ids[i] != self)
            send(ids[i], ICR_MODE_INIT);
    (void)wait_until(false, INIT_WAIT_NS);
    for (unsigned i = 0; i < n && next < CPU_MAX; i++)
        if (ids[i] != self && start_one(ids[i], next))
            next++;
    paging_unmap_trampoline(page);
    if (cpu_count() < listed)
        log_warn("smp: %u of %u processors are used", cpu_count(), listed);
    return cpu_count();
}

_Noreturn void cpu_enter(void (*entry)(void))
{
    cpu_call_on_stack(paging_stack_top(0, STACK_MAIN), entry);
}
