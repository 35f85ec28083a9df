/* SPDX-License-Identifier: BSD-2-Clause */
/* The way to ACPI mode, and what powers the machine off. */
#include "tests/unit/test.h"

#include "tests/unit/fake/x86.h"

#include "boot/power.c"

static uint16_t pm1[2];
static bool sci_dead;

static uint32_t port_in(uint16_t port, unsigned size)
{
    CHECK_EQ(size, 2);
    CHECK(port == 0x604 || port == 0x704);
    fake_tsc += 1000;
    return pm1[port == 0x704];
}

static void port_out(uint16_t port, unsigned size, uint32_t v)
{
    CHECK(port == 0xb2 && size == 1 && v == 2);
    if (!sci_dead)
        pm1[0] |= 1;
}

static struct boot_power prepare(uint16_t a, uint16_t b, uint16_t smi_cmd)
{
    struct boot_power p = {
        .pm1_cnt = {0x604, 0x704}, .slp_typ = {5, 1}, .smi_cmd = smi_cmd, .acpi_enable = 2};

    fake_in = port_in;
    fake_out = port_out;
    pm1[0] = a;
    pm1[1] = b;
    power_prepare(&p, 1000);
    return p;
}

TEST(enters_acpi_mode)
{
    struct boot_power p = prepare(0x3c02, 0, 0xb2);

    CHECK_EQ(p.off[0], 5 << 10 | 3); /* other bits kept */
    CHECK_EQ(p.off[1], 1 << 10);
    CHECK_EQ(p.legacy, 0);
}

TEST(says_when_it_cannot)
{
    struct boot_power p;
    uint64_t before = fake_tsc;

    sci_dead = true;
    p = prepare(0, 0, 0xb2);
    sci_dead = false;
    CHECK_EQ(p.legacy, 1);
    CHECK_EQ(p.off[0], 5 << 10);
    CHECK(fake_tsc - before >= 100 * 1000 && fake_tsc - before < 110 * 1000);
}

TEST(nobody_to_ask)
{
    CHECK_EQ(prepare(0, 0, 0).legacy, 0);
}

TEST(no_power_off)
{
    struct boot_power p = {.smi_cmd = 0xb2};

    power_prepare(&p, 1000);
    CHECK(p.off[0] == 0 && p.off[1] == 0 && !p.legacy);
}

TEST_MAIN()
