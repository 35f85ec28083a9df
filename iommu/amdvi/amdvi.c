/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The back end's table, and the tables in memory that it writes: I/O page tables, device table, interrupt
 * remapping tables.
 *
 * The device table (section 2.2.2) has one entry for each of the 65,536 ids, none of them ever open by
 * omission. V = 0 would mean that the device reaches all memory untranslated, so V is set once and never
 * cleared, not even while an entry changes. Instead each half of an entry is replaced whole: root, mode,
 * permissions and domain id in one 16-byte store (a root under another domain's id would fill the IOTLB
 * wrongly), and all that concerns interrupts in one quadword. Either half is safe with the other one's old
 * state: the interrupt half is blocked until irq_set() fills its table, and it goes first on the way in and
 * out alike.
 */
#include "iommu/amdvi/amdvi.h"
#include "kernel/console/log.h"
#include "kernel/lib/errno.h"
#include "kernel/mm/frame.h"
#include "kernel/mm/paging.h"

#define LEVELS      4          /* of page tables: 48 bits, which every unit has */
#define MSI_ADDRESS 0xfee00000 /* destination and hint are not looked at when interrupts are remapped */

_Static_assert(IOMMU_IRQS == 1 << INT_TAB_LEN_256 && IOMMU_IRQS * sizeof(struct amdvi_irte) == PAGE_SIZE,
               "one frame");

static struct amdvi_unit units[AMDVI_UNITS];
static unsigned unit_count;
static hpa_t empty_pt, empty_irt; /* of all closed ids */

/* --- I/O page tables, version 1 (2.2.3). The specification counts levels from 1, the walker from 0. --- */

static uint64_t pt_leaf(hpa_t target, unsigned level, unsigned flags)
{
    (void)level; /* a NextLevel of 0 makes a leaf at any level */
    return PTE_PR | PTE_FC | (target.a & PTE_ADDR) | (flags & RADIX_R ? PTE_IR : 0) |
           (flags & RADIX_W ? PTE_IW : 0);
}

/* Permissions along the walk are ANDed, so tables allow everything. */
static uint64_t pt_table(hpa_t table, unsigned level)
{
    return PTE_PR | PTE_IR | PTE_IW | (table.a & PTE_ADDR) | FIELD_PREP(PTE_NEXT_LEVEL, level);
}

static bool pt_present(uint64_t entry)
{
    return entry & PTE_PR;
}

static bool pt_is_leaf(uint64_t entry, unsigned level)
{
    (void)level;
    return FIELD_GET(PTE_NEXT_LEVEL, entry) == 0;
}

static hpa_t pt_target(uint64_t entry)
{
    return hpa(entry & PTE_ADDR);
}

static unsigned pt_flags(uint64_t entry)
{
    return (entry & PTE_IR ? RADIX_R : 0) | (entry & PTE_IW ? RADIX_W : 0);
}

static const struct radix_format pt_format = {2,          pt_leaf,   pt_table, pt_present,
                                              pt_is_leaf, pt_target, pt_flags, true /* Control.Coherent */};

/* --- device table and interrupt remapping tables --- */

/*
 * Writes 16 bytes at once. The unit may read an entry at any time, and halves of two different entries make a
 * third one that nobody has asked for.
 */
static void store128(uint64_t *p, uint64_t low, uint64_t high)
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

/* INIT, NMI, ExtInt and LINT pass-through stay 0. */
static void set_dte(struct amdvi_unit *u, rid_t id, hpa_t irt, unsigned int_ctl, hpa_t root,
                    uint64_t permissions, unsigned domain)
{
    struct amdvi_dte *e = &u->devtab[id.id % AMDVI_IDS];

    __atomic_store_n(&e->q[2],
                     DTE2_IV | FIELD_PREP(DTE2_INT_TAB_LEN, INT_TAB_LEN_256) | (irt.a & DTE2_INT_TAB_ROOT) |
                         FIELD_PREP(DTE2_INT_CTL, int_ctl),
                     __ATOMIC_RELEASE);
    store128(e->q, DTE0_V | DTE0_TV | FIELD_PREP(DTE0_MODE, LEVELS) | (root.a & DTE0_ROOT) | permissions,
             FIELD_PREP(DTE1_DOMAIN, domain));
}

static void close_id(struct amdvi_unit *u, rid_t id)
{
    set_dte(u, id, empty_irt, INT_CTL_ABORT, empty_pt, 0, IOMMU_DOMAIN_QUARANTINE);
}

static void open_id(struct amdvi_unit *u, rid_t id, const struct iommu_dev *dev)
{
    set_dte(u, id, dev->irt, INT_CTL_REMAP, dev->domain->pt.root, DTE0_IR | DTE0_IW, dev->domain->id);
}

static uint64_t *irte(const struct iommu_dev *dev, unsigned index)
{
    return ((struct amdvi_irte *)hpa_to_ptr(dev->irt))[index].q;
}

/* --- the operations --- */

