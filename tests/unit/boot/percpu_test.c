/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/test.h"

#include "boot/percpu.c"

#define AT 0xffff8000123fe000

static struct percpu page;

TEST(the_gdt_is_what_lgdt_loads)
{
    percpu_fill(&page, AT, 1);
    CHECK_EQ(page.limit, 5 * 8 - 1);
    CHECK_EQ(page.base, AT + offsetof(struct percpu, gdt));
    CHECK_EQ(page.gdt[0], 0);
    CHECK_EQ(page.gdt[1], 0x00af9b000000ffff);
    CHECK_EQ(page.gdt[2], 0x00cf93000000ffff);
}

/* SDM 3A figure 7-4: base 15:0 at bit 16, 23:16 at 32, 31:24 at 56, 63:32 in the second half. */
TEST(the_descriptor_of_the_tss_has_its_address_and_size)
{
    uint64_t d, base;

    percpu_fill(&page, AT, 1);
    d = page.gdt[3];
    base = (d >> 16 & 0xffff) | (d >> 32 & 0xff) << 16 | d >> 56 << 24 | page.gdt[4] << 32;
    CHECK_EQ(base, AT + offsetof(struct percpu, tss));
    CHECK_EQ(d & 0xffff, 103);
    CHECK_EQ(d >> 40 & 0xff, 0x89);
    CHECK_EQ(page.tss.iomap, 104);
}

TEST(each_processor_has_its_own_stacks)
{
    for (unsigned cpu = 0; cpu < 3; cpu++) {
        percpu_fill(&page, AT, cpu);
        CHECK_EQ(page.stack, stack_top(cpu, STACK_MAIN));
        CHECK_EQ(page.tss.ist[0], stack_top(cpu, STACK_NMI));
        CHECK_EQ(page.tss.ist[1], stack_top(cpu, STACK_DF));
        CHECK_EQ(page.tss.ist[2], stack_top(cpu, STACK_MC));
        CHECK_EQ(page.tss.ist[3], 0);
    }
}

TEST_MAIN()
