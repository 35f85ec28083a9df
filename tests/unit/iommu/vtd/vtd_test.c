/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VT-d against a model of two units. It caches context entries, translations and interrupt entries, present or
 * not, until the descriptor for it comes.
 */
#include "tests/unit/iommu/model.h"

static uint32_t mmio_read32(volatile void *base, reg32_t r);
static void mmio_write32(volatile void *base, reg32_t r, uint32_t v);

#include "kernel/mm/heap.c"
#include "tests/unit/fake/cpu.c"
#include "tests/unit/fake/frame.c"
#include "tests/unit/fake/irq.c"
#include "tests/unit/fake/log.c"
#include "tests/unit/fake/paging.c"
#include "tests/unit/fake/pci.c"
#include "tests/unit/fake/strlcpy.c"

#include "boot/place.c"

#include "kernel/mm/radix.c"

#include "iommu/vtd/ctxtab.c"
#include "iommu/vtd/flog.c"
#include "iommu/vtd/invq.c"
#include "iommu/vtd/irtab.c"
#include "iommu/vtd/pt.c"
#include "iommu/vtd/unit.c"

#include "iommu/fault.c"
#include "iommu/iommu.c"
#include "iommu/vtd/vtd.c"

#include "tests/unit/iommu/contract.h"

const struct iommu_ops amdvi_ops; /* not there */

#define RECORDS    8
#define RECORDS_AT 0x220u
#define BASE_0     0xfed90000u
#define BASE_1     0xfed91000u

static const reg64_t IQH = {0x80}; /* RO */

#define G_ONCE (G_SRTP | G_SIRTP)
#define CAP_DEFAULT                                                                                          \
    (6 | CAP_SAGAW_39 | CAP_SAGAW_48 | FIELD_PREP(CAP_FRO, RECORDS_AT / 16) | CAP_SLLPS_2M | CAP_SLLPS_1G |  \
     CAP_PSI | FIELD_PREP(CAP_NFR, RECORDS - 1) | FIELD_PREP(CAP_MAMV, 18) | CAP_DWD | CAP_DRD)
#define ECAP_DEFAULT (ECAP_C | ECAP_SC)

struct cached_context {
    bool used;
    struct vtd_entry e;
};

struct model {
    uint8_t mmio[VTD_MMIO_SIZE];
    uint64_t root, irta; /* as they were when the command came */
    struct cached_context context[VTD_IDS];
    struct page_cache pages;
    struct irte_cache irtes; /* by handle */
    unsigned next_record, bad;
    bool clean_context, clean_pages, clean_irtes; /* since the tables were set */
    unsigned invalidated[4];                      /* IOTLB, by granularity */
};

static struct model model[MODELS];

static uint64_t reg(struct model *m, uint32_t off)
{
    uint64_t v;

    memcpy(&v, m->mmio + off, 8);
    return v;
}

static uint32_t reg32(struct model *m, uint32_t off)
{
    uint32_t v;

    memcpy(&v, m->mmio + off, 4);
    return v;
}

static void set_reg(struct model *m, uint32_t off, uint64_t v)
{
    memcpy(m->mmio + off, &v, 8);
}

static void set_reg32(struct model *m, uint32_t off, uint32_t v)
{
    memcpy(m->mmio + off, &v, 4);
}

static struct model *model_at(volatile void *base)
{
    return base == model[0].mmio ? &model[0] : &model[1];
}

/* 9.1: the root entry of the bus, then the device's in its table. */
static struct vtd_entry context_entry(struct model *m, uint32_t id)
{
    const struct vtd_entry *r = (const struct vtd_entry *)at(m->root) + (id >> 8 & 0xff);
    struct vtd_entry none = {{0, 0}};

    CHECK(!(r->q[0] & 0xffe) && !r->q[1]);
    return r->q[0] & ROOT_P ? ((const struct vtd_entry *)at(r->q[0] & CTX0_ROOT))[id & 0xff] : none;
}

