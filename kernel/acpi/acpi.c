/* SPDX-License-Identifier: BSD-2-Clause */
/* The tables, and what the FADT's fixed hardware (ACPI 6.5 4.8) is for: power-off, reset. */
#include "kernel/acpi/acpi.h"
#include "kernel/console/console.h"
#include "kernel/console/log.h"
#include "kernel/cpu/x86.h"
#include "kernel/lib/string.h"
#include "kernel/lib/wait.h"
#include "kernel/mm/paging.h"

/* PM1 control register, 4.8.3.2.1. */
#define PM1_SCI_EN  BIT32(0)
#define PM1_SLP_TYP GENMASK32(12, 10)
#define PM1_SLP_EN  BIT32(13)
#define SCI_WAIT    (100 * NS_PER_MS)

static const struct bootinfo *boot;

void acpi_init(const struct bootinfo *bi)
{
    boot = bi;
}

const struct acpi_header *acpi_find(const char signature[4])
{
    for (const struct boot_table *t = boot->table; t < boot->table + BOOT_TABLES_MAX; t++)
        if (t->size && memcmp(hpa_to_ptr(hpa(t->base)), signature, 4) == 0)
            return hpa_to_ptr(hpa(t->base));
    return NULL;
}

/* The chip set obeys SLP_EN only in ACPI mode (4.8.2.5); firmware switches to it on request. */
static bool enter_acpi_mode(const struct boot_power *p)
{
    if ((inw(p->pm1_cnt[0]) & PM1_SCI_EN) || !p->smi_cmd)
        return true;
    outb(p->smi_cmd, p->acpi_enable);
    return wait_until(inw(p->pm1_cnt[0]) & PM1_SCI_EN, SCI_WAIT);
}

static void sleep(uint16_t port, uint8_t typ)
{
    uint32_t v = (inw(port) & ~(PM1_SLP_TYP | PM1_SLP_EN)) | (uint32_t)FIELD_PREP(PM1_SLP_TYP, typ);

    outw(port, (uint16_t)v);
    outw(port, (uint16_t)(v | PM1_SLP_EN));
}

void acpi_power_off(void)
{
    const struct boot_power *p = &boot->machine.power;

    console_flush();
    if (!p->pm1_cnt[0])
        return;
    if (!enter_acpi_mode(p))
        log_warn("ACPI: the firmware did not switch to ACPI mode");
    for (unsigned i = 0; i < ARRAY_SIZE(p->pm1_cnt); i++)
        if (p->pm1_cnt[i])
            sleep(p->pm1_cnt[i], p->slp_typ[i]);
}

/* At last a triple fault: with an empty IDT neither the breakpoint can be delivered nor the double fault. */
void acpi_reset(void)
{
    static const struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) no_idt = {0, 0};
    const struct boot_power *p = &boot->machine.power;

    console_flush();
    if (p->reset)
        outb(p->reset, p->reset_value);
    __asm__ volatile("lidt %0; int3" : : "m"(no_idt));
}
