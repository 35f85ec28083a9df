/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The hypervisor's own files with this in place of kernel/main.c: it starts as far as the IOMMU, and then counts what mapping costs. Under QEMU's
 * -icount shift=0 a TSC tick is an instruction; the emulated unit's own work takes none.
 */
#include "iommu/iommu.h"
#include "boot/bootinfo.h"
#include "kernel/acpi/acpi.h"
#include "kernel/console/console.h"
#include "kernel/console/log.h"
#include "kernel/console/uart.h"
#include "kernel/cpu/cpu.h"
#include "kernel/cpu/time.h"
#include "kernel/cpu/x86.h"
#include "kernel/mm/frame.h"
#include "kernel/mm/paging.h"
#include "kernel/pci/pci.h"

#define FLAGS (IOMMU_R | IOMMU_W)

void hv_main(const struct bootinfo *bi);

/* What is mapped is never reached, so it need not be there; how far its address is off decides how large leaves can be. */
static const struct {
    const char *name;
    uint64_t size, off;
} leaves[] = {{"4k", PAGE_SIZE, PAGE_SIZE}, {"2m", SIZE_2M, SIZE_2M}, {"1g", SIZE_1G, 0}};

static uint64_t count_map(struct iommu_domain *d, uint64_t at, uint64_t off, uint64_t size)
{
    uint64_t start = rdtsc();

    if (iommu_map(d, iova(at), hpa(at + off), size, FLAGS) != 0)
        panic("bench: map");
    return rdtsc() - start;
}

static uint64_t count_unmap(struct iommu_domain *d, uint64_t at, uint64_t size)
{
    uint64_t start = rdtsc();

    if (iommu_unmap(d, iova(at), size) != 0)
        panic("bench: unmap");
    return rdtsc() - start;
}

/* One leaf beside one that is there already, so that no table is made; then 1 GiB of them. */
static void measure(struct iommu_domain *d, unsigned i)
{
    uint64_t at = 8 * SIZE_1G, page = leaves[i].size, off = leaves[i].off, before = frame_bytes_used(),
             tables;
    uint64_t map, unmap, map_all, unmap_all;

    (void)count_map(d, at, off, page);
    map = count_map(d, at + page, off, page);
    unmap = count_unmap(d, at + page, page);
    (void)count_unmap(d, at, page);
    map_all = count_map(d, at, off, SIZE_1G);
    tables = frame_bytes_used() - before;
    unmap_all = count_unmap(d, at, SIZE_1G);
    log_info("bench: %s map %lu unmap %lu map-gib %lu unmap-gib %lu table-bytes %lu", leaves[i].name, map,
             unmap, map_all, unmap_all, tables);
}

/* Any function will do: invalidations are for a domain that has one. */
static rid_t attach_something(struct iommu_domain *d)
{
    for (const struct pci_dev *f = pci_first(); f; f = f->next)
        if (f->is->header_type == 0 && iommu_attach(d, f->rid) == 0)
            return f->rid;
    panic("bench: no function can be attached");
}

static void measure_attach(void)
{
    struct iommu_domain *d = iommu_domain_create("attach");
    uint64_t start = rdtsc(), attached, detached;
    rid_t f = attach_something(d);

    attached = rdtsc();
    if (iommu_detach(d, f) != 0)
        panic("bench: detach");
    detached = rdtsc();
    log_info("bench: attach %lu detach %lu", attached - start, detached - attached);
}

void hv_main(const struct bootinfo *bi)
{
    uart_init(bi->config.console_port);
    time_init(bi);
    frame_init(bi);
    paging_init(bi);
    acpi_init(bi);
    if (pci_init(bi) != 0)
        panic("bench: PCI");
    if (iommu_init(&bi->machine.iommu) != 0)
        panic("bench: IOMMU");
    measure_attach();
    for (unsigned i = 0; i < ARRAY_SIZE(leaves); i++) {
        struct iommu_domain *d = iommu_domain_create(leaves[i].name);

        if (!d)
            panic("bench: no domain");
        (void)attach_something(d);
        measure(d, i);
    }
    log_info("bench: done");
    console_flush();
    acpi_power_off();
    acpi_reset();
}