static void invalidate_iotlb(struct model *m, const struct vtd_entry *c)
{
    unsigned domain = (unsigned)(c->q[0] >> 16 & 0xffff), granularity = (unsigned)(c->q[0] >> 4 & 3);
    unsigned am = (unsigned)(c->q[1] & 63);

    CHECK_EQ(c->q[0] >> 6 & 3, 3);
    CHECK(granularity == G_PAGES || !c->q[1]);
    CHECK(granularity != G_GLOBAL || !domain);
    CHECK(granularity != G_PAGES ||
          (!(c->q[1] & 0xfc0) && !(c->q[1] >> 12 & ((1ull << am) - 1)) && am <= 18));
    m->invalidated[granularity]++;
    m->clean_pages |= granularity == G_GLOBAL;
    for (struct cached_page *p = m->pages.page; p < m->pages.page + CACHED; p++)
        if (granularity == G_GLOBAL ||
            (p->domain == domain && (granularity == G_DOMAIN || p->page >> am == c->q[1] >> 12 >> am)))
            p->used = false;
}

static void invalidate_irtes(struct model *m, const struct vtd_entry *c)
{
    unsigned im = (unsigned)(c->q[0] >> 27 & 31), first = (unsigned)(c->q[0] >> 32 & 0xffff);
    bool all = !(c->q[0] & 16);

    CHECK(all || !(first & ((1u << im) - 1)));
    m->clean_irtes |= all;
    for (unsigned i = 0; i < CACHED; i++)
        if (all || m->irtes.irte[i].key >> im == first >> im)
            m->irtes.irte[i].used = false;
}

static void run_descriptor(struct model *m, const struct vtd_entry *c)
{
    uint32_t data = (uint32_t)(c->q[0] >> 32);

    switch (c->q[0] & 15) {
    case 1:
        CHECK_EQ(c->q[0], 0x11); /* global */
        m->clean_context = true;
        for (uint32_t i = 0; i < VTD_IDS; i++)
            m->context[i].used = false;
        break;
    case 2:
        invalidate_iotlb(m, c);
        break;
    case 4:
        invalidate_irtes(m, c);
        break;
    case 5:
        CHECK_EQ(c->q[0] >> 4 & 0xfffffff, 2); /* a status write, and no interrupt */
        memcpy(hpa_to_ptr(hpa(c->q[1])), &data, 4);
        break;
    default:
        m->bad++;
    }
}

static void run_queue(struct model *m)
{
    uint64_t head = reg(m, IQH.off);

    if (hung || !(reg32(m, GSTS.off) & G_QIE))
        return;
    CHECK_EQ(reg(m, IQA.off) & 0xfff, 0);
    for (; head != reg(m, IQT.off); head = (head + 16) % 4096)
        run_descriptor(m, (const struct vtd_entry *)at(reg(m, IQA.off)) + head / 16);
    set_reg(m, IQH.off, head);
}

/* The moment translation goes on, no entry may be open, and nothing old may be cached. */
static void check_closed(struct model *m)
{
    bool closed = true;

    for (uint32_t id = 0; id < VTD_IDS; id++)
        closed &= !(context_entry(m, id).q[0] & CTX0_P);
    CHECK(closed);
    CHECK(m->clean_context && m->clean_pages);
}

static void command_written(struct model *m, uint32_t v)
{
    uint32_t status = reg32(m, GSTS.off), lasting = status & G_LASTING, changed = (v ^ lasting) & ~G_ONCE;

    CHECK(__builtin_popcount(changed | (v & G_ONCE)) <= 1);
    if (hung)
        return;
    if (v & G_SRTP) {
        m->root = reg(m, RTADDR.off);
        m->clean_context = m->clean_pages = false;
        CHECK_EQ(m->root & 0xfff, 0);
    }
    if (v & G_SIRTP) {
        m->irta = reg(m, IRTA.off);
        m->clean_irtes = false;
        CHECK_EQ(m->irta & 0xfff, IRTA_EIME | 15);
    }
    if (changed & v & G_QIE)
        set_reg(m, IQH.off, 0);
    if (changed & v & G_IRE)
        CHECK(m->irta && m->clean_irtes && !(v & G_CFI));
    if (changed & v & G_TE)
        check_closed(m);
    set_reg32(m, GSTS.off, (v & G_LASTING) | (status & G_ONCE) | (v & G_ONCE));
}

static uint32_t mmio_read32(volatile void *base, reg32_t r)
{
    return reg32(model_at(base), r.off);
}

