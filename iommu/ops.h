/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The seam between iommu.c and a back end. iommu.c owns domains, devices and their page tables, and calls a
 * back end under its one lock; the back end owns the hardware and writes nothing but what it is told to. No
 * slot is empty. Every function that changes what the hardware sees returns after the hardware has confirmed
 * it, or -ETIMEDOUT.
 */
#pragma once

#include "iommu/iommu.h"
#include "kernel/acpi/acpi.h"
#include "kernel/mm/radix.h"

#define IOMMU_DOMAIN_QUARANTINE 0 /* tag of what is in no domain */
#define IOMMU_DOMAINS           256
#define IOMMU_DEVS              256     /* out of quarantine at a time */
#define ADDR_LIMIT              BIT(52) /* no physical address is wider */

struct iommu_domain {
    const char *name;
    uint16_t id; /* tag in the hardware's caches; never IOMMU_DOMAIN_QUARANTINE */
    struct radix pt;
};

/* A requester id that is out of quarantine, or one that the hardware would not take back. */
struct iommu_dev {
    rid_t rid, alias; /* alias: what its requests may bear instead; rid again if there is none */
    unsigned slot;    /* its number among all that are out, below IOMMU_DEVS */
    unsigned unit;    /* the back end's */
    hpa_t irt;        /* the back end's: interrupt table of its own, or 0 */
    bool broken;      /* iommu.c's: the hardware did not confirm its way back; it is not used again */
    struct iommu_domain *domain;
};

/* Memory that firmware uses through a device. */
struct iommu_unity {
    iova_t start;
    uint64_t size;
    unsigned flags; /* IOMMU_R, IOMMU_W */
};

/* What an IOMMU reports about itself or a device. */
struct iommu_fault {
    const char *what; /* in the specification's words */
    bool has_dev;     /* dev, addr, write and interrupt mean something */
    bool write, interrupt;
    rid_t dev;
    iova_t addr;
};

struct iommu_ops {
    /* Finds the units, closes every id, switches on. -ENODEV: this vendor's IOMMU is not there, or lacks
     * something essential. */
    int (*init)(void);

    /* An empty page table in the hardware's format. -ENOMEM. */
    int (*pt_init)(struct radix *t);

    /* Fills in unit and alias from rid. -ENODEV if no unit translates it. */
    int (*find)(struct iommu_dev *dev);

    /* Points the id at its domain, with all interrupts blocked, or back into quarantine. open: -ENOMEM leaves
     * it in quarantine. */
    int (*open)(struct iommu_dev *dev);
    int (*close)(struct iommu_dev *dev);

    /* Drops what any unit has cached of a part of a domain's page table, at least (size 0: of all of it), and
     * waits for DMA that used it. */
    int (*flush)(const struct iommu_domain *d, iova_t start, uint64_t size);

    /* One entry of the device's interrupt table. */
    int (*irq_set)(struct iommu_dev *dev, unsigned index, uint32_t apic_id, uint8_t vector,
                   struct iommu_msi *msi);
    int (*irq_clear)(struct iommu_dev *dev, unsigned index);

    /* The i-th unity range that ACPI names for this very id, unchecked; false behind the last. */
    bool (*unity)(rid_t dev, unsigned i, struct iommu_unity *out);

    /* Takes the oldest fault that a unit holds; false if there is none. */
    bool (*next_fault)(struct iommu_fault *out);
};

/*
 * Steps through the blocks of an IVRS or a DMAR, which both begin at byte 48 and have their length in bytes 2
 * and 3: the one at *off (0: the first) is copied as far as `head` has room, and *off moves behind it. False
 * at the end, or if it is malformed.
 */
bool iommu_next_block(const struct acpi_header *h, size_t *off, void *head, size_t size,
                      const uint8_t **where);
