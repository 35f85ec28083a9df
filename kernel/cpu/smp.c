/* SPDX-License-Identifier: BSD-2-Clause */
#include "kernel/console/log.h"
#include "kernel/cpu/setup.h"
#include "kernel/lib/wait.h"
#include "kernel/mm/paging.h"

#define START_TIMEOUT_NS NS_PER_S
#define INIT_WAIT_NS     (10 * NS_PER_MS) /* SDM 3A 9.4.4.1 */
#define SIPI_WAIT_NS     (200 * NS_PER_US)

_Noreturn void smp_ap_main(void);

static struct {
    uint64_t trampoline;
    volatile uint32_t *number; /* of the CPU that is being started */
    void (*entry)(void);
} start;

/* On the new CPU's own stack. The trampoline's mapping must not outlive its use in this CPU's TLB. */
_Noreturn void smp_ap_main(void)
{
    invlpg(start.trampoline);
    apic_init_this();
    start.entry();
    panic("smp: cpu %u came back", cpu_id());
}

/* INIT, or a start-up interrupt whose vector is the trampoline's page. */
static void send(uint32_t apic_id, uint64_t mode)
{
    uint64_t vector = mode == ICR_MODE_STARTUP ? start.trampoline >> PAGE_SHIFT : 0;

    apic_send(apic_id, FIELD_PREP(ICR_MODE, mode) | ICR_LEVEL_ASSERT | vector);
}

/* True if the CPU came up. One that did not waits for a start-up interrupt again before its number goes to the
 * next: INIT takes it back from wherever it is. */
static bool start_one(uint32_t apic_id, unsigned id)
{
    *start.number = id;
    send(apic_id, ICR_MODE_STARTUP);
    if (!wait_until(cpu_count() > id, SIPI_WAIT_NS))
        send(apic_id, ICR_MODE_STARTUP);
    if (wait_until(cpu_count() > id, START_TIMEOUT_NS))
        return true;
    send(apic_id, ICR_MODE_INIT);
    if (wait_until(cpu_count() > id, INIT_WAIT_NS)) /* in the last moment, and now it is stopped */
        panic("smp: cpu %u hangs while it starts", id);
    log_warn("smp: the processor with APIC id %u does not start", apic_id);
    return false;
}

unsigned smp_start(const struct bootinfo *bi, void (*entry)(void))
{
    const uint32_t *ids = bi->machine.cpu;
    unsigned listed = bi->machine.ncpus, n = MIN(listed, CPU_MAX), next = 1;
    hpa_t page = hpa(bi->trampoline);

    start.trampoline = page.a;
    start.number = hpa_to_ptr(hpa(page.a + BOOT_TRAMPOLINE_NUMBER));
    start.entry = entry;
    for (unsigned i = 1; i < n; i++)
        send(ids[i], ICR_MODE_INIT);
    (void)wait_until(false, INIT_WAIT_NS);
    for (unsigned i = 1; i < n; i++)
        if (start_one(ids[i], next))
            next++;
    paging_unmap_identity(page);
    if (cpu_count() < listed)
        log_warn("smp: %u of %u processors are used", cpu_count(), listed);
    return cpu_count();
}