static void mmio_write32(volatile void *base, reg32_t r, uint32_t v)
{
    struct model *m = model_at(base);

    if (r.off == GCMD.off)
        command_written(m, v);
    else if (r.off == FSTS.off)
        set_reg32(m, r.off, reg32(m, r.off) & ~v);
    else
        set_reg32(m, r.off, v);
}

static uint64_t mmio_read64(volatile void *base, reg64_t r)
{
    return reg(model_at(base), r.off);
}

static void mmio_write64(volatile void *base, reg64_t r, uint64_t v)
{
    struct model *m = model_at(base);

    if (r.off >= RECORDS_AT && r.off < RECORDS_AT + RECORDS * 16) {
        CHECK_EQ(r.off & 15, 8);
        v = reg(m, r.off) & ~(v & FRCD_HI_F);
    }
    if (r.off == IQA.off)
        CHECK(!(reg32(m, GSTS.off) & G_QIE));
    set_reg(m, r.off, v);
    if (r.off == IQT.off)
        run_queue(m);
}

/* --- what a unit does with a request --- */

static struct model *model_of(rid_t dev)
{
    return &model[model_number(dev)];
}

static struct cached_page walk(const struct vtd_entry *c, uint64_t addr)
{
    struct cached_page p = {true, (unsigned)FIELD_GET(CTX1_DID, c->q[1]), addr >> 12, 0, true, true};
    unsigned level = (unsigned)FIELD_GET(CTX1_AW, c->q[1]) + 2;
    uint64_t table = c->q[0] & CTX0_ROOT;

    CHECK(!(c->q[1] >> 24) && !(c->q[0] & 0xffe));
    if (addr >> (12 + 9 * level))
        level = 0;
    for (; level; level--) {
        uint64_t e = ((const uint64_t *)at(table))[addr >> (3 + 9 * level) & 511];

        p.read &= e & SS_R;
        p.write &= (e & SS_W) != 0;
        if (!(e & 3))
            break;
        table = e & 0xffffffffff000;
        if (level == 1 || e & SS_PS) {
            uint64_t span = (1ull << (3 + 9 * level)) - 1;

            CHECK(!(table & span) && level <= 3 && !(e & 0x77c) && !(level == 1 && e & SS_PS));
            CHECK_EQ(e >> 11 & 1, vtd_ecap >> 7 & 1);
            p.target = (table | (addr & span)) >> 12;
            return p;
        }
        CHECK(!(e & 0xffc));
    }
    p.read = p.write = false;
    return p;
}

static bool dma(rid_t dev, uint64_t addr, bool write, uint64_t *target)
{
    struct model *m = model_of(dev);
    struct cached_context *c = &m->context[dev.id & 0xffff];
    struct cached_page *p;

    *target = addr;
    if (!(reg32(m, GSTS.off) & G_TE))
        return true;
    if (!c->used)
        *c = (struct cached_context){true, context_entry(m, dev.id)};
    if (!(c->e.q[0] & CTX0_P))
        return false;
    p = cached_page(&m->pages, (unsigned)FIELD_GET(CTX1_DID, c->e.q[1]), addr);
    if (!p)
        p = cache_page(&m->pages, walk(&c->e, addr));
    *target = p->target << 12 | (addr & 0xfff);
    return write ? p->write : p->read;
}

/* 5.1.4: source validation. */
static bool is_source(uint64_t q1, rid_t dev)
{
    unsigned sid = (unsigned)(q1 & 0xffff), bus = dev.id >> 8 & 0xff;

    CHECK(!(q1 >> 16 & 3) && !(q1 >> 20));
    switch (q1 >> 18 & 3) {
    case 1:
        return sid == (dev.id & 0xffff);
    case 2:
        return bus >= sid >> 8 && bus <= (sid & 0xff);
    default:
        CHECK(false);
        return true;
    }
}

static void record(struct model *m, uint64_t lo, uint64_t hi)
{
    uint32_t off = RECORDS_AT + m->next_record * 16;

    if (reg32(m, FSTS.off) & FSTS_PFO)
        return;
    if (reg(m, off + 8) & FRCD_HI_F) {
        set_reg32(m, FSTS.off, reg32(m, FSTS.off) | FSTS_PFO);
        return;
    }
    set_reg(m, off, lo);
    set_reg(m, off + 8, hi | FRCD_HI_F);
    m->next_record = (m->next_record + 1) % RECORDS;
}

