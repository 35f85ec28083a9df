/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/machine.h"
#include "boot/cpu.h"
#include "boot/enumerate.h"
#include "boot/firmware.h"
#include "boot/function.h"
#include "boot/iommu.h"
#include "boot/memmap.h"
#include "boot/pci.h"
#include "boot/place.h"
#include "boot/shown.h"
#include "kernel/lib/types.h"
#include <string.h>

static const EFI_GUID acpi20 = ACPI_20_TABLE_GUID;

static void warn(const char *line)
{
    fw_print("lastmile: warning: %s\n", line);
}

/*
 * The memory map as it is now, in pages that go back to the firmware only at the end; NULL if memory is
 * short.
 */
static struct boot_mem *read_memory(size_t *n)
{
    struct fw_map map = {0};
    struct boot_mem *mem;
    uint64_t *edges;
    size_t room;

    fw_memory_map(&map); /* says how large it is */
    if (!map.stride)
        return NULL;
    room = map.bytes / map.stride + 32;
    map.bytes = room * map.stride;
    map.map = fw_pages(map.bytes, PAGE_SIZE);
    mem = fw_pages(2 * room * sizeof(*mem), PAGE_SIZE);
    edges = fw_pages(2 * room * sizeof(*edges), PAGE_SIZE);
    if (!map.map || !mem || !edges || !fw_memory_map(&map))
        return NULL;
    *n = memmap_convert(map.map, map.bytes / map.stride, map.stride, mem, 2 * room, edges);
    return *n ? mem : NULL;
}

static struct acpi_facts acpi;

static void look_at_devices(struct boot_facts *f, struct config *cfg, const struct boot_mem *mem, size_t nmem)
{
    uint32_t booted_from = fw_boot_function();
    EFI_TPL tpl;

    for (unsigned i = 0; i < cfg->boot.nnics; i++) {
        if (cfg->nic[i].key_line[NIC_MAC] && !pci_find_mac(&acpi, cfg->nic[i].mac, &cfg->boot.nic[i].rid))
            continue;
        pci_nic_facts(&acpi, cfg->boot.nic[i].rid, &f->nic[i]);
    }
    if (!config_has_devices(cfg))
        return;
    tpl =
        fw->BootServices->RaiseTPL(TPL_HIGH_LEVEL); /* no driver of the firmware runs while BARs are sized */
    f->mmio32_gap = pci_place_vfs(&acpi, mem, nmem, &cfg->boot, f->nic);
    function_look(&acpi, cfg, booted_from, &f->refused);
    fw->BootServices->RestoreTPL(tpl);
}

void machine_isolate(void)
{
    if (acpi.machine.iommu.kind != BOOT_IOMMU_NONE)
        function_isolate(&acpi);
}

static void wait_ms(unsigned ms)
{
    fw->BootServices->Stall(ms * 1000);
}

static bool show_functions(struct bootinfo *info, struct boot_pci *list, struct boot_error *err)
{
    struct boot_shown *shown = fw_pages(info->function_count * sizeof(*shown), PAGE_SIZE);

    if (!shown)
        return error_set(err, "memory: no room for what guests see of PCI functions");
    for (uint64_t i = 0; i < info->function_count; i++)
        if (list[i].header_type == 0 && !shown_fill(&list[i], &shown[i]))
            fw_print("lastmile: warning: PCI: %02x:%02x.%x: its MSI-X table is outside of its BARs: it is "
                     "shown without\n",
                     list[i].rid >> 8, list[i].rid >> 3 & 0x1f, list[i].rid & 7);
    info->shown = (uint64_t)shown;
    return true;
}

bool machine_functions(struct bootinfo *info, struct boot_error *err)
{
    const struct enable e = {(const struct boot_mem *)info->mem, info->mem_count, warn, wait_ms};
    struct boot_pci *list = fw_pages(BOOT_FUNCTIONS_MAX * sizeof(*list), PAGE_SIZE);
    EFI_TPL tpl;

    if (!list)
        return error_set(err, "memory: no room for the list of PCI functions");
    tpl = fw->BootServices->RaiseTPL(TPL_HIGH_LEVEL);
    info->functions = (uint64_t)list;
    info->function_count = enumerate(&acpi.machine, list, BOOT_FUNCTIONS_MAX);
    fw->BootServices->RestoreTPL(tpl);
    if (!info->function_count)
        return error_set(err,
                         "PCI: the machine has no functions, or more than %u, accepted: at most that many",
                         BOOT_FUNCTIONS_MAX);
    enumerate_stop_vfs(wait_ms);
    info->function_count = enumerate_enable_vfs(&info->config, &e);
    enumerate_resets(&info->config);
    place_functions(&info->machine.iommu, list, info->function_count);
    return show_functions(info, list, err);
}

bool machine_look(struct boot_facts *f, struct config *cfg, struct boot_error *err)
{
    struct boot_mem *mem;
    size_t nmem;

    mem = read_memory(&nmem);
    if (!mem)
        return error_set(err, "memory: the firmware's memory map cannot be read");
    f->usable = memmap_usable(mem, nmem);
    acpi_read(&acpi, (uint64_t)fw_table(&acpi20), cpu_apic_id(), mem, nmem, warn);
    iommu_read(&acpi, mem, nmem, warn);
    f->machine = acpi.machine;
    cpu_look(f);
    f->cpus = acpi.machine.ncpus;
    f->remapping = acpi.remapping && place_units_of_use(&acpi.machine.iommu);
    f->ecam = acpi.machine.necam != 0;
    f->xsdt = acpi.xsdt;
    if (!f->remapping && !config_has_devices(cfg)) {
        f->machine.iommu.kind = BOOT_IOMMU_NONE;
        warn("no IOMMU: no device can be given to a guest, and devices' DMA is not held back");
    }
    look_at_devices(f, cfg, mem, nmem);
    return true;
}
