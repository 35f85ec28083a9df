/* SPDX-License-Identifier: BSD-2-Clause */
/* Finds and checks the tables. All of them are read once, at boot; nothing is believed that its checks do not
 * cover. */
#include "kernel/acpi/tables.h"
#include "kernel/console/log.h"
#include "kernel/lib/bits.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"
#include "kernel/mm/paging.h"

#define TABLES_MAX     64
#define TABLE_SIZE_MAX ((uint32_t)16 << 20) /* no real table comes near */

static const struct acpi_header *tables[TABLES_MAX];
static unsigned table_count;
static const struct boot_mem *memory;
static uint64_t memory_count;

/* The entry of the memory map that holds all of [at, at + size), or NULL. */
static const struct boot_mem *region_of(hpa_t at, uint64_t size)
{
    for (uint64_t i = 0; i < memory_count; i++) {
        uint64_t off = at.a - memory[i].base;

        if (at.a >= memory[i].base && off < memory[i].size && size <= memory[i].size - off)
            return &memory[i];
    }
    return NULL;
}

/*
 * Memory that is free for use is no place for a table: it may hold something else by now. Reserved memory is
 * not in the direct map, and is read through a mapping of its own.
 */
static const void *map_table(hpa_t at, uint64_t size)
{
    const struct boot_mem *m = region_of(at, size);

    if (!m)
        return NULL;
    if (m->type == BOOT_MEM_ACPI || m->type == BOOT_MEM_RUNTIME)
        return hpa_to_ptr(at);
    if (m->type == BOOT_MEM_RESERVED)
        return (const void *)(uintptr_t)mmio_map(at, size);
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

/* The signature as text that can be printed. */
static const char *table_name(const struct acpi_header *h, char name[5])
{
    for (unsigned i = 0; i < 4; i++)
        name[i] = h->signature[i] >= ' ' && h->signature[i] <= '~' ? h->signature[i] : '?';
    name[4] = 0;
    return name;
}

const struct acpi_header *acpi_load(hpa_t at)
{
    const struct acpi_header *h = map_table(at, sizeof(*h));
    uint32_t length;
    char name[5];

    if (!h) {
        log_warn("ACPI: table at %#lx refused: not in the firmware's memory", (unsigned long)at.a);
        return NULL;
    }
    length = h->length;
    table_name(h, name);
    if (length < sizeof(*h) || length > TABLE_SIZE_MAX) {
        log_warn("ACPI: table %s refused: length %u", name, length);
        return NULL;
    }
    h = map_table(at, length);
    if (!h) {
        log_warn("ACPI: table %s refused: its %u bytes leave the firmware's memory", name, length);
        return NULL;
    }
    if (sum_bytes(h, length) != 0) {
        log_warn("ACPI: table %s refused: bad checksum", name);
        return NULL;
    }
    return h;
}

/* The RSDP, copied into a zeroed structure and checked (5.2.5.3). */
static int load_rsdp(hpa_t at, struct acpi_rsdp *out)
{
    const void *p = map_table(at, ACPI_RSDP_V1_SIZE);

    if (!p) {
        log_error("ACPI: no RSDP in the firmware's memory");
        return -ENOENT;
    }
    memset(out, 0, sizeof(*out));
    memcpy(out, p, ACPI_RSDP_V1_SIZE);
    if (memcmp(out->signature, "RSD PTR ", 8) != 0 || sum_bytes(out, ACPI_RSDP_V1_SIZE) != 0) {
        log_error("ACPI: RSDP refused: bad signature or checksum");
        return -EINVAL;
    }
    if (out->revision < 2)
        return 0;
    p = map_table(at, sizeof(*out));
    if (p)
        memcpy(out, p, sizeof(*out));
    if (!p || out->length != sizeof(*out) || sum_bytes(out, sizeof(*out)) != 0) {
        log_error("ACPI: RSDP refused: bad length or extended checksum");
        return -EINVAL;
    }
    return 0;
}

/* The XSDT where there is a sound one, else the RSDT; `width` is the size of its entries. */
static const struct acpi_header *load_root(const struct acpi_rsdp *rsdp, unsigned *width)
{
    const struct acpi_header *h = rsdp->xsdt ? acpi_load(hpa(rsdp->xsdt)) : NULL;

    *width = 8;
    if (h && memcmp(h->signature, "XSDT", 4) == 0)
        return h;
    h = rsdp->rsdt ? acpi_load(hpa(rsdp->rsdt)) : NULL;
    *width = 4;
    return h && memcmp(h->signature, "RSDT", 4) == 0 ? h : NULL;
}

static void load_tables(const struct acpi_header *root, unsigned width)
{
    const uint8_t *entry = (const uint8_t *)(root + 1);
    unsigned n = (root->length - (unsigned)sizeof(*root)) / width;

    for (unsigned i = 0; i < n; i++, entry += width) {
        const struct acpi_header *h;
        uint64_t at = 0; /* the entries of an XSDT are not aligned */

        memcpy(&at, entry, width);
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
    const struct acpi_header *root;
    struct acpi_rsdp rsdp;
    unsigned width;
    int rc;

    memory = hpa_to_ptr(hpa(bi->mem));
    memory_count = bi->mem_count;
    table_count = 0;
    rc = load_rsdp(hpa(bi->rsdp), &rsdp);
    if (rc)
        return rc;
    root = load_root(&rsdp, &width);
    if (!root) {
        log_error("ACPI: neither XSDT nor RSDT is usable");
        return -EINVAL;
    }
    load_tables(root, width);
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
