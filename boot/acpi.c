/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/acpi.h"
#include "boot/memmap.h"
#include "kernel/lib/types.h"
#include <string.h>

#define HEADER_BYTES 36u
#define TABLE_MAX    ((uint32_t)16 << 20)

/* RSDP, ACPI 6.5 table 5.3. */
#define RSDP_REVISION 15
#define RSDP_LENGTH   20
#define RSDP_XSDT     24
#define RSDP_V2_BYTES 36

/* FADT, section 5.2.9. */
#define FADT_DSDT          40u
#define FADT_SMI_CMD       48u
#define FADT_ACPI_ENABLE   52u
#define FADT_PM1A_CNT      64u
#define FADT_PM1B_CNT      68u
#define FADT_PM_TMR        76u
#define FADT_FLAGS         112u
#define FADT_RESET_REG_SUP BIT32(10)
#define FADT_RESET_SPACE   116u /* of a generic address structure, 5.2.3.2: */
#define ACPI_SPACE_IO      1
#define FADT_RESET_ADDRESS 120u
#define FADT_RESET_VALUE   128u
#define FADT_X_DSDT        140u

/* AML, ACPI 6.5 chapter 20. */
#define AML_BYTE_PREFIX 0x0a
#define AML_PACKAGE_OP  0x12
#define AML_LEAD_COUNT  GENMASK32(7, 6) /* of a PkgLength: how many bytes follow */
#define SLP_TYP_MAX     7

/* MADT, section 5.2.12: entries behind 44 bytes. */
#define MADT_ENTRIES 44u
#define MADT_ENABLED BIT32(0)

/* Its entries for processors: sizes and offsets. An id of all ones means all of them. */
static const struct cpu_entry {
    uint8_t type, size, id, id_size, flags;
    uint32_t all;
} cpu_entries[] = {
    {0, 8, 3, 1, 4, UINT8_MAX},   /* local APIC, table 5.21 */
    {9, 16, 4, 4, 8, UINT32_MAX}, /* local x2APIC, table 5.36 */
};

#define MCFG_ENTRIES 44u
#define MCFG_BYTES   16u
#define ECAM_BUS     BIT(20)
#define ECAM_END     BIT(52) /* no physical address is wider */

struct reader {
    struct acpi_facts *facts;
    const struct boot_mem *mem;
    size_t nmem;
    void (*warn)(const char *line);
};

static uint16_t get16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t get32(const uint8_t *p)
{
    return get16(p) | (uint32_t)get16(p + 2) << 16;
}

static uint64_t get64(const uint8_t *p)
{
    return get32(p) | (uint64_t)get32(p + 4) << 32;
}

static bool sum_is_zero(const uint8_t *p, uint32_t n)
{
    uint8_t sum = 0;

    while (n--)
        sum = (uint8_t)(sum + *p++);
    return sum == 0;
}

static void refuse(const struct reader *r, const uint8_t *signature, const char *why)
{
    char line[96], name[5];

    for (unsigned i = 0; i < 4; i++)
        name[i] = signature && signature[i] >= 0x20 && signature[i] < 0x7f ? (char)signature[i] : '?';
    name[4] = 0;
    text_format(line, sizeof(line), "ACPI: table %s ignored: %s", name, why);
    r->warn(line);
}

static bool fetch_table(const struct reader *r, uint64_t pa, struct acpi_table *t)
{
    const uint8_t *p = (const uint8_t *)(uintptr_t)pa;

    if (!memmap_listed(r->mem, r->nmem, pa, HEADER_BYTES)) {
        refuse(r, NULL, "not in memory");
        return false;
    }
    t->at = p;
    t->length = get32(p + 4);
    if (t->length < HEADER_BYTES || t->length > TABLE_MAX || !memmap_listed(r->mem, r->nmem, pa, t->length)) {
        refuse(r, p, "bad length");
        return false;
    }
    if (!sum_is_zero(p, t->length)) {
        refuse(r, p, "bad checksum");
        return false;
    }
    return true;
}

/* --- one function for each table --- */

uint64_t acpi_field(const struct acpi_table *t, uint32_t off, uint32_t size)
{
    uint64_t v = 0;

    if (off <= t->length && size <= t->length - off)
        memcpy(&v, t->at + off, size);
    return v;
}

