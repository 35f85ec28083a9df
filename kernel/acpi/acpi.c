/* SPDX-License-Identifier: BSD-2-Clause */
#include "kernel/acpi/acpi.h"
#include "kernel/console/console.h"
#include "kernel/console/log.h"
#include "kernel/cpu/x86.h"
#include "kernel/lib/wait.h"

/* PM1 control register, 4.8.3.2.1. */
#define PM1_SCI_EN  BIT32(0)
#define PM1_SLP_TYP GENMASK32(12, 10)
#define PM1_SLP_EN  BIT32(13)
#define SCI_WAIT    (100 * NS_PER_MS)

static const struct boot_power *power;

void acpi_init(const struct bootinfo *bi)
{
    power = &bi->machine.power;
}

/* The chip set obeys SLP_EN only in ACPI mode (4.8.2.5); firmware switches to it on request. */
static bool enter_acpi_mode(void)
{
    if ((inw(power->pm1_cnt[0]) & PM1_SCI_EN) || !power->smi_cmd)
        return true;
    outb(power->smi_cmd, power->acpi_enable);
    return wait_until(inw(power->pm1_cnt[0]) & PM1_SCI_EN, SCI_WAIT);
}

static void sleep(uint16_t port, uint8_t typ)
{
    uint32_t v = (inw(port) & ~(PM1_SLP_TYP | PM1_SLP_EN)) | (uint32_t)FIELD_PREP(PM1_SLP_TYP, typ);

    outw(port, (uint16_t)v);
    outw(port, (uint16_t)(v | PM1_SLP_EN));
}

void acpi_power_off(void)
{
    console_flush();
    if (!power->pm1_cnt[0])
        return;
    if (!enter_acpi_mode())
        log_warn("ACPI: the firmware did not switch to ACPI mode");
    for (unsigned i = 0; i < ARRAY_SIZE(power->pm1_cnt); i++)
        if (power->pm1_cnt[i])
            sleep(power->pm1_cnt[i], power->slp_typ[i]);
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
