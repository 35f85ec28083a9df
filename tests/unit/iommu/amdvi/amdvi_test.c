/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * AMD-Vi against a model of two units. The model runs whenever the code under test waits (it is the clock),
 * and caches device table entries, translations and interrupt entries, present or not, until the command for
 * it comes. Before the first INVALIDATE_DEVTAB_ENTRY an id is open.
 */
#include "tests/unit/iommu/model.h"

#include "kernel/mm/heap.c"
#include "tests/unit/fake/frame.c"
#include "tests/unit/fake/log.c"
#include "tests/unit/fake/paging.c"
#include "tests/unit/fake/pci.c"
#include "tests/unit/fake/strlcpy.c"

#include "boot/place.c"

#include "kernel/mm/radix.c"

#include "iommu/amdvi/cmdq.c"
#include "iommu/amdvi/devtab.c"
#include "iommu/amdvi/flog.c"
#include "iommu/amdvi/irtab.c"
#include "iommu/amdvi/pt.c"
#include "iommu/amdvi/unit.c"

#include "iommu/amdvi/amdvi.c"
#include "iommu/fault.c"
#include "iommu/iommu.c"

#include "tests/unit/iommu/contract.h"

#define PTE_ADDR GENMASK(51, 12)

const struct iommu_ops vtd_ops; /* not there */

#define BASE_0 0xfed80000u
#define BASE_1 0xfd000000u

struct model {
    uint64_t mmio[AMDVI_MMIO_SIZE / 8];
    bool enabled;
    bool told[AMDVI_IDS]; /* the entry in dte[] is what the unit goes by */
    struct amdvi_dte dte[AMDVI_IDS];
    struct page_cache pages;
    struct irte_cache irtes; /* by id << 16 and index */
    unsigned bad_commands;
};

static struct model model[MODELS];

static uint64_t reg(struct model *m, reg64_t r)
{
    return m->mmio[r.off / 8];
}

static void set_reg(struct model *m, reg64_t r, uint64_t v)
{
    m->mmio[r.off / 8] = v;
}

static struct model *model_at(volatile void *base)
{
    return base == model[0].mmio ? &model[0] : &model[1];
}

static const struct amdvi_dte *table_entry(struct model *m, uint32_t id)
{
    CHECK_EQ(FIELD_GET(DEV_TAB_BASE_SIZE, reg(m, DEV_TAB_BASE)), 511);
    return (const struct amdvi_dte *)at(reg(m, DEV_TAB_BASE) & AMDVI_BASE) + id;
}

/* The moment translation goes on, no entry may be open. */
static void enable(struct model *m)
{
    uint64_t control = reg(m, IOMMU_CONTROL);
    bool closed = true;

    CHECK(control & CONTROL_GA_EN);
    CHECK(control & CONTROL_XT_EN);
    CHECK(control & CONTROL_COHERENT);
    for (uint32_t id = 0; id < AMDVI_IDS; id++) {
        const struct amdvi_dte *e = table_entry(m, id);

        closed &= (e->q[0] & 3) == 3 && FIELD_GET(DTE0_MODE, e->q[0]) == 4 && !(e->q[0] >> 52) &&
                  (e->q[2] & DTE2_IV) && !(e->q[2] >> 52) && !e->q[1] && !e->q[3];
    }
    CHECK(closed);
}

static void run_command(struct model *m, const struct amdvi_entry *c)
{
    uint32_t id = (uint32_t)FIELD_GET(CMD_DEVICE_ID, c->q[0]);

    switch (FIELD_GET(CMD_OPCODE, c->q[0])) {
    case CMD_COMPLETION_WAIT:
        if (c->q[0] & CMD_WAIT_STORE)
            memcpy(hpa_to_ptr(hpa(c->q[0] & CMD_WAIT_ADDR)), &c->q[1], 8);
        break;
    case CMD_INVALIDATE_DEVTAB:
        m->told[id] = true;
        m->dte[id] = *table_entry(m, id);
        break;
    case CMD_INVALIDATE_PAGES:
        CHECK_EQ(c->q[1], 0x7ffffffffffff003);
        for (unsigned i = 0; i < CACHED; i++)
            if (m->pages.page[i].domain == FIELD_GET(CMD_DOMAIN_ID, c->q[0]))
                m->pages.page[i].used = false;
        break;
    case CMD_INVALIDATE_INTTAB:
        for (unsigned i = 0; i < CACHED; i++)
            if (m->irtes.irte[i].key >> 16 == id)
                m->irtes.irte[i].used = false;
        break;
    case CMD_INVALIDATE_ALL:
        break; /* the weakest reading: it drops nothing that has a command of its own */
    default:
        m->bad_commands++;
    }
}

