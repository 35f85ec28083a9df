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

/* DMAR: Intel VT-d specification 4.1, section 8.1. */
#define DMAR_FLAGS      37u
#define DMAR_INTR_REMAP BIT32(0)
#define DMAR_ENTRIES    48u
#define DMAR_DRHD       0
#define DRHD_BASE       8u

/* IVRS: AMD I/O Virtualization Technology (48882) revision 3.08, section 5.2. */
#define IVRS_ENTRIES        48u
#define IVHD_10H            0x10
#define IVHD_11H            0x11
#define IVHD_40H            0x40
#define IVHD_BASE           8u
#define IVHD_EFR            24u
#define IVHD_EFR_XTSUP      BIT(2) /* x2APIC destinations */
#define IVHD_EFR_IASUP      BIT(6) /* INVALIDATE_IOMMU_ALL */
#define IVHD_EFR_GASUP      BIT(7) /* 128-bit remapping entries */
#define IVHD_EFR_NEEDED     (IVHD_EFR_XTSUP | IVHD_EFR_IASUP | IVHD_EFR_GASUP)
#define IVHD_10H_DEVICES    24u
#define IVHD_11H_DEVICES    40u
#define IVHD_DEV_SPECIAL    72
#define IVHD_DEV_ACPI_HID   240
#define IVHD_HID_UIDLEN     21u
#define IVHD_SPECIAL_KIND   7u
#define IVHD_SPECIAL_IOAPIC 1

/* A table that has been checked. */
struct table {
    const uint8_t *at;
    uint32_t length;
};

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

static bool fetch_table(const struct reader *r, uint64_t pa, struct table *t)
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

/* Notes down a table that the hypervisor reads itself. */
static void keep(const struct reader *r, const struct table *t)
{
    struct acpi_facts *f = r->facts;

    f->table[f->ntables++] = (struct boot_table){(uint64_t)t->at, t->length};
}

/* --- one function for each table --- */

/* The number in `size` bytes at an offset; 0 beyond the end: older revisions of a table are shorter. */
static uint64_t field(const struct table *t, uint32_t off, uint32_t size)
{
    uint64_t v = 0;

    if (off <= t->length && size <= t->length - off)
        memcpy(&v, t->at + off, size);
    return v;
}