static int amdvi_init(void)
{
    int rc = 0;

    unit_count = ivrs_units(units, AMDVI_UNITS);
    if (!unit_count)
        return -ENODEV;
    empty_pt = frame_alloc(FRAME_ORDER_4K);
    empty_irt = frame_alloc(FRAME_ORDER_4K);
    if (!empty_pt.a || !empty_irt.a)
        return -ENOMEM;
    for (unsigned i = 0; i < unit_count && !rc; i++) {
        rc = unit_setup(&units[i]);
        for (uint32_t id = 0; id < AMDVI_IDS && !rc; id++)
            close_id(&units[i], (rid_t){id});
        if (!rc)
            rc = unit_on(&units[i]);
    }
    if (!rc)
        log_info("AMD-Vi: %u unit%s, every device closed", unit_count, unit_count == 1 ? "" : "s");
    return rc;
}

static int amdvi_find(struct iommu_dev *dev)
{
    uint16_t alias;

    for (unsigned i = 0; i < unit_count; i++) {
        if (units[i].segment != dev->rid.id >> 16 || !ivrs_covers(&units[i], (uint16_t)dev->rid.id, &alias))
            continue;
        dev->unit = i;
        dev->alias = (rid_t){(dev->rid.id & ~(uint32_t)UINT16_MAX) | alias};
        return 0;
    }
    return -ENODEV;
}

/* All of a domain: mappings change when guests come and go, never on the data path, and large flushes are
 * simple ones (2.4.3). */
static void invalidate_pages(struct amdvi_unit *u, const struct iommu_domain *d)
{
    unit_command(u, CMD_INVALIDATE_PAGES, FIELD_PREP(CMD_DOMAIN_ID, d->id),
                 CMD_PAGES_ALL | CMD_PAGES_S | CMD_PAGES_PDE);
}

/* What the unit has cached of a device's ids, and the completion. */
static int invalidate_dev(const struct iommu_dev *dev)
{
    const rid_t ids[] = {dev->rid, dev->alias};

    for (unsigned i = 0; i < ARRAY_SIZE(ids); i++) {
        unit_command(&units[dev->unit], CMD_INVALIDATE_DEVTAB, FIELD_PREP(CMD_DEVICE_ID, ids[i].id), 0);
        unit_command(&units[dev->unit], CMD_INVALIDATE_INTTAB, FIELD_PREP(CMD_DEVICE_ID, ids[i].id), 0);
    }
    return unit_sync(&units[dev->unit]);
}

static int amdvi_open(struct iommu_dev *dev)
{
    dev->irt = frame_alloc(FRAME_ORDER_4K);
    if (!dev->irt.a)
        return -ENOMEM;
    open_id(&units[dev->unit], dev->rid, dev);
    open_id(&units[dev->unit], dev->alias, dev);
    return invalidate_dev(dev);
}

/* The table of interrupts is freed only when no unit can be reading it. DMA is drained by the flush of the
 * domain's pages. */
static int amdvi_close(struct iommu_dev *dev)
{
    struct amdvi_unit *u = &units[dev->unit];
    int rc;

    close_id(u, dev->rid);
    close_id(u, dev->alias);
    invalidate_pages(u, dev->domain);
    rc = invalidate_dev(dev);
    if (!rc && dev->irt.a)
        frame_free(dev->irt, FRAME_ORDER_4K);
    return rc;
}

static int amdvi_flush(const struct iommu_domain *d)
{
    int rc = 0;

    for (unsigned i = 0; i < unit_count && !rc; i++) {
        invalidate_pages(&units[i], d);
        rc = unit_sync(&units[i]);
    }
    return rc;
}

/* Fixed, edge-triggered, to one physical destination: IntType, RqEoi and DM are 0 (2.2.5.3). */
static int amdvi_irq_set(struct iommu_dev *dev, unsigned index, uint32_t apic_id, uint8_t vector,
                         struct iommu_msi *msi)
{
    store128(irte(dev, index), IRTE0_REMAP_EN | FIELD_PREP(IRTE0_DEST_LO, FIELD_GET(DEST_LO, apic_id)),
             FIELD_PREP(IRTE1_VECTOR, vector) | FIELD_PREP(IRTE1_DEST_HI, FIELD_GET(DEST_HI, apic_id)));
    *msi = (struct iommu_msi){MSI_ADDRESS, index}; /* 2.2.5.1: data bits 10:0 are the index */
    return invalidate_dev(dev);
}

/* RemapEn = 0: the interrupt is target-aborted. */
static int amdvi_irq_clear(struct iommu_dev *dev, unsigned index)
{
    store128(irte(dev, index), 0, 0);
    return invalidate_dev(dev);
}

static bool amdvi_next_fault(struct iommu_fault *out)
{
    for (unsigned i = 0; i < unit_count; i++)
        if (unit_next_fault(&units[i], out))
            return true;
    return false;
}

const struct iommu_ops amdvi_ops = {
    .pt_format = &pt_format,
    .pt_levels = LEVELS,
    .init = amdvi_init,
    .find = amdvi_find,
    .open = amdvi_open,
    .close = amdvi_close,
    .flush = amdvi_flush,
    .irq_set = amdvi_irq_set,
    .irq_clear = amdvi_irq_clear,
    .unity = ivrs_unity,
    .next_fault = amdvi_next_fault,
};
