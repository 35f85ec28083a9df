/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of this back end share. iommu.c's lock is held in all of them. */
#ifndef IOMMU_AMDVI_AMDVI_H
#define IOMMU_AMDVI_AMDVI_H

#include "iommu/amdvi/regs.h"
#include "iommu/ops.h"

#define AMDVI_UNITS   16
#define AMDVI_IDS     65536u
#define AMDVI_LEVELS  4   /* of page tables: 48 bits, which every unit has */
#define AMDVI_RING    256 /* entries of the command buffer and of the event log: one frame each */
#define AMDVI_RING_LN 8

struct amdvi_unit {
    /* From the IVRS */
    uint8_t ivhd_type, ivhd_flags;
    uint16_t segment, device_id;
    hpa_t base;
    uint64_t efr;
    const uint8_t *entries; /* device entries, in the table */
    size_t entries_size;

    volatile void *mmio;
    struct amdvi_dte *devtab; /* AMDVI_IDS of them */

    /* Command buffer: `pending` commands since the last completion wait, which stores `sequence` at *done. */
    struct amdvi_cmd *cmd;
    unsigned tail, pending;
    uint64_t sequence;
    volatile uint64_t *done;
    bool stuck; /* it has not answered once: nothing it does can be confirmed any more */

    struct amdvi_event *log;
    bool overflow_told;
};

/* Tables that all units and all closed ids share. */
extern hpa_t amdvi_empty_pt, amdvi_empty_irt;
extern const struct radix_format amdvi_pt_format;

/* ivrs.c: the units of the table; how many there are. */
unsigned ivrs_units(struct amdvi_unit *units, unsigned max);
/* True if the unit translates this id; alias: the id that its requests may bear. */
bool ivrs_covers(const struct amdvi_unit *u, uint16_t id, uint16_t *alias);
bool ivrs_unity(rid_t dev, unsigned i, struct iommu_unity *out);

/* unit.c: registers, tables and rings of one unit. on: closes all ids first. */
MUST_USE int unit_setup(struct amdvi_unit *u);
MUST_USE int unit_off(struct amdvi_unit *u);
MUST_USE int unit_on(struct amdvi_unit *u);

/* devtab.c */
void devtab_close_all(struct amdvi_unit *u);
void devtab_close(struct amdvi_unit *u, rid_t id);
void devtab_open(struct amdvi_unit *u, rid_t id, const struct iommu_dev *dev);

/* cmdq.c: cmdq_add() queues, cmdq_sync() returns when all that was queued has been done. */
MUST_USE int cmdq_add(struct amdvi_unit *u, struct amdvi_cmd c);
MUST_USE int cmdq_sync(struct amdvi_unit *u);
struct amdvi_cmd cmd_invalidate_devtab(rid_t id);
struct amdvi_cmd cmd_invalidate_inttab(rid_t id);
struct amdvi_cmd cmd_invalidate_pages(uint16_t domain);

/* irtab.c */
void irte_set(hpa_t irt, unsigned index, uint32_t apic_id, uint8_t vector);
void irte_clear(hpa_t irt, unsigned index);

/* flog.c */
bool flog_next(struct amdvi_unit *u, struct iommu_fault *out);

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

#endif
