/* SPDX-License-Identifier: BSD-2-Clause */
/* Power-off and reset use the ports and values that boot/ hands over. */
#include "tests/unit/test.h"

#include "tests/unit/fake/console.c"
#include "tests/unit/fake/log.c"
#include "tests/unit/fake/paging.c"
#include "tests/unit/fake/time.c"

#include "kernel/acpi/acpi.c"

static struct bootinfo info;
static jmp_buf reset_done;
static uint16_t pm1[2], outs[16];
static unsigned out_count;

static void start(void)
{
    info.machine.power = (struct boot_power){
        .pm1_cnt = {0x604, 0x704}, .off = {0x1403, 0x0400}, .reset = 0xcf9, .reset_value = 0xf};
    fake_log_reset();
    fake_console_flushes = 0;
    pm1[0] = pm1[1] = 0;
    acpi_init(&info);
}

static void port_out(uint16_t port, unsigned size, uint32_t v)
{
    (void)size;
    if (port == 0x604 || port == 0x704) {
        uint16_t *reg = &pm1[port == 0x704];

        CHECK(*reg == 0 ? !(v & 1 << 13) : v == (*reg | 1 << 13)); /* first without SLP_EN */
        *reg = (uint16_t)v;
    }
    if (port == 0xcf9) {
        outs[out_count++] = (uint16_t)v;
        longjmp(reset_done, 1);
    }
}

TEST(power_off_writes_what_boot_says)
{
    start();
    fake_out = port_out;
    acpi_power_off();
    CHECK_EQ(fake_console_flushes, 1);
    CHECK_EQ(pm1[0], 1 << 13 | 0x1403);
    CHECK_EQ(pm1[1], 1 << 13 | 0x0400);
    CHECK_EQ(fake_log_lines, 0);
    start();
    info.machine.power.legacy = 1;
    acpi_power_off();
    CHECK(fake_log_has("did not switch to ACPI mode"));
    CHECK(pm1[0] & 1 << 13);
}

TEST(no_s5_no_power_off)
{
    start();
    info.machine.power.pm1_cnt[0] = info.machine.power.pm1_cnt[1] = 0;
    acpi_power_off();
    CHECK(pm1[0] == 0 && pm1[1] == 0);
}

TEST(reset_tries_the_register_first)
{
    start();
    out_count = 0;
    if (!setjmp(reset_done))
        acpi_reset();
    CHECK_EQ(out_count, 1);
    CHECK_EQ(fake_console_flushes, 1);
    CHECK_EQ(outs[0], 0xf);
}

TEST_MAIN()