/* A port number of the FADT, or 0 if it is none. */
static uint16_t port_at(const struct acpi_table *t, uint32_t off, uint32_t size)
{
    uint64_t address = acpi_field(t, off, size);

    return address <= UINT16_MAX ? (uint16_t)address : 0;
}

/*
 * Package () { SLP_TYPa, SLP_TYPb, ... } right after the name _S5_ (7.4.2, 20.2.5.4): operator, PkgLength,
 * number of elements, and elements that are ZeroOp, OneOp or a byte constant.
 */
static bool s5_package(const uint8_t *p, size_t left, uint8_t slp_typ[2])
{
    size_t at = left >= 2 && p[0] == AML_PACKAGE_OP ? 3 + FIELD_GET(AML_LEAD_COUNT, p[1]) : left;

    for (unsigned i = 0; i < 2; i++, at++) {
        at += at < left && p[at] == AML_BYTE_PREFIX;
        if (at >= left || p[at] > SLP_TYP_MAX)
            return false;
        slp_typ[i] = p[at];
    }
    return true;
}

/* AML is not interpreted: the name stands in the DSDT's bytes as it is. */
static bool find_s5(const struct acpi_table *dsdt, uint8_t slp_typ[2])
{
    const uint8_t *p = dsdt->at + HEADER_BYTES;

    for (size_t left = dsdt->length - HEADER_BYTES; left > 4; p++, left--)
        if (memcmp(p, "_S5_", 4) == 0 && s5_package(p + 4, left - 4, slp_typ))
            return true;
    return false;
}

/* Only this one names the DSDT, whose checks are the same. */
static void read_fadt(const struct reader *r, const struct acpi_table *t)
{
    struct boot_power *p = &r->facts->machine.power;
    uint64_t dsdt = acpi_field(t, FADT_X_DSDT, 8);
    struct acpi_table d;

    *p = (struct boot_power){.pm_timer = port_at(t, FADT_PM_TMR, 4)};
    p->acpi_enable = (uint16_t)acpi_field(t, FADT_ACPI_ENABLE, 1);
    if (p->acpi_enable)
        p->smi_cmd = port_at(t, FADT_SMI_CMD, 4);
    if ((acpi_field(t, FADT_FLAGS, 4) & FADT_RESET_REG_SUP) &&
        acpi_field(t, FADT_RESET_SPACE, 1) == ACPI_SPACE_IO)
        p->reset = port_at(t, FADT_RESET_ADDRESS, 8);
    p->reset_value = (uint8_t)acpi_field(t, FADT_RESET_VALUE, 1);
    if (!dsdt)
        dsdt = acpi_field(t, FADT_DSDT, 4);
    if (dsdt && fetch_table(r, dsdt, &d) && find_s5(&d, p->slp_typ)) {
        p->pm1_cnt[0] = port_at(t, FADT_PM1A_CNT, 4);
        p->pm1_cnt[1] = p->pm1_cnt[0] ? port_at(t, FADT_PM1B_CNT, 4) : 0;
    }
}

/* True, and its id, if the entry of `length` bytes is a processor that can be used now. */
static bool usable_cpu(const struct acpi_table *t, uint32_t at, uint32_t length, uint32_t *id)
{
    for (const struct cpu_entry *e = cpu_entries; e < cpu_entries + ARRAY_SIZE(cpu_entries); e++) {
        if (t->at[at] != e->type || length < e->size)
            continue;
        *id = (uint32_t)acpi_field(t, at + e->id, e->id_size);
        return (acpi_field(t, at + e->flags, 4) & MADT_ENABLED) && *id != e->all;
    }
    return false;
}

/* Firmware may list a processor both as a local APIC and as an x2APIC. */
static void add_cpu(struct boot_machine *m, uint32_t id)
{
    for (unsigned i = 0; i < MIN(m->ncpus, BOOT_CPUS_MAX); i++)
        if (m->cpu[i] == id)
            return;
    if (m->ncpus < BOOT_CPUS_MAX)
        m->cpu[m->ncpus] = id;
    m->ncpus++;
}

static void read_madt(const struct reader *r, const struct acpi_table *t)
{
    uint32_t step, id;

    for (uint32_t at = MADT_ENTRIES; at < t->length; at += step) {
        step = (uint32_t)acpi_field(t, at + 1, 1);
        if (step < 2 || step > t->length - at) {
            r->warn("ACPI: table APIC: malformed entry, the rest is ignored");
            return;
        }
        if (usable_cpu(t, at, step, &id))
            add_cpu(&r->facts->machine, id);
    }
}

