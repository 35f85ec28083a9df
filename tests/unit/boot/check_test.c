/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/test.h"

#include "tests/unit/fake/inih.c"

#include "boot/check.c"
#include "boot/config.c"
#include "boot/config_keys.c"
#include "boot/text.c"

#define MIB ((uint64_t)1 << 20)

static struct config cfg;
static struct boot_facts facts;
static struct boot_error err;

static const char text[] = "[nic lan0]\npf = 00:05.0\nvfs = 4\n"
                           "[nic lan1]\nmac = 02:00:00:00:00:01\n"
                           "[guest a]\nkernel = k\nmemory = 256M\ncpus = 1-3\n"
                           "[guest b]\nkernel = k\nmemory = 64M\n";

/* A machine that fits the text above to the byte. */
static void good(void)
{
    CHECK(config_parse(&cfg, "t.cfg", text, strlen(text), &err));
    cfg.boot.nic[1].rid = 0x30;
    facts = (struct boot_facts){
        .machine.processor.virt = BOOT_VIRT_SVM,
        .nx = true,
        .cpus = 4,
        .machine.iommu.kind = BOOT_IOMMU_AMDVI,
        .remapping = true,
        .ecam = true,
        .xsdt = true,
        .machine.power.pm_timer = 0x608,
        .usable = 320 * MIB + CHECK_MARGIN + 5 * MIB,
        .file_bytes = 5 * MIB,
        .nic = {{.found = true, .sriov = true, .total_vfs = 4, .vf_bars_placed = true}, {.found = true}},
    };
}

#define REFUSED(line, ...)                                                                                   \
    do {                                                                                                     \
        good();                                                                                              \
        __VA_ARGS__;                                                                                         \
        CHECK(!check_machine(&cfg, &facts, &err));                                                           \
        CHECK(strncmp(err.text, line, strlen(line)) == 0);                                                   \
        CHECK(strstr(err.text, "accepted: ") != NULL);                                                       \
    } while (0)

#define TAKEN(...)                                                                                           \
    do {                                                                                                     \
        good();                                                                                              \
        __VA_ARGS__;                                                                                         \
        CHECK(check_machine(&cfg, &facts, &err));                                                            \
    } while (0)

TEST(a_machine_that_fits)
{
    TAKEN((void)0);
    TAKEN(facts.machine.processor.virt = BOOT_VIRT_VMX; facts.machine.iommu.kind = BOOT_IOMMU_VTD);
}

TEST(processor)
{
    REFUSED("CPU: no hardware virtualisation", facts.machine.processor.virt = BOOT_VIRT_NONE);
    REFUSED("CPU: SVM is switched off", facts.virt_locked = true);
    REFUSED("CPU: VMX is switched off", facts.machine.processor.virt = BOOT_VIRT_VMX; facts.virt_locked = true);
    REFUSED("CPU: no nested paging", facts.cpu_lacks = "nested paging");
    REFUSED("CPU: no NX", facts.nx = false);
    REFUSED("CPU: the firmware runs with five-level paging", facts.la57 = true);
}

TEST(root_of_the_tables)
{
    REFUSED("ACPI: no valid XSDT", facts.xsdt = false);
    REFUSED("ACPI: no valid XSDT", facts.xsdt = false; cfg.boot.nnics = 0);
}

TEST(clock_to_measure_the_tsc_against)
{
    REFUSED("ACPI: no valid FADT with a PM timer", facts.machine.power.pm_timer = 0);
}

TEST(iommu)
{
    REFUSED("IOMMU: no valid IVRS or DMAR table", facts.machine.iommu.kind = BOOT_IOMMU_NONE);
    REFUSED("IOMMU: AMD-Vi does not remap interrupts", facts.remapping = false);
    REFUSED("IOMMU: VT-d does not remap interrupts", facts.machine.iommu.kind = BOOT_IOMMU_VTD;
            facts.remapping = false);
    REFUSED("PCI: no valid MCFG table", facts.ecam = false);
    TAKEN(facts.machine.iommu.kind = BOOT_IOMMU_NONE; facts.ecam = false; cfg.boot.nnics = 0);
    REFUSED("IOMMU: no valid IVRS or DMAR", facts.machine.iommu.kind = BOOT_IOMMU_NONE; cfg.boot.nnics = 0;
            cfg.boot.guest[1].nfunctions = 1);
}

TEST(nics)
{
    REFUSED("t.cfg:2: pf: no device at 00:05.0", facts.nic[0].found = false);
    REFUSED("t.cfg:5: mac: no NIC found that has it", facts.nic[1].found = false);
    REFUSED("t.cfg:4: [nic]: [nic lan0] and [nic lan1] are one device", cfg.boot.nic[1].rid = 0x28);
    REFUSED("t.cfg:3: vfs: 4 VFs, but this device has no SR-IOV", facts.nic[0].sriov = false);
    REFUSED("t.cfg:3: vfs: 4 VFs, but the NIC has 3 for guests, accepted: 0 to 3",
            facts.nic[0].total_vfs = 3);
    TAKEN(facts.nic[0].sriov = false; cfg.boot.nic[0].vfs = 0);
}

TEST(room_for_vf_bars)
{
    struct nic_facts unplaced = {true, true, 8, false, 32 << 10, 16 << 10};

    REFUSED("t.cfg:3: vfs: no room for the VFs' BARs: 144 KiB needed, 143 KiB free", facts.nic[0] = unplaced;
            facts.mmio32_gap = 143 << 10);
    TAKEN(facts.nic[0] = unplaced; facts.nic[0].vf_bars_placed = true; facts.mmio32_gap = 0);
}

TEST(processors_of_a_guest)
{
    REFUSED("t.cfg:9: cpus: none of these CPUs exists, accepted: 0 to 0", facts.cpus = 1);
    TAKEN(facts.cpus = 2);
    TAKEN(facts.cpus = 0);
    TAKEN(facts.cpus = 200);
}

TEST(memory)
{
    REFUSED("t.cfg:12: memory: 64 MiB, but 63 MiB are left of the machine's 372 MiB", facts.usable -= MIB);
    REFUSED("t.cfg:8: memory: 256 MiB, but 0 MiB are left", facts.usable = MIB);
    REFUSED("t.cfg:12: memory: 64 MiB, but 63 MiB", facts.file_bytes += 4096);
}

TEST(whole_functions)
{
    REFUSED("t.cfg:9: device: it must not be, accepted: another", facts.refused.line = 9;
            strcpy(facts.refused.why, "it must not be, accepted: another"));
}

TEST_MAIN()
