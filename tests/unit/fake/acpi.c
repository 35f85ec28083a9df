/* SPDX-License-Identifier: BSD-2-Clause */
/* kernel/acpi/acpi.h over tables that the test hands in. Include once, before the file under test. */
#include "kernel/acpi/acpi.h"
#include <string.h>

static const struct acpi_header *fake_acpi_tables[16] __attribute__((unused)); /* filled from the front */
static unsigned fake_acpi_offs __attribute__((unused)), fake_acpi_resets __attribute__((unused));

void acpi_init(const struct bootinfo *bi)
{
    (void)bi;
}

const struct acpi_header *acpi_find(const char signature[4])
{
    for (unsigned i = 0; i < ARRAY_SIZE(fake_acpi_tables) && fake_acpi_tables[i]; i++)
        if (memcmp(fake_acpi_tables[i]->signature, signature, 4) == 0)
            return fake_acpi_tables[i];
    return NULL;
}

void acpi_power_off(void)
{
    fake_acpi_offs++;
}

void acpi_reset(void)
{
    fake_acpi_resets++;
}
