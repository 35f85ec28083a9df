/* SPDX-License-Identifier: BSD-2-Clause */
/* Units whose registers are plain memory. That functions find theirs, the tests of iommu/ show. */
#include "tests/unit/test.h"

#include "boot/place.c"

static uint64_t regs[2][8];
static struct boot_iommu m;

static void start(uint32_t kind)
{
    m = (struct boot_iommu){.kind = kind, .nunits = 2};
    for (unsigned i = 0; i < 2; i++) {
        m.unit[i].base = (uint64_t)(uintptr_t)regs[i];
        regs[i][1] = 2 | BIT(9) | BIT(10);
        regs[i][2] = BIT(1) | BIT(3) | BIT(4);
        regs[i][6] = BIT(2) | BIT(6) | BIT(7);
    }
    CHECK(place_units_of_use(&m));
}

/* One unit with this register. */
static bool with(unsigned unit, unsigned reg_, uint64_t v)
{
    uint64_t was = regs[unit][reg_];
    bool ok;

    regs[unit][reg_] = v;
    ok = place_units_of_use(&m);
    regs[unit][reg_] = was;
    return ok;
}

TEST(amdvi)
{
    start(BOOT_IOMMU_AMDVI);
    CHECK(!with(0, 6, BIT(2) | BIT(6)));
    CHECK(!with(1, 6, BIT(2) | BIT(7)));
    CHECK(!with(1, 6, BIT(6) | BIT(7)));
    CHECK(with(1, 2, 0)); /* nothing there */
}

TEST(vtd)
{
    start(BOOT_IOMMU_VTD);
    CHECK(!with(0, 2, BIT(1) | BIT(3)));
    CHECK(!with(1, 2, BIT(1) | BIT(4)));
    CHECK(!with(1, 2, BIT(3) | BIT(4)));
    CHECK(!with(0, 1, 1 | BIT(9) | BIT(10)));
    CHECK(with(1, 1, 6 | BIT(9) | BIT(10)));
    CHECK(!with(1, 1, 2 | BIT(4) | BIT(9) | BIT(10)));
    CHECK(!with(0, 1, 2));
    regs[0][1] = 2 | BIT(9); /* three levels here, four there */
    CHECK(place_units_of_use(&m));
    CHECK(!with(1, 1, 2 | BIT(10)));
}

TEST_MAIN()
