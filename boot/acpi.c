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
#define FADT_DSDT   40u
#define FADT_X_DSDT 140u

/* MADT, section 5.2.12: entries behind 44 bytes. */
#define MADT_ENTRIES      44u
#define MADT_LAPIC        0
#define MADT_LAPIC_FLAGS  4u
#define MADT_X2APIC       9
#define MADT_X2APIC_FLAGS 8u
#define MADT_ENABLED      BIT32(0)

#define MCFG_ENTRIES 44u
#define MCFG_BYTES   16u

/* DMAR: Intel VT-d specification 4.1, section 8.1. */
#define DMAR_FLAGS      37u
#define DMAR_INTR_REMAP BIT32(0)
#define DMAR_ENTRIES    48u
#define DMAR_DRHD       0

/* IVRS: AMD I/O Virtualization Technology (48882) revision 3.08, section 5.2. */
#define IVRS_ENTRIES        48u
#define IVHD_10H            0x10
#define IVHD_11H            0x11
#define IVHD_40H            0x40
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

/* Notes down a table that the hypervisor reads itself; of several with one name the first. */
static void keep(const struct reader *r, const struct table *t)
{
    struct acpi_facts *f = r->facts;

    for (unsigned i = 0; i < f->ntables; i++)
        if (memcmp((const void *)(uintptr_t)f->table[i].base, t->at, 4) == 0)
            return;
    if (f->ntables < BOOT_TABLES_MAX)
        f->table[f->ntables++] = (struct boot_table){(uint64_t)t->at, t->length};
}

/* --- one function for each table --- */

/* Only this one names the DSDT, whose checks are the same. */
static void read_fadt(const struct reader *r, const struct table *t)
{
    uint64_t dsdt = t->length >= FADT_X_DSDT + 8 ? get64(t->at + FADT_X_DSDT) : 0;
    struct table d;

    if (!dsdt && t->length >= FADT_DSDT + 4)
        dsdt = get32(t->at + FADT_DSDT);
    if (dsdt && fetch_table(r, dsdt, &d))
        keep(r, &d);
}

static void read_madt(const struct reader *r, const struct table *t)
{
    uint32_t step;

    for (uint32_t at = MADT_ENTRIES; at + 2 <= t->length; at += step) {
        const uint8_t *e = t->at + at;

        step = e[1];
        if (step < 2 || step > t->length - at) {
            refuse(r, t->at, "an entry's length is wrong");
            r->facts->cpus = 0;
            return;
        }
        if (e[0] == MADT_LAPIC && step >= MADT_LAPIC_FLAGS + 4)
            r->facts->cpus += get32(e + MADT_LAPIC_FLAGS) & MADT_ENABLED;
        else if (e[0] == MADT_X2APIC && step >= MADT_X2APIC_FLAGS + 4)
            r->facts->cpus += get32(e + MADT_X2APIC_FLAGS) & MADT_ENABLED;
    }
}

static void read_mcfg(const struct reader *r, const struct table *t)
{
    for (uint32_t at = MCFG_ENTRIES; at + MCFG_BYTES <= t->length && r->facts->necam < ACPI_ECAM_MAX;
         at += MCFG_BYTES) {
        const uint8_t *e = t->at + at;
        struct acpi_ecam w = {get64(e), get16(e + 8), e[10], e[11]};

        if (w.base && IS_ALIGNED(w.base, (uint64_t)1 << 20) && w.first_bus <= w.last_bus)
            r->facts->ecam[r->facts->necam++] = w;
    }
}

static void read_dmar(const struct reader *r, const struct table *t)
{
    uint32_t step;

    for (uint32_t at = DMAR_ENTRIES; at + 4 <= t->length; at += step) {
        step = get16(t->at + at + 2);
        if (step < 4 || step > t->length - at) {
            refuse(r, t->at, "an entry's length is wrong");
            r->facts->iommu = IOMMU_NONE;
            return;
        }
        if (get16(t->at + at) == DMAR_DRHD)
            r->facts->iommu = IOMMU_VTD;
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
        if (memcmp((const void *)(uintptr_t)pa, known[i].signature, 4) == 0 && fetch_table(r, pa, &t)) {
            keep(r, &t);
            known[i].read(r, &t);
        }
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
}