static void run_commands(struct model *m)
{
    uint64_t head = reg(m, CMD_BUF_HEAD);

    if (hung || !m->enabled)
        return;
    CHECK_EQ(FIELD_GET(AMDVI_RING_LEN, reg(m, CMD_BUF_BASE)), 8);
    for (; head != reg(m, CMD_BUF_TAIL); head = (head + 16) % 4096)
        run_command(m, (const struct amdvi_entry *)at(reg(m, CMD_BUF_BASE) & AMDVI_BASE) + head / 16);
    set_reg(m, CMD_BUF_HEAD, head);
}

static void control_written(struct model *m, uint64_t control)
{
    uint64_t status = reg(m, IOMMU_STATUS) & STATUS_EVT_OVERFLOW;
    bool on = control & CONTROL_IOMMU_EN;

    if (on && !m->enabled)
        enable(m);
    m->enabled = on;
    if (hung)
        return;
    set_reg(m, IOMMU_STATUS, status | (control & CONTROL_EVT_LOG_EN ? STATUS_EVT_LOG_RUN : 0));
}

static uint64_t mmio_read64(volatile void *base, reg64_t r)
{
    return reg(model_at(base), r);
}

static void mmio_write64(volatile void *base, reg64_t r, uint64_t v)
{
    struct model *m = model_at(base);

    if (r.off == IOMMU_STATUS.off)
        v = reg(m, r) & ~(v & STATUS_EVT_OVERFLOW);
    if (r.off == CMD_BUF_BASE.off || r.off == EVT_LOG_BASE.off || r.off == DEV_TAB_BASE.off)
        CHECK(!(reg(m, IOMMU_CONTROL) & (CONTROL_IOMMU_EN | CONTROL_CMD_BUF_EN | CONTROL_EVT_LOG_EN)));
    if (m->enabled && r.off == IOMMU_CONTROL.off) /* these may change only while the unit is off */
        CHECK(!(v & CONTROL_IOMMU_EN) || !((v ^ reg(m, r)) & (CONTROL_GA_EN | CONTROL_XT_EN)) ||
              !(reg(m, r) & CONTROL_GA_EN));
    set_reg(m, r, v);
    if (r.off == IOMMU_CONTROL.off)
        control_written(m, v);
    if (r.off == CMD_BUF_TAIL.off)
        run_commands(m);
}

/* --- what a unit does with a request --- */

static struct model *model_of(rid_t dev)
{
    return &model[model_number(dev)];
}

static struct cached_page walk(const struct amdvi_dte *d, uint64_t addr)
{
    struct cached_page p = {
        true, (unsigned)FIELD_GET(DTE1_DOMAIN, d->q[1]), addr >> 12, 0, d->q[0] & DTE0_IR, d->q[0] & DTE0_IW};
    unsigned level = (unsigned)FIELD_GET(DTE0_MODE, d->q[0]);
    uint64_t table = d->q[0] & DTE0_ROOT;

    if (addr >> (12 + 9 * level))
        level = 0;
    while (level) {
        uint64_t e = ((const uint64_t *)at(table))[addr >> (3 + 9 * level) & 511];
        unsigned next = (unsigned)FIELD_GET(PTE_NEXT_LEVEL, e);

        if (!(e & PTE_PR) || (next && next != level - 1))
            break;
        p.read &= (e & PTE_IR) != 0;
        p.write &= (e & PTE_IW) != 0;
        if (!next) {
            uint64_t span = (1ull << (3 + 9 * level)) - 1;

            CHECK(!(e & PTE_ADDR & span));
            CHECK(e & PTE_FC);
            p.target = ((e & PTE_ADDR) | (addr & span)) >> 12;
            return p;
        }
        table = e & PTE_ADDR;
        level = next;
    }
    p.read = p.write = false;
    return p;
}