/* False, and a record. */
static bool refuse(rid_t dev, unsigned handle, uint64_t reason)
{
    record(model_of(dev), (uint64_t)handle << 48, (dev.id & 0xffff) | reason << 32);
    return false;
}

static bool msi(rid_t dev, struct iommu_msi v, uint32_t *apic_id, uint8_t *vector)
{
    struct model *m = model_of(dev);
    unsigned handle = (unsigned)(v.address >> 5 & 0x7fff) | (v.address >> 2 & 1) << 15;
    struct cached_irte *c;

    *apic_id = ~0u;
    CHECK_EQ(v.address >> 20, 0xfee);
    if (!(reg32(m, GSTS.off) & G_IRE))
        return true;
    if (!(v.address & 16)) /* compatibility format */
        return (!(m->irta & IRTA_EIME) && reg32(m, GSTS.off) & G_CFI) || refuse(dev, 0, 0x25);
    if (v.address & 8) /* a subhandle (5.1.3) */
        handle += v.data & 0xffff;
    c = cached_irte(&m->irtes, handle, ((const struct vtd_entry *)at(m->irta & ~0xfffull))[handle].q);
    if (!(c->q[0] & 1))
        return refuse(dev, handle, 0x22);
    CHECK(!(c->q[0] & 0xff00fffe)); /* fixed, physical, edge, not posted */
    *apic_id = (uint32_t)(c->q[0] >> 32);
    *vector = (uint8_t)(c->q[0] >> 16);
    return is_source(c->q[1], dev) || refuse(dev, handle, 0x26);
}

static struct iommu_msi forge(rid_t dev, unsigned index)
{
    const struct iommu_dev *owner = user_of(dev);
    unsigned handle = (owner ? owner->slot : 0) * IOMMU_IRQS + index;

    return (struct iommu_msi){0xfee00010 | (handle & 0x7fff) << 5 | (handle >> 15) << 2, 0};
}

static void raise_fault(rid_t dev, uint64_t addr, bool write)
{
    record(model_of(dev), addr,
           (dev.id & 0xffff) | (write ? 5ull : 6ull) << 32 | 0xffffull << 40 | (write ? 0 : FRCD_HI_T1));
}

/* --- the machine --- */

static void put_machine(void)
{
    machine_ = (struct boot_iommu){
        .kind = BOOT_IOMMU_VTD,
        .nunits = 2,
        .unit = {{BASE_0, 0, 0}, {BASE_1, 0, 0}},
        .vfs_with_pf = true, /* of DEV, whose VF is SIBLING */
        .nscopes = 3,
        .scope = {{DEV.id, DEV.id, 0}, {0x100, 0x1ff, 0}, {FAR_BUS, FAR_BUS + 0xff, 1}},
        .naliases = 1,
        .alias = {{0x100, 0x1ff, ALIAS.id}}, /* behind a bridge to PCI */
        .nunities = 2,
        .unity = {{OTHER_UNITY, 0x1000, FAR_BUS + 16, FAR_BUS + 31, IOMMU_R, 0},
                  {UNITY, 0x2000, DEV.id, DEV.id, IOMMU_R | IOMMU_W, 0}},
    };
}

static volatile void *map_unit(hpa_t start_, uint64_t size)
{
    CHECK_EQ(size, VTD_MMIO_SIZE);
    CHECK(start_.a == BASE_0 || start_.a == BASE_1);
    return model[start_.a == BASE_1].mmio;
}

static void give_back(void *p, unsigned order)
{
    if (p)
        frame_free(ptr_to_hpa(p), order);
}

/* What the last test's machine had taken for good. */
static void free_units(void)
{
    for (unsigned i = 0; i < BOOT_UNITS_MAX; i++) {
        give_back(units[i].root, 0);
        give_back(units[i].context, 8);
        give_back(units[i].irt, 8);
        give_back(units[i].queue, 0);
        heap_free((void *)(uintptr_t)units[i].done, 8);
    }
    memset(units, 0, sizeof(units));
    memset(fake_irqs, 0, sizeof(fake_irqs));
}

