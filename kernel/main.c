/* SPDX-License-Identifier: BSD-2-Clause */
/* The hypervisor's start, one line a step; the only file of kernel/ that looks up at iommu/ and vm/. */
#include "boot/bootinfo.h"
#include "iommu/iommu.h"
#include "kernel/acpi/acpi.h"
#include "kernel/console/console.h"
#include "kernel/console/log.h"
#include "kernel/console/uart.h"
#include "kernel/cpu/cpu.h"
#include "kernel/cpu/time.h"
#include "kernel/mm/frame.h"
#include "kernel/mm/paging.h"
#include "kernel/pci/pci.h"
#include "vm/assign/assign.h"
#include "vm/hvm.h"
#include "vm/operator.h"
#include "vm/sched.h"
#include "vm/setup.h"

#define FAULT_POLL_NS (100 * NS_PER_MS)

void hv_main(const struct bootinfo *bi);

static void poll_faults(struct timer *t)
{
    iommu_poll_faults();
    assign_poll();
    timer_arm(t, time_ns() + FAULT_POLL_NS);
}

static struct timer fault_timer;

/* Every other processor, from smp_start(). */
static void cpu_main(void)
{
    if (hvm->cpu_on() != 0)
        panic("CPU %u: virtualisation cannot be switched on", cpu_id());
    sched_loop();
}

void hv_main(const struct bootinfo *bi)
{
    if (bi->magic != BOOTINFO_MAGIC || bi->version != BOOTINFO_VERSION || bi->size != sizeof(*bi))
        panic("hv.elf and BOOTX64.EFI are of different versions: install both from one build");

    uart_init(bi->config.console_port); /* from here on, failures can be seen */
    log_set_level((enum log_level)bi->config.loglevel);
    time_init(bi);         /* what boot/ measured, and the firmware's clock */
    frame_init(bi);        /* all RAM that the firmware left free */
    paging_init(bi);       /* the tables that boot/ has built: W^X, guard pages */
    apic_init_boot();      /* this CPU's local APIC */
    acpi_init(bi);         /* ports for power-off and reset */
    if (pci_init(bi) != 0) /* boot's list of functions */
        panic("PCI: no memory for configuration space");
    if (iommu_init(&bi->machine.iommu) != 0) /* every requester id closed */
        panic("IOMMU: no unit can be used; nothing can be isolated");
    hvm_init(&bi->machine.processor); /* the CPU's back end */
    if (hvm->cpu_on() != 0)
        panic("CPU: hardware virtualisation cannot be used");
    sched_init();                                 /* run queues */
    log_info("%u CPUs", smp_start(bi, cpu_main)); /* the others wait for work */
    operator_init();                              /* the command line */
    setup_init(bi);                               /* VFs, I/O domain, guests */
    timer_init(&fault_timer, poll_faults);        /* DMA faults into the log */
    timer_arm(&fault_timer, time_ns() + FAULT_POLL_NS);
    console_start_input(); /* the operator's keys */
    sched_loop();          /* to work */
}
