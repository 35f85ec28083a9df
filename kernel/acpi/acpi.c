/* SPDX-License-Identifier: BSD-2-Clause */
/* The tables, and what the FADT's fixed hardware (ACPI 6.5 4.8) is for: power-off, reset, the PM timer. */
#include "kernel/acpi/acpi.h"
#include "kernel/console/console.h"
#include "kernel/console/log.h"
#include "kernel/cpu/x86.h"
#include "kernel/lib/string.h"
#include "kernel/lib/wait.h"
#include "kernel/mm/paging.h"

/* MADT, 5.2.12. Every entry begins with type and length. */
#define MADT_ENTRIES 44 /* offset of the first */
#define MADT_ENABLED BIT32(0)

/* Its entries for processors: sizes and offsets. An id of all ones means all of them. */
static const struct cpu_entry {
    uint8_t type, size, id, id_size, flags;
    uint32_t all;
} cpu_entries[] = {
    {0, 8, 3, 1, 4, UINT8_MAX},   /* local APIC, table 5.21 */
    {9, 16, 4, 4, 8, UINT32_MAX}, /* local x2APIC, table 5.36 */
};

/* Offsets in the FADT, 5.2.9; older revisions are shorter, what they lack reads as 0. Addresses are of I/O ports. */
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

static const struct bootinfo *boot;
static const struct acpi_header *fadt;
static uint8_t slp_typ[2]; /* for PM1a and PM1b */
static bool has_s5;        /* slp_typ is known */

const struct acpi_header *acpi_find(const char signature[4])
{
    for (const struct boot_table *t = boot->table; t < boot->table + BOOT_TABLES_MAX; t++)
        if (t->size && memcmp(hpa_to_ptr(hpa(t->base)), signature, 4) == 0)
            return hpa_to_ptr(hpa(t->base));
    return NULL;
}

uint64_t acpi_field(const struct acpi_header *h, size_t off, size_t size)
{
    uint64_t v = 0;

    if (h && off <= h->length && size <= h->length - off)
        memcpy(&v, (const uint8_t *)h + off, size);
    return v;
}

/* True, and its id, if the entry of `length` bytes is a processor that can be used now. */
static bool usable_cpu(const struct acpi_header *h, size_t at, size_t length, uint32_t *id)
{
    for (const struct cpu_entry *e = cpu_entries; e < cpu_entries + ARRAY_SIZE(cpu_entries); e++) {
        if (acpi_field(h, at, 1) != e->type || length < e->size)
            continue;
        *id = (uint32_t)acpi_field(h, at + e->id, e->id_size);
        return (acpi_field(h, at + e->flags, 4) & MADT_ENABLED) && *id != e->all;
    }
    return false;
}

/* Firmware may list a processor both as a local APIC and as an x2APIC. */
static bool is_listed(const uint32_t *ids, unsigned n, uint32_t id)
{
    while (n && ids[n - 1] != id)
        n--;
    return n != 0;
}

unsigned acpi_cpus(uint32_t *apic_ids, unsigned max)
{
    const struct acpi_header *h = acpi_find("APIC");
    unsigned count = 0;
    size_t length;
    uint32_t id;

    for (size_t at = MADT_ENTRIES; h && at < h->length; at += length) {
        length = acpi_field(h, at + 1, 1);
        if (length < 2 || length > h->length - at) {
            log_warn("ACPI: table APIC: malformed entry, the rest is ignored");
            break;
        }
        if (!usable_cpu(h, at, length, &id) || is_listed(apic_ids, MIN(count, max), id))
            continue;
        if (count < max)
            apic_ids[count] = id;
        count++;
    }
    return count;
}

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

void acpi_init(const struct bootinfo *bi)
{
    const struct acpi_header *dsdt;

    boot = bi;
    fadt = acpi_find("FACP");
    dsdt = acpi_find("DSDT");
    has_s5 = dsdt && find_s5(dsdt);
    if (!has_s5)
        log_warn("ACPI: no %s: the machine cannot be powered off", fadt ? "\\_S5" : "FADT");
}

/* A port number of the FADT, or 0 if it is none. */
static uint16_t port_at(size_t off)
{
    uint64_t address = acpi_field(fadt, off, 4);

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
    uint8_t enable = (uint8_t)acpi_field(fadt, FADT_ACPI_ENABLE, 1);

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
    uint64_t address = acpi_field(fadt, FADT_RESET_ADDRESS, 8);

    console_flush();
    if ((acpi_field(fadt, FADT_FLAGS, 4) & FADT_RESET_REG_SUP) && address <= UINT16_MAX &&
        acpi_field(fadt, FADT_RESET_SPACE, 1) == ACPI_SPACE_IO)
        outb((uint16_t)address, (uint8_t)acpi_field(fadt, FADT_RESET_VALUE, 1));
    __asm__ volatile("lidt %0; int3" : : "m"(no_idt));
}
