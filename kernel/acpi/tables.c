/* SPDX-License-Identifier: BSD-2-Clause */
/* Finds and checks the tables. All of them are read once, at boot; nothing is believed that its checks do not
 * cover. */
#include "kernel/acpi/acpi.h"
#include "kernel/console/log.h"
#include "kernel/lib/bits.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"
#include "kernel/mm/paging.h"

#define TABLES_MAX     64
#define TABLE_SIZE_MAX ((uint32_t)16 << 20) /* no real table comes near */

/* RSDP from revision 2 on, which every machine with UEFI has, 5.2.5.3. */
struct acpi_rsdp {
    char signature[8];
    uint8_t checksum;
    char oem_id[6];
    uint8_t revision;
    uint32_t rsdt, length;
    uint64_t xsdt;
    uint8_t extended_checksum; /* of all */
    uint8_t reserved[3];
} __attribute__((packed));

_Static_assert(sizeof(struct acpi_rsdp) == 36, "ACPI 6.5 table 5.3");

/* MADT, 5.2.12. Every entry begins with type and length. */
#define MADT_ENTRIES      44 /* offset of the first */
#define MADT_LAPIC        0  /* table 5.21 */
#define MADT_LAPIC_SIZE   8
#define MADT_LAPIC_ID     3
#define MADT_LAPIC_FLAGS  4
#define MADT_X2APIC       9 /* table 5.36 */
#define MADT_X2APIC_SIZE  16
#define MADT_X2APIC_ID    4
#define MADT_X2APIC_FLAGS 8
#define MADT_ENABLED      BIT32(0)

static const struct acpi_header *tables[TABLES_MAX];
static unsigned table_count;
static const struct boot_mem *memory;
static uint64_t memory_count;

/*
 * Memory that is free for use is no place for a table: it may hold something else by now. Reserved memory is
 * not in the direct map, and is read through a mapping of its own.
 */
static const void *map_table(hpa_t at, uint64_t size)
{
    for (const struct boot_mem *m = memory; m < memory + memory_count; m++) {
        uint64_t off = at.a - m->base;

        if (at.a < m->base || off >= m->size || size > m->size - off)
            continue;
        if (m->type == BOOT_MEM_ACPI || m->type == BOOT_MEM_RUNTIME)
            return hpa_to_ptr(at);
        return m->type == BOOT_MEM_RESERVED ? (const void *)(uintptr_t)mmio_map(at, size) : NULL;
    }
    return NULL;
}

static uint8_t sum_bytes(const void *p, size_t size)
{
    const uint8_t *b = p;
    uint8_t sum = 0;

    while (size--)
        sum = (uint8_t)(sum + *b++);
    return sum;
}

const struct acpi_header *acpi_load(hpa_t at)
{
    const struct acpi_header *h = map_table(at, sizeof(*h));
    char name[sizeof(h->signature)];
    uint32_t length;

    if (!h) {
        log_warn("ACPI: table at %#lx refused: not in the firmware's memory", at.a);
        return NULL;
    }
    length = h->length;
    memcpy(name, h->signature, sizeof(name));
    if (length < sizeof(*h) || length > TABLE_SIZE_MAX) {
        log_warn("ACPI: table %.*s refused: length %u", 4, name, length);
        return NULL;
    }
    h = map_table(at, length);
    if (!h)
        log_warn("ACPI: table %.*s refused: its %u bytes leave the firmware's memory", 4, name, length);
    else if (sum_bytes(h, length) != 0)
        log_warn("ACPI: table %.*s refused: bad checksum", 4, name);
    else
        return h;
    return NULL;
}

/* Copies the RSDP and checks the copy. */
static int load_rsdp(hpa_t at, struct acpi_rsdp *out)
{
    const void *p = map_table(at, sizeof(*out));

    if (!p) {
        log_error("ACPI: no RSDP in the firmware's memory");
        return -ENOENT;
    }
    memcpy(out, p, sizeof(*out));
    if (memcmp(out->signature, "RSD PTR ", 8) != 0 || out->revision < 2 || out->length != sizeof(*out) ||
        sum_bytes(out, sizeof(*out)) != 0) {
        log_error("ACPI: RSDP refused: bad signature, revision, length or checksum");
        return -EINVAL;
    }
    return 0;
}

