/* SPDX-License-Identifier: BSD-2-Clause */
/* kernel/acpi/acpi.h that counts. Include once, before the file under test. */
#include "kernel/acpi/acpi.h"

static unsigned fake_acpi_offs __attribute__((unused)), fake_acpi_resets __attribute__((unused));

void acpi_init(const struct bootinfo *bi)
{
    (void)bi;
}

void acpi_power_off(void)
{
    fake_acpi_offs++;
}

void acpi_reset(void)
{
    fake_acpi_resets++;
}
