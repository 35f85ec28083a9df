/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which device reaches which memory, and which interrupts it raises. The contract of both back ends; iommu.c
 * is their only caller.
 *
 * Invariant: from iommu_init() on every requester id belongs to exactly one domain. Those that nobody owns
 * are in quarantine: an empty page table, no interrupt. All functions take their own lock and return after
 * the hardware has confirmed the change (bounded wait, -ETIMEDOUT: the device must be treated as broken).
 */
#pragma once

#include "kernel/lib/types.h"

struct boot_iommu;
struct iommu_domain; /* one I/O address space */

/*
 * Takes note of what boot/ has read in ACPI, which stays where it is; closes every requester id, switches translation and
 * interrupt remapping on. 0 with a warning on a machine that has no units of use: then there are no domains, and so no function
 * can be given away. Others: hardware that does not answer, no memory.
 */
MUST_USE int iommu_init(const struct boot_iommu *machine);

/* A domain that maps nothing, or NULL without memory, domain ids or (logged) units. `name` (for fault records) must outlive
 * it. */
MUST_USE struct iommu_domain *iommu_domain_create(const char *name);

/* Frees it. -EBUSY while a device is attached. */
MUST_USE int iommu_domain_destroy(struct iommu_domain *d);

/* Maps [start, start + size) to [target, ...) with IOMMU_R | IOMMU_W; page-aligned. -EINVAL, -ENOMEM,
 * -ETIMEDOUT. */
#define IOMMU_R 0x1u
#define IOMMU_W 0x2u
MUST_USE int iommu_map(struct iommu_domain *d, iova_t start, hpa_t target, uint64_t size, unsigned flags);

/* When it returns 0, no DMA through the old mapping is in flight any more. */
MUST_USE int iommu_unmap(struct iommu_domain *d, iova_t start, uint64_t size);

/*
 * Moves a requester id from quarantine into a domain, or back. attach: -EBUSY if it (or an id that ACPI
 * names as its alias) is in a domain already, or if its unity ranges are taken
 * by other memory of the domain; -ENODEV if no unit translates it. detach: -ENODEV if it is not
 * in `d`. The unity ranges that ACPI names for this very id are mapped at attach. detach drains the device's
 * DMA and leaves its interrupts blocked.
 */
MUST_USE int iommu_attach(struct iommu_domain *d, rid_t dev);
MUST_USE int iommu_detach(struct iommu_domain *d, rid_t dev);

/* Devices that are out of quarantine. */
unsigned iommu_device_count(void);

/*
 * Interrupts. A device has up to IOMMU_IRQS entries of its own, index 0 up; each is either blocked or
 * delivers one fixed, edge interrupt `vector` to the CPU with x2APIC id `apic_id`. iommu_irq_route() fills in
 * what must be written to the device's MSI(-X) entry so that it uses its entry `index`: the same address for all
 * of them, and the index as data, whose low bits a device with several MSI vectors puts in itself.
 */
#define IOMMU_IRQS 256

struct iommu_msi {
    uint64_t address;
    uint32_t data;
};

MUST_USE int iommu_irq_route(rid_t dev, unsigned index, uint32_t apic_id, uint8_t vector,
                             struct iommu_msi *msi);
MUST_USE int iommu_irq_block(rid_t dev, unsigned index);

/*
 * Takes what the units have recorded and hands it to iommu/fault.h, a bounded amount a call. For a timer; any CPU,
 * no lock held.
 */
void iommu_poll_faults(void);
