/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/check.h"

static bool check_cpu(const struct boot_facts *f, struct boot_error *err)
{
    if (f->machine.processor.virt == BOOT_VIRT_NONE)
        return error_set(err, "CPU: no hardware virtualisation, accepted: AMD SVM or Intel VMX");
    if (f->virt_locked)
        return error_set(
            err, "CPU: %s is switched off and locked by the firmware, accepted: switched on in its set-up",
            f->machine.processor.virt == BOOT_VIRT_SVM ? "SVM" : "VMX");
    if (f->cpu_lacks)
        return error_set(err, "CPU: no %s, accepted: a processor that has this", f->cpu_lacks);
    if (!f->nx)
        return error_set(
            err,
            "CPU: no NX, accepted: a processor with no-execute pages, switched on in the firmware's set-up");
    if (f->la57)
        return error_set(
            err,
            "CPU: the firmware runs with five-level paging, accepted: four levels (an option of its set-up)");
    return true;
}

static bool check_acpi(const struct boot_facts *f, struct boot_error *err)
{
    if (!f->xsdt)
        return error_set(err, "ACPI: no valid XSDT, accepted: firmware with ACPI 2.0 or later");
    return f->machine.power.pm_timer ||
           error_set(err, "ACPI: no valid FADT with a PM timer, accepted: firmware that has the timer");
}

/*
 * Guests with a device need the IOMMU; without any the machine is safe enough to go on, and the caller
 * has warned.
 */
static bool check_iommu(const struct config *cfg, const struct boot_facts *f, struct boot_error *err)
{
    if (!config_has_devices(cfg))
        return true;
    if (f->machine.iommu.kind == BOOT_IOMMU_NONE)
        return error_set(err, "IOMMU: no valid IVRS or DMAR table, accepted: AMD-Vi or VT-d, switched on in "
                              "the firmware's set-up");
    if (!f->remapping)
        return error_set(err,
                         "IOMMU: %s does not remap interrupts as needed, accepted: interrupt remapping "
                         "(with x2APIC destinations%s) switched on",
                         f->machine.iommu.kind == BOOT_IOMMU_AMDVI ? "AMD-Vi" : "VT-d",
                         f->machine.iommu.kind == BOOT_IOMMU_AMDVI
                             ? ", 128-bit entries and INVALIDATE_IOMMU_ALL"
                             : ", queued invalidation, 256 domains and no write buffer");
    if (!f->ecam)
        return error_set(err, "PCI: no valid MCFG table, accepted: memory-mapped configuration space");
    return true;
}

static bool check_nic(const struct config *cfg, const struct boot_facts *f, unsigned i,
                      struct boot_error *err)
{
    const struct boot_nic *b = &cfg->boot.nic[i];
    const struct config_nic *c = &cfg->nic[i];
    const struct nic_facts *n = &f->nic[i];

    if (!n->found && c->key_line[NIC_MAC])
        return config_error(
            cfg, err, c->key_line[NIC_MAC], "mac",
            "no NIC found that has it, accepted: the address of an Intel 82576; others are named by pf");
    if (!n->found)
        return config_error(cfg, err, c->key_line[NIC_PF], "pf",
                            "no device at %02x:%02x.%u, accepted: a NIC's PCI address", b->rid >> 8 & 0xff,
                            b->rid >> 3 & 0x1f, b->rid & 7);
    for (unsigned j = 0; j < i; j++)
        if (cfg->boot.nic[j].rid == b->rid)
            return config_error(cfg, err, c->line, "[nic]",
                                "[nic %s] and [nic %s] are one device, accepted: one section for each PF",
                                cfg->boot.nic[j].name, b->name);
    if (!b->vfs)
        return true;
    if (!n->sriov)
        return config_error(cfg, err, c->key_line[NIC_VFS], "vfs",
                            "%u VFs, but this device has no SR-IOV, accepted: 0", b->vfs);
    if (b->vfs > n->total_vfs)
        return config_error(cfg, err, c->key_line[NIC_VFS], "vfs",
                            "%u VFs, but the NIC has %u for guests, accepted: 0 to %u", b->vfs, n->total_vfs,
                            n->total_vfs);
    if (!n->vf_bars_placed)
        return config_error(cfg, err, c->key_line[NIC_VFS], "vfs",
                            "no room for the VFs' BARs: %lu KiB needed, %lu KiB free, accepted: fewer VFs",
                            (n->vf_bar_bytes * b->vfs + n->vf_bar_align) >> 10, f->mmio32_gap >> 10);
    return true;
}

/* At least one CPU of the list must exist. */
static bool check_cpus(const struct config *cfg, const struct boot_facts *f, unsigned g,
                       struct boot_error *err)
{
    uint64_t there = f->cpus >= CONFIG_CPUS ? ~(uint64_t)0 : ((uint64_t)1 << f->cpus) - 1;

    if (!f->cpus || !cfg->boot.guest[g].cpus || (cfg->boot.guest[g].cpus & there))
        return true;
    return config_error(cfg, err, cfg->guest[g].key_line[GUEST_CPUS], "cpus",
                        "none of these CPUs exists, accepted: 0 to %u", f->cpus - 1);
}

static uint64_t mib(uint64_t bytes)
{
    return (bytes + 0xfffff) >> 20;
}

/* Names the guest whose memory is the first that no longer fits. */
static bool check_memory(const struct config *cfg, const struct boot_facts *f, struct boot_error *err)
{
    uint64_t fixed = f->file_bytes + CHECK_MARGIN, left = f->usable > fixed ? f->usable - fixed : 0;

    for (unsigned g = 0; g < cfg->boot.nguests; g++) {
        uint64_t want = cfg->boot.guest[g].memory;

        if (want > left)
            return config_error(
                cfg, err, cfg->guest[g].key_line[GUEST_MEMORY], "memory",
                "%lu MiB, but %lu MiB are left of the machine's %lu MiB, accepted: at most what is left",
                mib(want), left >> 20, f->usable >> 20);
        left -= want;
    }
    return true;
}

bool check_machine(const struct config *cfg, const struct boot_facts *f, struct boot_error *err)
{
    if (!check_cpu(f, err) || !check_acpi(f, err) || !check_iommu(cfg, f, err))
        return false;
    for (unsigned i = 0; i < cfg->boot.nnics; i++)
        if (!check_nic(cfg, f, i, err))
            return false;
    if (f->refused.line)
        return config_error(cfg, err, f->refused.line, "device", "%s", f->refused.why);
    for (unsigned g = 0; g < cfg->boot.nguests; g++)
        if (!check_cpus(cfg, f, g, err))
            return false;
    return check_memory(cfg, f, err);
}