/* A window over RAM would make memory out of configuration writes; a bus is in one window. */
static bool ecam_is_sound(const struct reader *r, const struct boot_ecam *w)
{
    const struct boot_machine *m = &r->facts->machine;
    uint64_t start = w->base + w->first_bus * ECAM_BUS,
             end = w->base + (w->last_bus + (uint64_t)1) * ECAM_BUS;

    for (const struct boot_ecam *o = m->ecam; o < m->ecam + m->necam; o++)
        if (o->segment == w->segment && w->first_bus <= o->last_bus && w->last_bus >= o->first_bus)
            return false;
    return IS_ALIGNED(w->base, ECAM_BUS) && w->base && w->base < ECAM_END && end <= ECAM_END &&
           w->first_bus <= w->last_bus && !memmap_over_ram(r->mem, r->nmem, start, end - start);
}

static void read_mcfg(const struct reader *r, const struct acpi_table *t)
{
    struct boot_machine *m = &r->facts->machine;
    char line[96];

    for (uint32_t at = MCFG_ENTRIES; at + MCFG_BYTES <= t->length; at += MCFG_BYTES) {
        const uint8_t *e = t->at + at;
        struct boot_ecam w = {get64(e), get16(e + 8), e[10], e[11]};

        if (m->necam < BOOT_ECAM_MAX && ecam_is_sound(r, &w)) {
            m->ecam[m->necam++] = w;
            continue;
        }
        text_format(line, sizeof(line), "ACPI: table MCFG: the window at 0x%lx is refused", w.base);
        r->warn(line);
    }
}

static void keep_dmar(const struct reader *r, const struct acpi_table *t)
{
    r->facts->dmar = *t;
}

static void keep_ivrs(const struct reader *r, const struct acpi_table *t)
{
    r->facts->ivrs = *t;
}

static void read_table(const struct reader *r, uint64_t pa)
{
    static const struct {
        char signature[5];
        void (*read)(const struct reader *r, const struct acpi_table *t);
    } known[] = {{"APIC", read_madt},
                 {"FACP", read_fadt},
                 {"MCFG", read_mcfg},
                 {"DMAR", keep_dmar},
                 {"IVRS", keep_ivrs}};
    struct acpi_table t;

    if (!memmap_listed(r->mem, r->nmem, pa, 4)) {
        refuse(r, NULL, "not in memory");
        return;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(known); i++) {
        if (memcmp((const void *)(uintptr_t)pa, known[i].signature, 4) != 0 || (r->facts->seen & BIT32(i)) ||
            !fetch_table(r, pa, &t))
            continue;
        r->facts->seen |= BIT32(i); /* of several with one name the first */
        known[i].read(r, &t);
    }
}

/* --- the way there --- */

void acpi_read(struct acpi_facts *f, uint64_t rsdp, uint32_t self, const struct boot_mem *mem, size_t nmem,
               void (*warn)(const char *line))
{
    const struct reader r = {f, mem, nmem, warn};
    const uint8_t *p = (const uint8_t *)(uintptr_t)rsdp;
    struct acpi_table root;

    memset(f, 0, sizeof(*f));
    add_cpu(&f->machine, self);
    if (!rsdp || !memmap_listed(mem, nmem, rsdp, RSDP_V2_BYTES) || memcmp(p, "RSD PTR ", 8) != 0 ||
        p[RSDP_REVISION] < 2 || get32(p + RSDP_LENGTH) != RSDP_V2_BYTES || !sum_is_zero(p, RSDP_V2_BYTES)) {
        warn("ACPI: no valid RSDP of revision 2");
        return;
    }
    if (!fetch_table(&r, get64(p + RSDP_XSDT), &root))
        return;
    if (memcmp(root.at, "XSDT", 4) != 0) {
        refuse(&r, root.at, "not an XSDT");
        return;
    }
    f->xsdt = true;
    for (uint32_t at = HEADER_BYTES; at + 8 <= root.length; at += 8)
        read_table(&r, get64(root.at + at));
    if (!f->machine.power.pm1_cnt[0])
        warn("ACPI: no PM1 control register or no \\_S5: the machine cannot be powered off");
}
