/* SPDX-License-Identifier: BSD-2-Clause */
/* kernel/acpi/acpi.h over tables that the test hands in. Include once, before the file under test. */
#include "kernel/acpi/acpi.h"
#include <string.h>

static const struct acpi_header *fake_acpi_tables[16] __attribute__((unused)); /* filled from the front */
static uint32_t fake_acpi_cpu_ids[64] __attribute__((unused)) = {0, 1, 2, 3};
static unsigned fake_acpi_cpu_count __attribute__((unused)) = 4;
static uint16_t fake_acpi_pm_port __attribute__((unused)) = 0x608;
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

unsigned acpi_cpus(uint32_t *apic_ids, unsigned max)
{
    unsigned n = fake_acpi_cpu_count < max ? fake_acpi_cpu_count : max;

    memcpy(apic_ids, fake_acpi_cpu_ids, n * sizeof(*apic_ids));
    return n;
}

uint16_t acpi_pm_timer_port(void)
{
    return fake_acpi_pm_port;
}

void acpi_power_off(void)
{
    fake_acpi_offs++;
}

void acpi_reset(void)
{
    fake_acpi_resets++;
}