/* A port number of the FADT, or 0 if it is none. */
static uint16_t port_at(const struct table *t, uint32_t off, uint32_t size)
{
    uint64_t address = field(t, off, size);

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
static bool find_s5(const struct table *dsdt, uint8_t slp_typ[2])
{
    const uint8_t *p = dsdt->at + HEADER_BYTES;

    for (size_t left = dsdt->length - HEADER_BYTES; left > 4; p++, left--)
        if (memcmp(p, "_S5_", 4) == 0 && s5_package(p + 4, left - 4, slp_typ))
            return true;
    return false;
}

/* Only this one names the DSDT, whose checks are the same. */
static void read_fadt(const struct reader *r, const struct table *t)
{
    struct boot_power *p = &r->facts->machine.power;
    uint64_t dsdt = field(t, FADT_X_DSDT, 8);
    struct table d;

    *p = (struct boot_power){.pm_timer = port_at(t, FADT_PM_TMR, 4)};
    p->acpi_enable = (uint8_t)field(t, FADT_ACPI_ENABLE, 1);
    if (p->acpi_enable)
        p->smi_cmd = port_at(t, FADT_SMI_CMD, 4);
    if ((field(t, FADT_FLAGS, 4) & FADT_RESET_REG_SUP) && field(t, FADT_RESET_SPACE, 1) == ACPI_SPACE_IO)
        p->reset = port_at(t, FADT_RESET_ADDRESS, 8);
    p->reset_value = (uint8_t)field(t, FADT_RESET_VALUE, 1);
    if (!dsdt)
        dsdt = field(t, FADT_DSDT, 4);
    if (dsdt && fetch_table(r, dsdt, &d) && find_s5(&d, p->slp_typ)) {
        p->pm1_cnt[0] = port_at(t, FADT_PM1A_CNT, 4);
        p->pm1_cnt[1] = port_at(t, FADT_PM1B_CNT, 4);
    }
}

/* True, and its id, if the entry of `length` bytes is a processor that can be used now. */
static bool usable_cpu(const struct table *t, uint32_t at, uint32_t length, uint32_t *id)
{
    for (const struct cpu_entry *e = cpu_entries; e < cpu_entries + ARRAY_SIZE(cpu_entries); e++) {
        if (t->at[at] != e->type || length < e->size)
            continue;
        *id = (uint32_t)field(t, at + e->id, e->id_size);
        return (field(t, at + e->flags, 4) & MADT_ENABLED) && *id != e->all;
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

static void read_madt(const struct reader *r, const struct table *t)
{
    uint32_t step, id;

    for (uint32_t at = MADT_ENTRIES; at < t->length; at += step) {
        step = (uint32_t)field(t, at + 1, 1);
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

    for (size_t i = 0; i < r->nmem; i++)
        if (memmap_is_ram(r->mem[i].type) && start < r->mem[i].base + r->mem[i].size && r->mem[i].base < end)
            return false;
    for (const struct boot_ecam *o = m->ecam; o < m->ecam + m->necam; o++)
        if (o->segment == w->segment && w->first_bus <= o->last_bus && w->last_bus >= o->first_bus)
            return false;
    return IS_ALIGNED(w->base, ECAM_BUS) && w->base && w->base < ECAM_END && end <= ECAM_END &&
           w->first_bus <= w->last_bus;
}

static void read_mcfg(const struct reader *r, const struct table *t)
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

static void add_unit(const struct reader *r, uint64_t base)
{
    if (r->facts->nunits < ACPI_UNITS_MAX)
        r->facts->unit[r->facts->nunits++] = base;
}

static void read_dmar(const struct reader *r, const struct table *t)
{
    uint32_t step;

    keep(r, t);
    for (uint32_t at = DMAR_ENTRIES; at + 4 <= t->length; at += step) {
        step = get16(t->at + at + 2);
        if (step < 4 || step > t->length - at) {
            refuse(r, t->at, "an entry's length is wrong");
            r->facts->iommu = IOMMU_NONE;
            return;
        }
        if (get16(t->at + at) != DMAR_DRHD)
            continue;
        r->facts->iommu = IOMMU_VTD;
        add_unit(r, field(t, at + DRHD_BASE, 8));
    }
    r->facts->remapping = r->facts->iommu == IOMMU_VTD && (t->at[DMAR_FLAGS] & DMAR_INTR_REMAP);
}

/*
 * Bytes of a device entry: by the two high bits of its type, except for the one with a string at its end
 * (48882 table 94).
 */
static uint32_t ivhd_entry_bytes(const uint8_t *e, uint32_t room)
{
    if (e[0] == IVHD_DEV_ACPI_HID)
        return room > IVHD_HID_UIDLEN ? IVHD_HID_UIDLEN + 1 + e[IVHD_HID_UIDLEN] : 0;
    return 4u << (e[0] >> 6);
}

/*
 * Does this block name the I/O APIC's requester id? Without it the interrupts cannot be remapped, and QEMU
 * leaves it out then.
 */
static bool ivhd_has_ioapic(const uint8_t *ivhd, uint32_t devices, uint32_t length)
{
    uint32_t step;

    for (uint32_t at = devices; at < length; at += step) {
        step = ivhd_entry_bytes(ivhd + at, length - at);
        if (step == 0 || step > length - at)
            return false;
        if (ivhd[at] == IVHD_DEV_SPECIAL && ivhd[at + IVHD_SPECIAL_KIND] == IVHD_SPECIAL_IOAPIC)
            return true;
    }
    return false;
}

static void read_ivrs(const struct reader *r, const struct table *t)
{
    bool ioapic = false, wide = false;
    uint32_t step;

    keep(r, t);
    for (uint32_t at = IVRS_ENTRIES; at + 4 <= t->length; at += step) {
        const uint8_t *b = t->at + at;
        bool full = b[0] == IVHD_11H || b[0] == IVHD_40H;

        step = get16(b + 2);
        if (step < 4 || step > t->length - at) {
            refuse(r, t->at, "an entry's length is wrong");
            r->facts->iommu = IOMMU_NONE;
            return;
        }
        if (!full && b[0] != IVHD_10H)
            continue;
        r->facts->iommu = IOMMU_AMDVI;
        add_unit(r, field(t, at + IVHD_BASE, 8));
        ioapic |= ivhd_has_ioapic(b, full ? IVHD_11H_DEVICES : IVHD_10H_DEVICES, step);
        wide |=
            full && step >= IVHD_11H_DEVICES && (get64(b + IVHD_EFR) & IVHD_EFR_NEEDED) == IVHD_EFR_NEEDED;
    }
    r->facts->remapping = r->facts->iommu == IOMMU_AMDVI && ioapic && wide;
}

static void read_table(const struct reader *r, uint64_t pa)
{
    static const struct {
        char signature[5];
        void (*read)(const struct reader *r, const struct table *t);
    } known[] = {{"APIC", read_madt},
                 {"FACP", read_fadt},
                 {"MCFG", read_mcfg},
                 {"DMAR", read_dmar},
                 {"IVRS", read_ivrs}};
    struct table t;

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

void acpi_read(struct acpi_facts *f, uint64_t rsdp, const struct boot_mem *mem, size_t nmem,
               void (*warn)(const char *line))
{
    const struct reader r = {f, mem, nmem, warn};
    const uint8_t *p = (const uint8_t *)(uintptr_t)rsdp;
    struct table root;

    memset(f, 0, sizeof(*f));
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
