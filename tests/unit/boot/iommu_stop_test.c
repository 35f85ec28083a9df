/* SPDX-License-Identifier: BSD-2-Clause */
/* What the firmware left running of the IOMMUs, on models of their registers. */
#include "tests/unit/test.h"

#include "tests/unit/fake/x86.h"

#include "kernel/lib/mmio.h"

/* Two units; `obeys`: the status follows. Each read takes a microsecond. */
static uint8_t page[2][0x4000] __attribute__((aligned(0x4000)));
static bool obeys, queue_runs;
static uint32_t gcmd[16];
static unsigned gcmds;
static uint16_t command;

static uint32_t word(volatile void *base, uint32_t off)
{
    uint32_t v;

    memcpy(&v, (const void *)((uintptr_t)base + off), sizeof(v));
    return v;
}

static void put(volatile void *base, uint32_t off, uint32_t v)
{
    memcpy((void *)((uintptr_t)base + off), &v, sizeof(v));
}

static uint32_t model_read32(volatile void *base, reg32_t r)
{
    fake_tsc += 1000;
    if (queue_runs && r.off == 0x80)
        put(base, 0x80, word(base, 0x88));
    return word(base, r.off);
}

static uint64_t model_read64(volatile void *base, reg64_t r)
{
    return word(base, r.off) | (uint64_t)word(base, r.off + 4) << 32;
}

static void model_write32(volatile void *base, reg32_t r, uint32_t v)
{
    if (r.off == 0x18) { /* VT-d: GCMD, and GSTS after it */
        gcmd[gcmds++ % 16] = v;
        if (obeys)
            put(base, 0x1c, v | (word(base, 0x1c) & BIT32(30)));
    } else if (r.off == 0x64) { /* PMEN */
        put(base, r.off, obeys ? v & ~BIT32(0) : v);
    } else {
        put(base, r.off, v);
    }
}

static void model_write64(volatile void *base, reg64_t r, uint64_t v)
{
    if (r.off == 0x18) { /* AMD-Vi: the rings stand before translation goes */
        CHECK((v & BIT(0)) || !obeys || !(word(base, 0x2020) & 0x18));
        if (obeys)
            put(base, 0x2020, (v & BIT(2) ? BIT32(3) : 0) | (v & BIT(12) ? BIT32(4) : 0));
    }
    put(base, r.off, (uint32_t)v);
    put(base, r.off + 4, (uint32_t)(v >> 32));
}

#define mmio_read32  model_read32
#define mmio_read64  model_read64
#define mmio_write32 model_write32
#define mmio_write64 model_write64
#include "boot/iommu_stop.c"

uint16_t pci_read16(uint32_t rid, unsigned off)
{
    CHECK_EQ(off, PCI_COMMAND);
    return rid == 2 ? command : UINT16_MAX;
}

void pci_write16(uint32_t rid, unsigned off, uint16_t v)
{
    CHECK(rid == 2 && off == PCI_COMMAND);
    command = v;
}

static struct boot_iommu machine(uint32_t kind)
{
    struct boot_iommu m = {.kind = kind, .nunits = 2};

    memset(page, 0, sizeof(page));
    obeys = queue_runs = true;
    gcmds = 0;
    command = 2;
    for (unsigned i = 0; i < 2; i++)
        m.unit[i] = (struct boot_unit){.base = (uintptr_t)page[i], .rid = 2 + i};
    for (unsigned i = 0; i < 2 && kind == BOOT_IOMMU_AMDVI; i++) {
        put(page[i], 0x18, BIT32(0) | BIT32(2) | BIT32(12));
        put(page[i], 0x20, 0x100003); /* a range that passes */
        put(page[i], 0x28, 0x200000);
        put(page[i], 0x2020, 0x18);
    }
    for (unsigned i = 0; i < 2 && kind == BOOT_IOMMU_VTD; i++) {
        put(page[i], 0x08, BIT32(5));
        put(page[i], 0x1c, VTD_TE | VTD_QIE | VTD_IRE | VTD_CFI | BIT32(30));
        put(page[i], 0x64, VTD_PMEN_EPM | VTD_PMEN_PRS);
        put(page[i], 0x80, 0x40);
        put(page[i], 0x88, 0x60);
    }
    return m;
}

TEST(amdvi_units_stop)
{
    struct boot_iommu m = machine(BOOT_IOMMU_AMDVI);

    iommu_stop(&m, 1000);
    CHECK_EQ(m.kind, BOOT_IOMMU_AMDVI);
    for (unsigned i = 0; i < 2; i++)
        CHECK(!word(page[i], 0x18) && !word(page[i], 0x20) && !word(page[i], 0x28) && !word(page[i], 0x2020));
    CHECK_EQ(command, 6);
}

TEST(vtd_units_stop_one_thing_at_a_time)
{
    struct boot_iommu m = machine(BOOT_IOMMU_VTD);

    iommu_stop(&m, 1000);
    CHECK_EQ(m.kind, BOOT_IOMMU_VTD);
    CHECK_EQ(gcmds, 6);
    CHECK(gcmd[0] == (VTD_QIE | VTD_IRE | VTD_CFI) && gcmd[1] == (VTD_QIE | VTD_CFI) && gcmd[2] == VTD_CFI);
    for (unsigned i = 0; i < 2; i++)
        CHECK(word(page[i], 0x80) == 0x60 && word(page[i], 0x64) == 0);
}

TEST(what_is_off_is_left_alone)
{
    struct boot_iommu m = machine(BOOT_IOMMU_NONE);

    iommu_stop(&m, 1000);
    m.kind = BOOT_IOMMU_VTD;
    put(page[0], 0x64, VTD_PMEN_EPM); /* no such register */
    iommu_stop(&m, 1000);
    CHECK(m.kind == BOOT_IOMMU_VTD && gcmds == 0 && word(page[0], 0x64) == VTD_PMEN_EPM);
}

TEST(one_that_does_not_stop_is_not_used)
{
    for (uint32_t kind = BOOT_IOMMU_AMDVI; kind <= BOOT_IOMMU_VTD; kind++) {
        struct boot_iommu m = machine(kind);
        uint64_t before = fake_tsc;

        obeys = false;
        iommu_stop(&m, 1000);
        CHECK_EQ(m.kind, BOOT_IOMMU_NONE);
        CHECK(fake_tsc - before >= 2 * 100 * 1000 && fake_tsc - before < 2 * 120 * 1000);
    }
}

TEST(a_queue_that_stands_still_is_switched_off)
{
    struct boot_iommu m = machine(BOOT_IOMMU_VTD);

    queue_runs = false;
    iommu_stop(&m, 1000);
    CHECK(m.kind == BOOT_IOMMU_VTD && word(page[1], 0x1c) == (VTD_CFI | BIT32(30)));
}

TEST_MAIN()
