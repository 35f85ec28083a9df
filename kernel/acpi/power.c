/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Power-off, reset and the PM timer: the FADT's fixed hardware (ACPI 6.5 4.8). All is looked up at boot, so
 * that a panic has only ports to write.
 */
#include "kernel/acpi/tables.h"
#include "kernel/console/log.h"
#include "kernel/cpu/x86.h"
#include "kernel/lib/bits.h"
#include "kernel/lib/string.h"
#include "kernel/lib/wait.h"
#include "kernel/mm/paging.h"

/* PM1 control register, 4.8.3.2.1. */
#define PM1_SCI_EN  BIT32(0)
#define PM1_SLP_TYP GENMASK32(12, 10)
#define PM1_SLP_EN  BIT32(13)

/* Reset control register of the chip set: full reset on the rising edge of RST_CPU. */
#define RST_CNT      0xcf9
#define RST_CNT_SYS  0x02
#define RST_CNT_FULL 0x06

#define SCI_WAIT (100 * NS_PER_MS)

/* AML, ACPI 6.5 chapter 20. */
#define AML_BYTE_PREFIX 0x0a
#define AML_PACKAGE_OP  0x12
#define AML_LEAD_COUNT  GENMASK32(7, 6) /* of a PkgLength: how many bytes follow */

static struct {
    uint16_t pm1a, pm1b, pm_tmr, smi_cmd, reset_port;
    uint8_t acpi_enable, reset_value;
    uint8_t slp_typ[2]; /* for PM1a and PM1b */
    bool s5;            /* slp_typ is known */
    volatile uint8_t *reset_mem;
} power;

/* A port number of the FADT, or 0 if there is none. */
static uint16_t port_of(uint32_t address)
{
    return address <= UINT16_MAX ? (uint16_t)address : 0;
}

/* One element of the \_S5 package: ZeroOp, OneOp or a byte constant. Returns what it takes of the `left`
 * bytes, or 0. */
static size_t s5_element(const uint8_t *p, size_t left, uint8_t *value)
{
    bool prefixed = left > 1 && p[0] == AML_BYTE_PREFIX;

    if (left == 0)
        return 0;
    *value = prefixed ? p[1] : p[0];
    if (*value > (prefixed ? 7 : 1))
        return 0;
    return prefixed ? 2 : 1;
}

/* Package () { SLP_TYPa, SLP_TYPb, ... } right after the name _S5_ (7.4.2, 20.2.5.4). */
static bool s5_package(const uint8_t *p, size_t left)
{
    size_t head, used;

    if (left < 2 || p[0] != AML_PACKAGE_OP)
        return false;
    head = 3 + FIELD_GET(AML_LEAD_COUNT,
                         p[1]); /* operator, lead byte and those that follow, number of elements */
    if (left < head)
        return false;
    used = s5_element(p + head, left - head, &power.slp_typ[0]);
    return used && s5_element(p + head + used, left - head - used, &power.slp_typ[1]);
}

/* AML is not interpreted: the name stands in the DSDT's bytes as it is. */
static bool find_s5(const struct acpi_header *dsdt)
{
    const uint8_t *p = (const uint8_t *)(dsdt + 1);
    size_t left = dsdt->length - sizeof(*dsdt);

    for (; left > 4; p++, left--)
        if (memcmp(p, "_S5_", 4) == 0 && s5_package(p + 4, left - 4))
            return true;
    return false;
}

bool acpi_fadt(struct acpi_fadt *out)
{
    const struct acpi_header *h = acpi_find("FACP");

    memset(out, 0, sizeof(*out));
    if (h)
        memcpy(out, h, MIN(h->length, sizeof(*out)));
    return h != NULL;
}

static void reset_init(const struct acpi_fadt *fadt)
{
    power.reset_value = fadt->reset_value;
    if (!(fadt->flags & FADT_RESET_REG_SUP))
        return;
    if (fadt->reset_reg.space == ACPI_SPACE_IO && fadt->reset_reg.address <= UINT16_MAX)
        power.reset_port = (uint16_t)fadt->reset_reg.address;
    if (fadt->reset_reg.space == ACPI_SPACE_MEMORY)
        power.reset_mem = mmio_map(hpa(fadt->reset_reg.address), sizeof(*power.reset_mem));
}

void acpi_power_init(void)
{
    const struct acpi_header *dsdt;
    struct acpi_fadt fadt;
    uint64_t at;

    memset(&power, 0, sizeof(power));
    if (!acpi_fadt(&fadt)) {
        log_warn("ACPI: no FADT: the machine cannot be powered off");
        return;
    }
    power.pm1a = port_of(fadt.pm1a_cnt);
    power.pm1b = port_of(fadt.pm1b_cnt);
    power.pm_tmr = port_of(fadt.pm_tmr);
    power.smi_cmd = port_of(fadt.smi_cmd);
    power.acpi_enable = fadt.acpi_enable;
    reset_init(&fadt);
    at = fadt.x_dsdt ? fadt.x_dsdt : fadt.dsdt;
    dsdt = at ? acpi_load(hpa(at)) : NULL;
    power.s5 = dsdt && find_s5(dsdt);
    if (!power.s5)
        log_warn("ACPI: no \\_S5: the machine cannot be powered off");
}

uint16_t acpi_pm_timer_port(void)
{
    return power.pm_tmr;
}

/* The chip set obeys SLP_EN only in ACPI mode (4.8.2.5); firmware switches to it on request. */
static bool enter_acpi_mode(void)
{
    if ((inw(power.pm1a) & PM1_SCI_EN) || !power.smi_cmd || !power.acpi_enable)
        return true;
    outb(power.smi_cmd, power.acpi_enable);
    return wait_until(inw(power.pm1a) & PM1_SCI_EN, SCI_WAIT);
}

static void sleep(uint16_t port, uint8_t typ)
{
    uint32_t v = inw(port) & ~(PM1_SLP_TYP | PM1_SLP_EN);

    v |= (uint32_t)FIELD_PREP(PM1_SLP_TYP, typ);
    outw(port, (uint16_t)v);
    outw(port, (uint16_t)(v | PM1_SLP_EN));
}

void acpi_power_off(void)
{
    if (!power.s5 || !power.pm1a)
        return;
    if (!enter_acpi_mode())
        log_warn("ACPI: the firmware did not switch to ACPI mode");
    sleep(power.pm1a, power.slp_typ[0]);
    if (power.pm1b)
        sleep(power.pm1b, power.slp_typ[1]);
}

/* With an empty IDT the breakpoint cannot be delivered, nor can the double fault that follows. */
static void triple_fault(void)
{
    static const struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) none = {0, 0};

    __asm__ volatile("lidt %0; int3" : : "m"(none));
}

void acpi_reset(void)
{
    if (power.reset_port)
        outb(power.reset_port, power.reset_value);
    if (power.reset_mem)
        *power.reset_mem = power.reset_value;
    outb(RST_CNT, RST_CNT_SYS);
    outb(RST_CNT, RST_CNT_FULL);
    triple_fault();
}