static void power_on(void)
{
    free_units();
    memset(model, 0, sizeof(model));
    hung = false;
    fake_log_reset();
    fake_mmio_map = map_unit;
    put_machine();
    for (unsigned i = 0; i < MODELS; i++) { /* what the firmware used is stopped */
        set_reg(&model[i], CAP.off, CAP_DEFAULT);
        set_reg(&model[i], ECAP.off, ECAP_DEFAULT);
        set_reg32(&model[i], GSTS.off, G_CFI | G_ONCE);
        set_reg(&model[i], IQT.off, 0x40);
        set_reg(&model[i], IQH.off, 0x40);
        set_reg32(&model[i], FECTL.off, FECTL_IM);
    }
}

static const struct contract_hw hw = {power_on, dma, msi, forge, hang, raise_fault, RECORDS + 1};

TEST(what_the_firmware_left_is_gone)
{
    start();
    for (unsigned i = 0; i < MODELS; i++) {
        CHECK_EQ(reg32(&model[i], GSTS.off), G_TE | G_QIE | G_IRE | G_ONCE);
        CHECK(!model[i].bad);
    }
}

/* Three levels, small leaves, no snooping: what one unit lacks no table uses. */
TEST(tables_are_what_all_units_can_walk)
{
    struct iommu_domain *d;
    struct iommu_msi m;

    free_domains();
    power_on();
    set_reg(&model[0], CAP.off, CAP_DEFAULT & ~(CAP_SAGAW_48 | CAP_PSI));
    set_reg(&model[1], CAP.off, CAP_DEFAULT & ~CAP_SLLPS_1G);
    set_reg(&model[1], ECAP.off, ECAP_DEFAULT & ~(ECAP_C | ECAP_SC));
    fake_clflushes = 0;
    CHECK_EQ(iommu_init(&machine_), 0);
    CHECK(fake_clflushes >= MODELS * (2 * TABLE_SIZE / 64 + BUSES));
    frames_before = fake_frames_out;
    d = iommu_domain_create("d");
    CHECK_EQ(d->pt.levels, 3);
    CHECK_EQ(d->pt.max_leaf_level, 1);
    CHECK(d->pt.flush);
    fake_clflushes = 0;
    CHECK_EQ(iommu_map(d, iova(0x40000000), hpa(0x40000000), SIZE_1G, IOMMU_R | IOMMU_W), 0);
    CHECK_EQ(fake_clflushes, 64 + 1 + 512);
    CHECK_EQ(iommu_attach(d, SIBLING), 0);
    CHECK_EQ(iommu_attach(d, FAR), 0);
    CHECK_EQ(fake_clflushes, 64 + 1 + 512 + 2 * 4);
    CHECK_EQ(iommu_irq_route(FAR, 1, 1, 0x40, &m), 0);
    CHECK_EQ(fake_clflushes, 64 + 1 + 512 + 2 * 4 + 2);
    CHECK(reads(SIBLING, 0x40000000, 0x40000000) && reads(FAR, 0x7fffffff, 0x7fffffff));
    CHECK(is_blocked(FAR, 0x8000000000));
    CHECK_EQ(iommu_map(d, iova(0x8000000000), hpa(0), 0x1000, IOMMU_R), -EINVAL);
    CHECK_EQ(iommu_detach(d, SIBLING), 0);
    CHECK_EQ(iommu_detach(d, FAR), 0);
    scrap(d);
}