static bool dma(rid_t dev, uint64_t addr, bool write, uint64_t *target)
{
    struct model *m = model_of(dev);
    const struct amdvi_dte *d = &m->dte[dev.id & 0xffff];
    struct cached_page *p;

    *target = addr;
    if (!m->enabled || !m->told[dev.id & 0xffff] || !(d->q[0] & DTE0_V) || !(d->q[0] & DTE0_TV) ||
        !FIELD_GET(DTE0_MODE, d->q[0]))
        return true;
    p = cached_page(&m->pages, (unsigned)FIELD_GET(DTE1_DOMAIN, d->q[1]), addr);
    if (!p)
        p = cache_page(&m->pages, walk(d, addr));
    *target = p->target << 12 | (addr & 0xfff);
    return write ? p->write : p->read;
}

/* An I/O page fault, or an overflow of the log. */
static void record(rid_t dev, uint64_t addr, uint64_t flags)
{
    struct model *m = model_of(dev);
    uint64_t tail = reg(m, EVT_LOG_TAIL), next = (tail + 16) % 4096;
    uint64_t e[2] = {(uint64_t)2 << 60 | flags | (dev.id & 0xffff), addr};

    if (reg(m, IOMMU_STATUS) & STATUS_EVT_OVERFLOW)
        return;
    if (next == reg(m, EVT_LOG_HEAD)) {
        set_reg(m, IOMMU_STATUS, reg(m, IOMMU_STATUS) | STATUS_EVT_OVERFLOW);
        return;
    }
    memcpy((char *)hpa_to_ptr(hpa(reg(m, EVT_LOG_BASE) & AMDVI_BASE)) + tail, e, 16);
    set_reg(m, EVT_LOG_TAIL, next);
}

static void raise_fault(rid_t dev, uint64_t addr, bool write)
{
    record(dev, addr, write ? EVT_RW : 0);
}

/* False, and a record. */
static bool refuse(rid_t dev, struct iommu_msi v)
{
    record(dev, v.address | v.data, EVT_I | EVT_RW);
    return false;
}

static bool msi(rid_t dev, struct iommu_msi v, uint32_t *apic_id, uint8_t *vector)
{
    struct model *m = model_of(dev);
    const struct amdvi_dte *d = &m->dte[dev.id & 0xffff];
    unsigned index = v.data & 0x7ff, len = (unsigned)FIELD_GET(DTE2_INT_TAB_LEN, d->q[2]);
    struct cached_irte *c;

    *apic_id = ~0u;
    CHECK_EQ(v.address >> 20, 0xfee);
    if (!m->enabled || !m->told[dev.id & 0xffff] || !(d->q[2] & DTE2_IV) ||
        FIELD_GET(DTE2_INT_CTL, d->q[2]) == 1)
        return true;
    if (FIELD_GET(DTE2_INT_CTL, d->q[2]) != INT_CTL_REMAP || index >= 1u << len)
        return refuse(dev, v);
    c = cached_irte(&m->irtes, (uint64_t)dev.id << 16 | index,
                    ((const struct amdvi_irte *)at(d->q[2] & DTE2_INT_TAB_ROOT))[index].q);
    CHECK(!(c->q[0] & 0xfe) && !(c->q[0] >> 32)); /* fixed, physical, not guest mode */
    *apic_id = (uint32_t)(c->q[0] >> 8 & 0xffffff) | (uint32_t)(c->q[1] >> 56) << 24;
    *vector = (uint8_t)c->q[1];
    return (c->q[0] & IRTE0_REMAP_EN) || refuse(dev, v);
}

/* --- the machine --- */

