/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/power.h"
#include "kernel/cpu/x86.h"
#include "kernel/lib/types.h"

/* PM1 control register, 4.8.3.2.1. */
#define PM1_SCI_EN  BIT32(0)
#define PM1_SLP_TYP GENMASK32(12, 10)
#define PM1_SLP_EN  BIT32(13)
#define SCI_WAIT_MS 100

/* The firmware switches to ACPI mode on request (4.8.2.5). */
static bool enter_acpi_mode(const struct boot_power *p, uint32_t tsc_khz)
{
    uint64_t end = rdtsc() + (uint64_t)tsc_khz * SCI_WAIT_MS;
    bool on = (inw(p->pm1_cnt[0]) & PM1_SCI_EN) || !p->smi_cmd;

    if (!on)
        outb(p->smi_cmd, (uint8_t)p->acpi_enable);
    while (!on && rdtsc() < end)
        on = inw(p->pm1_cnt[0]) & PM1_SCI_EN;
    return on;
}

void power_prepare(struct boot_power *p, uint32_t tsc_khz)
{
    if (!p->pm1_cnt[0])
        return;
    p->legacy = !enter_acpi_mode(p, tsc_khz);
    for (unsigned i = 0; i < ARRAY_SIZE(p->pm1_cnt); i++)
        if (p->pm1_cnt[i])
            p->off[i] = (uint16_t)((inw(p->pm1_cnt[i]) & ~(PM1_SLP_TYP | PM1_SLP_EN)) |
                                   FIELD_PREP(PM1_SLP_TYP, p->slp_typ[i]));
}