TEST(invalidations_are_as_small_as_their_range)
{
    static const struct {
        uint64_t at, size;
        unsigned kind;
    } rows[] = {{0x1000, 0x1000, G_PAGES},
                {0x1000, 0x2000, G_PAGES}, /* 4 pages from 0 on */
                {0, SIZE_1G, G_PAGES},     /* 1 << 18 pages */
                {0x1000, SIZE_1G, G_DOMAIN}};
    struct iommu_domain *d;

    start();
    d = iommu_domain_create("d");
    CHECK_EQ(iommu_attach(d, SIBLING), 0);
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        memset(model[0].invalidated, 0, sizeof(model[0].invalidated));
        CHECK_EQ(iommu_map(d, iova(rows[i].at), hpa(0x100000000 + rows[i].at), rows[i].size, IOMMU_R), 0);
        CHECK_EQ(model[0].invalidated[rows[i].kind], 1);
        CHECK(reads(SIBLING, rows[i].at + rows[i].size - 1, 0x100000000 + rows[i].at + rows[i].size - 1));
        CHECK_EQ(iommu_unmap(d, iova(rows[i].at), rows[i].size), 0);
        CHECK_EQ(model[0].invalidated[rows[i].kind], 2);
        CHECK(is_blocked(SIBLING, rows[i].at + rows[i].size - 1));
    }
    set_reg(&model[0], CAP.off, CAP_DEFAULT & ~CAP_PSI);
    units[0].cap &= ~CAP_PSI;
    memset(model[0].invalidated, 0, sizeof(model[0].invalidated));
    CHECK_EQ(iommu_map(d, iova(0), hpa(0), 0x1000, IOMMU_R), 0);
    CHECK_EQ(model[0].invalidated[G_DOMAIN], 1);
    CHECK_EQ(iommu_detach(d, SIBLING), 0);
    scrap(d);
}

TEST(interrupts_count_only_from_their_source)
{
    struct iommu_domain *d;
    struct iommu_msi m;
    uint32_t apic_id;
    uint8_t vector;

    start();
    d = iommu_domain_create("d");
    CHECK_EQ(iommu_attach(d, SIBLING), 0);
    CHECK_EQ(iommu_attach(d, DEV), 0);
    CHECK_EQ(iommu_irq_route(SIBLING, 7, 5, 0x55, &m), 0);
    CHECK(hw.msi(SIBLING, m, &apic_id, &vector));
    CHECK(!hw.msi(DEV, m, &apic_id, &vector) && !hw.msi(ALIAS, m, &apic_id, &vector));
    m = (struct iommu_msi){0xfee00000, 0x55};
    CHECK(!hw.msi(SIBLING, m, &apic_id, &vector)); /* compatibility format */
    CHECK_EQ(iommu_detach(d, SIBLING), 0);
    CHECK_EQ(iommu_attach(d, ALIASED), 0);
    CHECK_EQ(iommu_irq_route(ALIASED, 7, 5, 0x55, &m), 0);
    CHECK(hw.msi(ALIAS, m, &apic_id, &vector) && !hw.msi(DEV, m, &apic_id, &vector));
    CHECK_EQ(iommu_detach(d, ALIASED), 0);
    CHECK_EQ(iommu_detach(d, DEV), 0);
    scrap(d);
}

TEST(every_piece_of_the_interrupt_table_can_be_used)
{
    static struct iommu_msi m[IOMMU_DEVS];
    struct iommu_domain *d;
    uint32_t apic_id;
    uint8_t vector;

    start();
    d = iommu_domain_create("d");
    for (uint32_t i = 0; i < IOMMU_DEVS; i++) {
        CHECK_EQ(iommu_attach(d, (rid_t){FAR_BUS + i}), 0);
        CHECK_EQ(iommu_irq_route((rid_t){FAR_BUS + i}, i & 1, i, 0x40, &m[i]), 0);
    }
    for (uint32_t i = 0; i < IOMMU_DEVS; i++)
        CHECK(hw.msi((rid_t){FAR_BUS + i}, m[i], &apic_id, &vector) && apic_id == i);
    for (uint32_t i = 0; i < IOMMU_DEVS; i++)
        CHECK_EQ(iommu_detach(d, (rid_t){FAR_BUS + i}), 0);
    scrap(d);
}

/* Once its entry is gone, what it had under way is waited for. */
TEST(a_device_that_goes_is_drained)
{
    struct iommu_domain *d;

    start();
    d = iommu_domain_create("d");
    CHECK_EQ(iommu_attach(d, SIBLING), 0);
    memset(model[0].invalidated, 0, sizeof(model[0].invalidated));
    CHECK_EQ(iommu_detach(d, SIBLING), 0);
    CHECK_EQ(model[0].invalidated[G_DOMAIN], 1);
    scrap(d);
}

TEST(faults_come_in_their_order)
{
    struct iommu_fault f;

    start();
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 5; i++)
            raise_fault(SIBLING, i << 12, true);
        for (unsigned i = 0; i < 5; i++)
            CHECK(ops->next_fault(0, &f) && f.addr.a == i << 12);
        CHECK(!ops->next_fault(0, &f));
    }
}