static void put_machine(void)
{
    machine_ = (struct boot_iommu){
        .kind = BOOT_IOMMU_AMDVI,
        .nunits = 2,
        .unit = {{BASE_0, 0x08, 0}, {BASE_1, 0x09, 0}},
        .nscopes = 5,
        .scope = {{DEV.id, DEV.id, 0},
                  {SIBLING.id, 0xff, 0},
                  {ALIASED.id, ALIASED.id, 0},
                  {ALIAS.id, ALIAS.id, 0},
                  {FAR_BUS, FAR_BUS + 0xff, 1}},
        .naliases = 1,
        .alias = {{ALIASED.id, ALIASED.id, ALIAS.id}},
        .nunities = 2,
        .unity = {{OTHER_UNITY, 0x1000, FAR_BUS + 16, FAR_BUS + 31, IOMMU_R, 0},
                  {UNITY, 0x2000, DEV.id, DEV.id, IOMMU_R | IOMMU_W, 0}},
    };
}

static volatile void *map_unit(hpa_t start_, uint64_t size)
{
    CHECK_EQ(size, AMDVI_MMIO_SIZE);
    CHECK(start_.a == BASE_0 || start_.a == BASE_1);
    return model[start_.a == BASE_1].mmio;
}

/* What the last test's machine had taken for good. */
static void free_units(void)
{
    for (unsigned i = 0; i < BOOT_UNITS_MAX; i++) {
        if (units[i].devtab)
            frame_free(ptr_to_hpa(units[i].devtab), 9);
        if (units[i].cmd)
            frame_free(ptr_to_hpa(units[i].cmd), 0);
        if (units[i].log)
            frame_free(ptr_to_hpa(units[i].log), 0);
        heap_free((void *)(uintptr_t)units[i].done, 8);
    }
    memset(units, 0, sizeof(units));
    if (amdvi_empty_pt.a)
        frame_free(amdvi_empty_pt, 0);
    if (amdvi_empty_irt.a)
        frame_free(amdvi_empty_irt, 0);
    amdvi_empty_pt = amdvi_empty_irt = hpa(0);
}

static void power_on(void)
{
    free_units();
    memset(model, 0, sizeof(model));
    hung = false;
    fake_log_reset();
    fake_mmio_map = map_unit;
    put_machine();
    for (unsigned i = 0; i < MODELS; i++) /* what the firmware used is stopped, and not cleared */
        set_reg(&model[i], CMD_BUF_BASE, 8ull << 56);
}

static struct iommu_msi forge(rid_t dev, unsigned index)
{
    (void)dev;
    return (struct iommu_msi){0xfee00000, index};
}

static const struct contract_hw hw = {power_on, dma, msi, forge, hang, raise_fault, 256};

TEST(events_other_than_page_faults)
{
    uint64_t e[2] = {(uint64_t)5 << 60, 0x1230}, zero[2] = {0, 0};
    char *log;

    start();
    log = hpa_to_ptr(hpa(reg(&model[0], EVT_LOG_BASE) & AMDVI_BASE));
    memcpy(log, e, 16);
    set_reg(&model[0], EVT_LOG_TAIL, 32); /* the second one's bytes are not there yet */
    iommu_poll_faults();
    CHECK(fake_log_has("illegal command at 0x1230"));
    CHECK_EQ(memcmp(log, zero, 16), 0);
    CHECK_EQ(reg(&model[0], EVT_LOG_HEAD), 16);
    e[0] = (uint64_t)1 << 60 | EVT_I | 0x28;
    memcpy(log + 16, e, 16);
    iommu_poll_faults();
    CHECK(fake_log_has(
        "illegal device table entry: interrupt at 0x1230 (unmapped) by function 00:05.0 of quarantine"));
    e[0] = (uint64_t)0xf << 60;
    memcpy(log + 32, e, 16);
    set_reg(&model[0], EVT_LOG_TAIL, 48);
    iommu_poll_faults();
    CHECK(fake_log_has("unknown event"));
    CHECK(!model[0].bad_commands && !model[1].bad_commands);
}

TEST(nothing_is_left)
{
    fake_pci_free_all();
    free_domains();
    free_units();
    CHECK_EQ(fake_frames_out, 0);
}

TEST_MAIN()
