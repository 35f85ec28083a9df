/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of this back end share. iommu.c's lock is held in all of them. */
#pragma once

#include "iommu/amdvi/regs.h"
#include "iommu/ops.h"

#define AMDVI_IDS     65536u
#define AMDVI_RING    256 /* entries of the command buffer and of the event log: one frame each */
#define AMDVI_RING_LN 8
#define AMDVI_LEVELS  4 /* of page tables: 48 bits, which every unit has */

struct amdvi_unit {
    const struct boot_unit *is;
    volatile void *mmio;
    struct amdvi_dte *devtab; /* AMDVI_IDS of them */

    /* Command buffer: `pending` commands since the last completion wait, which stores `sequence` at *done. */
    struct amdvi_entry *cmd;
    unsigned tail, pending;
    uint64_t sequence;
    volatile uint64_t *done;
    bool stuck; /* it has not answered once: nothing it does can be confirmed any more */

    struct amdvi_entry *log;
};

/* unit.c: maps a unit and allocates its tables; switches it on with the device table as it is. */
MUST_USE int amdvi_unit_setup(struct amdvi_unit *u);
MUST_USE int amdvi_unit_on(struct amdvi_unit *u);

/*
 * cmdq.c: queues a command, whose opcode is not in `q0` yet. Nothing is known of it until cmdq_sync() has
 * returned 0, when all that was queued has been done; -ETIMEDOUT from then on if it ever was not.
 */
void cmdq_command(struct amdvi_unit *u, unsigned opcode, uint64_t q0, uint64_t q1);
MUST_USE int cmdq_sync(struct amdvi_unit *u);

/* devtab.c: an id's entry, closed or into the domain of a device. amdvi.c invalidates afterwards. */
extern hpa_t amdvi_empty_pt, amdvi_empty_irt; /* of all closed ids */
void devtab_close(struct amdvi_unit *u, rid_t id);
void devtab_open(struct amdvi_unit *u, rid_t id, const struct iommu_dev *dev);

/* pt.c */
MUST_USE int amdvi_pt_init(struct radix *t);

/* irtab.c: an entry of a device's table. amdvi.c invalidates afterwards. */
void amdvi_irtab_set(const struct iommu_dev *dev, unsigned index, uint32_t apic_id, uint8_t vector,
                     struct iommu_msi *msi);
void amdvi_irtab_clear(const struct iommu_dev *dev, unsigned index);

/* flog.c: takes the oldest entry of the event log. */
bool amdvi_flog_next(struct amdvi_unit *u, struct iommu_fault *out);

/*
 * Writes 16 bytes at once. The unit may read an entry at any time, and halves of two different entries make a
 * third one that nobody has asked for.
 */
static inline void store128(uint64_t *p, uint64_t low, uint64_t high)
{
    typedef struct {
        uint64_t q[2];
    } pair_t;
    uint64_t old_low = p[0], old_high = p[1];
    bool done;

    do
        __asm__ volatile("lock cmpxchg16b %1"
                         : "=@ccz"(done), "+m"(*(pair_t *)p), "+a"(old_low), "+d"(old_high)
                         : "b"(low), "c"(high));
    while (!done);
}
