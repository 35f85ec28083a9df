/* SPDX-License-Identifier: BSD-2-Clause */
/* Power-off, reset and the PM timer: the FADT's fixed hardware (ACPI 6.5 4.8), looked up at boot. */
#include "kernel/acpi/acpi.h"
#include "kernel/console/console.h"
#include "kernel/console/log.h"
#include "kernel/cpu/x86.h"
#include "kernel/lib/bits.h"
#include "kernel/lib/string.h"
#include "kernel/lib/wait.h"

/* FADT, 5.2.9; older revisions are shorter, what they lack counts as 0. Addresses are of I/O ports. */
struct acpi_fadt {
    struct acpi_header header;
    uint32_t facs, dsdt;
    uint8_t unused1[4];
    uint32_t smi_cmd;
    uint8_t acpi_enable, unused2[11];
    uint32_t pm1a_cnt, pm1b_cnt, pm2_cnt, pm_tmr;
    uint8_t unused3[32];
    uint32_t flags;
    struct { /* generic address structure, 5.2.3.2 */
        uint8_t space, width, offset, access;
        uint64_t address;
    } __attribute__((packed)) reset_reg;
    uint8_t reset_value, unused4[11];
    uint64_t x_dsdt;
} __attribute__((packed));

_Static_assert(offsetof(struct acpi_fadt, pm1a_cnt) == 64, "ACPI 6.5 table 5.9");
_Static_assert(offsetof(struct acpi_fadt, reset_reg) == 116, "ACPI 6.5 table 5.9");
_Static_assert(offsetof(struct acpi_fadt, x_dsdt) == 140, "ACPI 6.5 table 5.9");

#define FADT_RESET_REG_SUP BIT32(10)
#define ACPI_SPACE_IO      1

/* PM1 control register, 4.8.3.2.1. */
#define PM1_SCI_EN  BIT32(0)
#define PM1_SLP_TYP GENMASK32(12, 10)
#define PM1_SLP_EN  BIT32(13)
#define SLP_TYP_MAX 7
#define SCI_WAIT    (100 * NS_PER_MS)

/* Reset control register of the chip set: full reset on the rising edge of RST_CPU. */
#define RST_CNT      0xcf9
#define RST_CNT_SYS  0x02
#define RST_CNT_FULL 0x06

/* AML, ACPI 6.5 chapter 20. */
#define AML_BYTE_PREFIX 0x0a
#define AML_PACKAGE_OP  0x12
#define AML_LEAD_COUNT  GENMASK32(7, 6) /* of a PkgLength: how many bytes follow */

static struct acpi_fadt fadt;
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
    const struct acpi_header *h = acpi_find("FACP"), *dsdt;
    uint64_t at;

    memset(&fadt, 0, sizeof(fadt));
    if (h)
        memcpy(&fadt, h, MIN(h->length, sizeof(fadt)));
    at = fadt.x_dsdt ? fadt.x_dsdt : fadt.dsdt;
    dsdt = at ? acpi_load(hpa(at)) : NULL;
    has_s5 = dsdt && find_s5(dsdt);
    if (!has_s5)
        log_warn("ACPI: no %s: the machine cannot be powered off", h ? "\\_S5" : "FADT");
}

/* A port number of the FADT, or 0 if it is none. */
static uint16_t port_of(uint32_t address)
{
    return address <= UINT16_MAX ? (uint16_t)address : 0;
}

uint16_t acpi_pm_timer_port(void)
{
    return port_of(fadt.pm_tmr);
}

/* The chip set obeys SLP_EN only in ACPI mode (4.8.2.5); firmware switches to it on request. */
static bool enter_acpi_mode(uint16_t pm1a)
{
    uint16_t smi_cmd = port_of(fadt.smi_cmd);

    if ((inw(pm1a) & PM1_SCI_EN) || !smi_cmd || !fadt.acpi_enable)
        return true;
    outb(smi_cmd, fadt.acpi_enable);
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
    uint16_t pm1a = port_of(fadt.pm1a_cnt), pm1b = port_of(fadt.pm1b_cnt);

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

    console_flush();
    if ((fadt.flags & FADT_RESET_REG_SUP) && fadt.reset_reg.space == ACPI_SPACE_IO &&
        fadt.reset_reg.address <= UINT16_MAX)
        outb((uint16_t)fadt.reset_reg.address, fadt.reset_value);
    outb(RST_CNT, RST_CNT_SYS);
    outb(RST_CNT, RST_CNT_FULL);
    __asm__ volatile("lidt %0; int3" : : "m"(no_idt));
}
