/* SPDX-License-Identifier: BSD-2-Clause */
/* Power-off, reset and the PM timer: the FADT's fixed hardware (ACPI 6.5 4.8), looked up at boot. */
#include "kernel/acpi/acpi.h"
#include "kernel/console/console.h"
#include "kernel/console/log.h"
#include "kernel/cpu/x86.h"
#include "kernel/lib/bits.h"
#include "kernel/lib/string.h"
#include "kernel/lib/wait.h"

/* Offsets in the FADT, 5.2.9; older revisions are shorter, what they lack reads as 0. Addresses are of I/O ports. */
#define FADT_DSDT          40
#define FADT_SMI_CMD       48
#define FADT_ACPI_ENABLE   52
#define FADT_PM1A_CNT      64
#define FADT_PM1B_CNT      68
#define FADT_PM_TMR        76
#define FADT_FLAGS         112
#define FADT_RESET_REG_SUP BIT32(10)
#define FADT_RESET_SPACE   116 /* of a generic address structure, 5.2.3.2: */
#define ACPI_SPACE_IO      1
#define FADT_RESET_ADDRESS 120
#define FADT_RESET_VALUE   128
#define FADT_X_DSDT        140

/* PM1 control register, 4.8.3.2.1. */
#define PM1_SCI_EN  BIT32(0)
#define PM1_SLP_TYP GENMASK32(12, 10)
#define PM1_SLP_EN  BIT32(13)
#define SLP_TYP_MAX 7
#define SCI_WAIT    (100 * NS_PER_MS)

/* AML, ACPI 6.5 chapter 20. */
#define AML_BYTE_PREFIX 0x0a
#define AML_PACKAGE_OP  0x12
#define AML_LEAD_COUNT  GENMASK32(7, 6) /* of a PkgLength: how many bytes follow */

static const struct acpi_header *fadt;
static uint8_t slp_typ[2]; /* for PM1a and PM1b */
static bool has_s5;        /* slp_typ is known */

/* Package () { SLP_TYPa, SLP_TYPb, ... } right after the name _S5_ (7.4.2, 20.2.5.4): operator, PkgLength,
 * number of elements, and elements that are ZeroOp, OneOp or a byte constant. */
static bool s5_package(const uint8_t *p, size_t left)
{
    size_t at = left >= 2 && p[0] == AML_PACKAGE_OP ? 3 + FIELD_GET(AML_LEAD_COUNT, p[1]) : left;

    for (unsigned i = 0; i < ARRAY_SIZE(slp_typ); i++, at++) {
        at += at < left && p[at] == AML_BYTE_PREFIX;
        if (at >= left || p[at] > SLP_TYP_MAX)
            return false;
        slp_typ[i] = p[at];
    }
    return true;
}

/* AML is not interpreted: the name stands in the DSDT's bytes as it is. */
static bool find_s5(const struct acpi_header *dsdt)
{
    const uint8_t *p = (const uint8_t *)(dsdt + 1);

    for (size_t left = dsdt->length - sizeof(*dsdt); left > 4; p++, left--)
        if (memcmp(p, "_S5_", 4) == 0 && s5_package(p + 4, left - 4))
            return true;
    return false;
}

void acpi_power_init(void)
{
    const struct acpi_header *dsdt;
    uint64_t at;

    fadt = acpi_find("FACP");
    at = acpi_read(fadt, FADT_X_DSDT, 8);
    at = at ? at : acpi_read(fadt, FADT_DSDT, 4);
    dsdt = at ? acpi_load(hpa(at)) : NULL;
    has_s5 = dsdt && find_s5(dsdt);
    if (!has_s5)
        log_warn("ACPI: no %s: the machine cannot be powered off", fadt ? "\\_S5" : "FADT");
}

/* A port number of the FADT, or 0 if it is none. */
static uint16_t port_at(size_t off)
{
    uint64_t address = acpi_read(fadt, off, 4);

    return address <= UINT16_MAX ? (uint16_t)address : 0;
}

uint16_t acpi_pm_timer_port(void)
{
    return port_at(FADT_PM_TMR);
}

/* The chip set obeys SLP_EN only in ACPI mode (4.8.2.5); firmware switches to it on request. */
static bool enter_acpi_mode(uint16_t pm1a)
{
    uint16_t smi_cmd = port_at(FADT_SMI_CMD);
    uint8_t enable = (uint8_t)acpi_read(fadt, FADT_ACPI_ENABLE, 1);

    if ((inw(pm1a) & PM1_SCI_EN) || !smi_cmd || !enable)
        return true;
    outb(smi_cmd, enable);
    return wait_until(inw(pm1a) & PM1_SCI_EN, SCI_WAIT);
}

static void sleep(uint16_t port, uint8_t typ)
{
    uint32_t v = (inw(port) & ~(PM1_SLP_TYP | PM1_SLP_EN)) | (uint32_t)FIELD_PREP(PM1_SLP_TYP, typ);

    outw(port, (uint16_t)v);
    outw(port, (uint16_t)(v | PM1_SLP_EN));
}

void acpi_power_off(void)
{
    uint16_t pm1a = port_at(FADT_PM1A_CNT), pm1b = port_at(FADT_PM1B_CNT);

    console_flush();
    if (!has_s5 || !pm1a)
        return;
    if (!enter_acpi_mode(pm1a))
        log_warn("ACPI: the firmware did not switch to ACPI mode");
    sleep(pm1a, slp_typ[0]);
    if (pm1b)
        sleep(pm1b, slp_typ[1]);
}

/* At last a triple fault: with an empty IDT neither the breakpoint can be delivered nor the double fault. */
void acpi_reset(void)
{
    static const struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) no_idt = {0, 0};
    uint64_t address = acpi_read(fadt, FADT_RESET_ADDRESS, 8);

    console_flush();
    if ((acpi_read(fadt, FADT_FLAGS, 4) & FADT_RESET_REG_SUP) && address <= UINT16_MAX &&
        acpi_read(fadt, FADT_RESET_SPACE, 1) == ACPI_SPACE_IO)
        outb((uint16_t)address, (uint8_t)acpi_read(fadt, FADT_RESET_VALUE, 1));
    __asm__ volatile("lidt %0; int3" : : "m"(no_idt));
}