TEST(fault_events_are_not_more_than_can_be_dealt_with)
{
    struct model *m = &model[0];

    start();
    CHECK_EQ(reg32(m, FECTL.off), 0);
    CHECK_EQ(reg32(m, FEADDR.off), 0xfee00000);
    raise_fault(SIBLING, 0x1000, true);
    CHECK(fake_irq_raise(0, reg32(m, FEDATA.off)));
    CHECK(fake_log_has("no write permission: write at 0x1000 (unmapped) by function 00:15.0 of quarantine"));
    CHECK_EQ(reg32(m, FECTL.off), FECTL_IM);
    iommu_poll_faults();
    CHECK_EQ(reg32(m, FECTL.off), FECTL_IM);
    now += QUIET;
    iommu_poll_faults();
    CHECK_EQ(reg32(m, FECTL.off), 0);
}

TEST(faults_of_all_kinds)
{
    start();
    record(&model[0], 0x1234ull << 48, 0x28 | 0x26ull << 32 | FRCD_HI_T1);
    iommu_poll_faults();
    CHECK(fake_log_has(
        "interrupt of another source: interrupt at 0x1234 (unmapped) by function 00:05.0 of quarantine"));
    record(&model[1], 0xabcd000, 0x208 | 0xffull << 32 | FRCD_HI_T1);
    iommu_poll_faults();
    CHECK(fake_log_has("unknown fault: read at 0xabcd000 (unmapped) by function 02:01.0 of quarantine"));
    set_reg32(&model[1], FSTS.off, FSTS_IQE);
    iommu_poll_faults();
    CHECK(fake_log_has("invalidation queue error"));
    CHECK_EQ(reg32(&model[1], FSTS.off), 0);
}

TEST(the_first_scope_counts_and_a_vf_is_where_its_pf_is)
{
    free_domains();
    power_on();
    machine_.nscopes = 2;
    machine_.scope[1] = (struct boot_ids){0, 0xffff, 1};
    put_functions();
    CHECK_EQ(pci_find(NOWHERE)->is->unit, 1);
    CHECK_EQ(pci_find(SIBLING)->is->unit, 0);
    CHECK_EQ(pci_find(ALIASED)->is->alias, ALIAS.id);
    CHECK_EQ(pci_find(SIBLING)->is->alias, SIBLING.id);
    machine_.vfs_with_pf = false;
    put_functions();
    CHECK_EQ(pci_find(SIBLING)->is->unit, 1);
    machine_.nscopes = 1;
    put_functions();
    CHECK_EQ(pci_find(NOWHERE)->is->unit, BOOT_NO_UNIT);
}

TEST(nothing_is_left)
{
    free_domains();
    free_units();
    fake_pci_free_all();
    CHECK_EQ(fake_frames_out, 0);
}

TEST(no_handle_but_its_own_works_for_a_device)
{
    struct iommu_domain *d;
    struct iommu_msi msi[3];
    unsigned works = 0;
    uint32_t apic_id;
    uint8_t vector;

    start();
    d = iommu_domain_create("d");
    CHECK_EQ(iommu_attach(d, DEV), 0);
    CHECK_EQ(iommu_attach(d, SIBLING), 0);
    CHECK_EQ(iommu_irq_route(DEV, 0, 1, 0x40, &msi[0]), 0);
    CHECK_EQ(iommu_irq_route(SIBLING, 0, 1, 0x41, &msi[1]), 0);
    CHECK_EQ(iommu_irq_route(SIBLING, 255, 1, 0x42, &msi[2]), 0);
    for (unsigned handle = 0; handle < VTD_IRTES; handle++) {
        struct iommu_msi any = {0xfee00010 | (handle & 0x7fff) << 5 | (handle >> 15) << 2, 0};

        works += hw.msi(SIBLING, any, &apic_id, &vector);
    }
    CHECK_EQ(works, 2);
    CHECK_EQ(iommu_detach(d, DEV), 0);
    CHECK_EQ(iommu_detach(d, SIBLING), 0);
    scrap(d);
}

TEST_MAIN()
