/* SPDX-License-Identifier: BSD-2-Clause */
#include "kernel/acpi/acpi.h"
#include "kernel/console/console.h"
#include "kernel/console/log.h"
#include "kernel/cpu/x86.h"

#define PM1_SLP_EN BIT32(13) /* of the PM1 control register, 4.8.3.2.1 */

static const struct boot_power *power;

void acpi_init(const struct bootinfo *bi)
{
    power = &bi->machine.power;
}

void acpi_power_off(void)
{
    console_flush();
    if (power->legacy)
        log_warn("ACPI: the firmware did not switch to ACPI mode");
    for (unsigned i = 0; i < ARRAY_SIZE(power->pm1_cnt); i++)
        if (power->pm1_cnt[i]) {
            outw(power->pm1_cnt[i], power->off[i]);
            outw(power->pm1_cnt[i], (uint16_t)(power->off[i] | PM1_SLP_EN));
        }
}

/* At last a triple fault: with an empty IDT neither the breakpoint can be delivered nor the double fault. */
void acpi_reset(void)
{
    static const struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) no_idt = {0, 0};

    console_flush();
    if (power->reset)
        outb(power->reset, power->reset_value);
    __asm__ volatile("lidt %0; int3" : : "m"(no_idt));
}
