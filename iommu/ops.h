/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The seam between iommu.c and a back end. iommu.c owns domains, devices and their page tables, and calls a
 * back end under its one lock; the back end owns the hardware and writes nothing but what it is told to. No
 * slot is empty. Every function that changes what the hardware sees returns after the hardware has confirmed
 * it, or -ETIMEDOUT.
 */
#pragma once

#include "boot/bootinfo.h"
#include "iommu/fault.h"
#include "iommu/iommu.h"
#include "kernel/mm/frame.h"
#include "kernel/mm/paging.h"
#include "kernel/mm/radix.h"

#define IOMMU_DOMAIN_QUARANTINE 0 /* tag of what is in no domain */
#define IOMMU_DOMAINS           256
#define IOMMU_DEVS              256 /* out of quarantine at a time */

struct iommu_domain {
    const char *name;
    uint16_t id; /* tag in the hardware's caches; never IOMMU_DOMAIN_QUARANTINE */
    struct radix pt;
};

/* A requester id that is out of quarantine, or one that the hardware would not take back. */
struct iommu_dev {
    rid_t rid, alias; /* alias: what its requests may bear instead; rid again if there is none */
    unsigned slot;    /* its number among all that are out, below IOMMU_DEVS */
    unsigned unit;    /* the number of the one that translates it */
    hpa_t irt;        /* the back end's: interrupt table of its own, or 0 */
    bool broken;      /* iommu.c's: the hardware did not confirm its way back; it is not used again */
    struct iommu_domain *domain;
};

struct iommu_ops {
    const char *name;

    /* Closes every id of all units and switches them on. -ENODEV: one of them lacks something essential. */
    int (*init)(const struct boot_unit *unit, unsigned count);

    /* An empty page table in the hardware's format. -ENOMEM. */
    int (*pt_init)(struct radix *t);

    /* Points the id at its domain, with all interrupts blocked, or back into quarantine. open: -ENOMEM leaves
     * it in quarantine. */
    int (*open)(struct iommu_dev *dev);
    int (*close)(struct iommu_dev *dev);

    /* Drops what the unit has cached of a part of a domain's page table, at least (size 0: of all of it), and
     * waits for DMA that used it. */
    int (*flush)(unsigned unit, const struct iommu_domain *d, iova_t start, uint64_t size);

    /* One entry of the device's interrupt table. */
    int (*irq_set)(struct iommu_dev *dev, unsigned index, uint32_t apic_id, uint8_t vector,
                   struct iommu_msi *msi);
    int (*irq_clear)(struct iommu_dev *dev, unsigned index);

    /* Takes the oldest fault that the unit holds; false if there is none. */
    bool (*next_fault)(unsigned unit, struct iommu_fault *out);
};
