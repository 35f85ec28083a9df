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

static void load_tables(const struct acpi_header *xsdt)
{
    for (size_t off = sizeof(*xsdt); off + sizeof(uint64_t) <= xsdt->length; off += sizeof(uint64_t)) {
        uint64_t at = acpi_read(xsdt, off, sizeof(at));
        const struct acpi_header *h;

        if (table_count == TABLES_MAX) {
            log_warn("ACPI: %lu tables ignored: too many", (xsdt->length - off) / sizeof(at));
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

uint64_t acpi_read(const struct acpi_header *h, size_t off, size_t size)
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
        if (acpi_read(h, at, 1) != e->type || length < e->size)
            continue;
        *id = (uint32_t)acpi_read(h, at + e->id, e->id_size);
        return (acpi_read(h, at + e->flags, 4) & MADT_ENABLED) && *id != e->all;
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
        length = acpi_read(h, at + 1, 1);
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
