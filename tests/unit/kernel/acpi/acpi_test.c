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
static bool sci_dead;

static void start(void)
{
    info.machine.power = (struct boot_power){.pm1_cnt = {0x604, 0x704},
                                             .slp_typ = {5, 1},
                                             .smi_cmd = 0xb2,
                                             .acpi_enable = 2,
                                             .reset = 0xcf9,
                                             .reset_value = 0xf};
    fake_log_reset();
    fake_console_flushes = 0;
    acpi_init(&info);
}

static uint32_t port_in(uint16_t port, unsigned size)
{
    CHECK_EQ(size, 2);
    return port == 0x604 ? pm1[0] : port == 0x704 ? pm1[1] : 0;
}

static void port_out(uint16_t port, unsigned size, uint32_t v)
{
    (void)size;
    if (port == 0xb2 && v == 2 && !sci_dead)
        pm1[0] |= 1;
    if (port == 0x604)
        pm1[0] = (uint16_t)v;
    if (port == 0x704)
        pm1[1] = (uint16_t)v;
    if (port == 0xcf9) {
        outs[out_count++] = (uint16_t)v;
        longjmp(reset_done, 1);
    }
}

TEST(power_off_writes_the_s5_package)
{
    start();
    fake_in = port_in;
    fake_out = port_out;
    pm1[0] = 0x1c02;
    pm1[1] = 0;
    acpi_power_off();
    CHECK_EQ(fake_console_flushes, 1);
    CHECK_EQ(pm1[0], 1 << 13 | 5 << 10 | 3); /* entered ACPI mode, other bits kept */
    CHECK_EQ(pm1[1], 1 << 13 | 1 << 10);
    sci_dead = true;
    pm1[0] = 0;
    acpi_power_off(); /* does not hang */
    CHECK(fake_log_has("did not switch to ACPI mode"));
    sci_dead = false;
    CHECK(pm1[0] & 1 << 13);
    info.machine.power.smi_cmd = 0; /* nobody to ask */
    pm1[0] = 0;
    fake_log_reset();
    acpi_power_off();
    CHECK_EQ(fake_log_lines, 0);
    CHECK_EQ(pm1[0], 1 << 13 | 5 << 10);
}

TEST(no_s5_no_power_off)
{
    start();
    info.machine.power.pm1_cnt[0] = 0;
    pm1[0] = pm1[1] = 0;
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
