/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of this back end share. iommu.c's lock is held in all of them. */
#pragma once

#include "iommu/ops.h"
#include "iommu/vtd/regs.h"

#define VTD_IDS   65536u
#define VTD_IRTES 65536u
#define VTD_RING  256 /* entries of the invalidation queue: one frame */

struct vtd_unit {
    const struct boot_unit *is;
    volatile void *mmio;
    uint64_t cap, ecap;
    struct vtd_entry *root, *context, *irt; /* VTD_IDS of context, by requester id; VTD_IRTES of irt */

    /* Invalidation queue: a wait stores `sequence` at *done. */
    struct vtd_entry *queue;
    unsigned tail;
    uint32_t sequence;
    volatile uint32_t *done;
    bool stuck; /* it has not answered once: nothing it does can be confirmed any more */

    unsigned next_fault;  /* fault records are written in turn */
    uint64_t quiet_until; /* no fault event before, or 0: they are on */
};

/* What all units have (the registers' single-bit fields), and so the page tables, which they share. */
extern uint64_t vtd_cap, vtd_ecap;

/* unit.c: maps a unit and allocates its tables, all of them closed; switches it on. */
MUST_USE int vtd_unit_setup(struct vtd_unit *u);
MUST_USE int vtd_unit_on(struct vtd_unit *u);

/*
 * invq.c: queues a descriptor. Nothing is known of it until invq_sync() has returned 0, when all that was
 * queued has been done; -ETIMEDOUT from then on if it ever was not.
 */
void invq_command(struct vtd_unit *u, uint64_t q0, uint64_t q1);
MUST_USE int invq_sync(struct vtd_unit *u);

/* ctxtab.c: an id's entry, closed or into the domain of a device. vtd.c invalidates afterwards. */
void ctxtab_close(struct vtd_unit *u, rid_t id);
void ctxtab_open(struct vtd_unit *u, rid_t id, const struct iommu_domain *d);

/* pt.c */
MUST_USE int vtd_pt_init(struct radix *t);

/* irtab.c: an entry of a device's. vtd.c invalidates afterwards. */
#define IRTAB_INDEX(dev, index) ((dev)->slot * IOMMU_IRQS + (index))
void vtd_irtab_set(struct vtd_unit *u, const struct iommu_dev *dev, unsigned index, uint32_t apic_id,
                   uint8_t vector, struct iommu_msi *msi);
void vtd_irtab_clear(struct vtd_unit *u, const struct iommu_dev *dev, unsigned index);

/* flog.c: has the unit report faults; takes the oldest one. */
MUST_USE int vtd_flog_on(struct vtd_unit *u);
bool vtd_flog_next(struct vtd_unit *u, struct iommu_fault *out);

/* vtd.c: what was written to a table is where the units see it; writes half of an entry so. */
void vtd_written(const void *p, size_t size);
void vtd_store(uint64_t *p, uint64_t v);