/* The entries of an XSDT are not aligned. */
static void load_tables(const struct acpi_header *xsdt)
{
    unsigned n = (xsdt->length - (unsigned)sizeof(*xsdt)) / (unsigned)sizeof(uint64_t);

    for (unsigned i = 0; i < n; i++) {
        const struct acpi_header *h;
        uint64_t at;

        memcpy(&at, (const uint8_t *)(xsdt + 1) + i * sizeof(at), sizeof(at));
        if (table_count == TABLES_MAX) {
            log_warn("ACPI: %u tables ignored: too many", n - i);
            return;
        }
        h = at ? acpi_load(hpa(at)) : NULL;
        if (h)
            tables[table_count++] = h;
    }
}

int acpi_init(const struct bootinfo *bi)
{
    const struct acpi_header *xsdt;
    struct acpi_rsdp rsdp;
    int rc;

    memory = hpa_to_ptr(hpa(bi->mem));
    memory_count = bi->mem_count;
    table_count = 0;
    rc = load_rsdp(hpa(bi->rsdp), &rsdp);
    if (rc)
        return rc;
    xsdt = acpi_load(hpa(rsdp.xsdt));
    if (!xsdt || memcmp(xsdt->signature, "XSDT", 4) != 0) {
        log_error("ACPI: there is no usable XSDT");
        return -EINVAL;
    }
    load_tables(xsdt);
    acpi_power_init();
    return 0;
}

const struct acpi_header *acpi_find(const char signature[4])
{
    for (unsigned i = 0; i < table_count; i++)
        if (memcmp(tables[i]->signature, signature, 4) == 0)
            return tables[i];
    return NULL;
}

/* True, and its id, if the entry of `length` bytes is a processor that can be used now. */
static bool usable_cpu(const uint8_t *entry, size_t length, uint32_t *id)
{
    bool is_x2apic = entry[0] == MADT_X2APIC;
    uint32_t flags;

    if ((!is_x2apic && entry[0] != MADT_LAPIC) || length < (is_x2apic ? MADT_X2APIC_SIZE : MADT_LAPIC_SIZE))
        return false;
    memcpy(&flags, entry + (is_x2apic ? MADT_X2APIC_FLAGS : MADT_LAPIC_FLAGS), sizeof(flags));
    if (is_x2apic)
        memcpy(id, entry + MADT_X2APIC_ID, sizeof(*id));
    else
        *id = entry[MADT_LAPIC_ID];
    return (flags & MADT_ENABLED) && *id != (is_x2apic ? UINT32_MAX : UINT8_MAX); /* that means all of them */
}

/* Firmware may list a processor both as a local APIC and as an x2APIC. */
static bool is_listed(const uint32_t *ids, unsigned n, uint32_t id)
{
    for (unsigned i = 0; i < n; i++)
        if (ids[i] == id)
            return true;
    return false;
}

unsigned acpi_cpus(uint32_t *apic_ids, unsigned max)
{
    const struct acpi_header *h = acpi_find("APIC");
    const uint8_t *p = (const uint8_t *)h;
    unsigned count = 0;
    size_t length;
    uint32_t id;

    if (!h || h->length < MADT_ENTRIES)
        return 0;
    p += MADT_ENTRIES;
    for (size_t left = h->length - MADT_ENTRIES; left; p += length, left -= length) {
        length = left > 1 ? p[1] : 0;
        if (length < 2 || length > left) {
            log_warn("ACPI: table APIC: malformed entry, the rest is ignored");
            break;
        }
        if (!usable_cpu(p, length, &id) || is_listed(apic_ids, MIN(count, max), id))
            continue;
        if (count < max)
            apic_ids[count] = id;
        count++;
    }
    return count;
}
