/* SPDX-License-Identifier: BSD-2-Clause */
/* Processors of the MADT (ACPI 6.5, 5.2.12). */
#include "kernel/acpi/tables.h"
#include "kernel/console/log.h"
#include "kernel/lib/bits.h"
#include "kernel/lib/string.h"

/* Firmware may list a processor both as a local APIC and as an x2APIC. */
static bool is_listed(const uint32_t *ids, unsigned n, uint32_t id)
{
    for (unsigned i = 0; i < n; i++)
        if (ids[i] == id)
            return true;
    return false;
}

/* True, and its id, if the entry is a processor that can be used now. `e` has e->length bytes. */
static bool usable_cpu(const struct acpi_madt_entry *e, uint32_t *id)
{
    struct acpi_madt_x2apic x2;
    struct acpi_madt_lapic l;

    if (e->type == MADT_LAPIC && e->length >= sizeof(l)) {
        memcpy(&l, e, sizeof(l));
        *id = l.apic_id;
        return (l.flags & MADT_ENABLED) && l.apic_id != UINT8_MAX; /* 255: all of them */
    }
    if (e->type == MADT_X2APIC && e->length >= sizeof(x2)) {
        memcpy(&x2, e, sizeof(x2));
        *id = x2.apic_id;
        return (x2.flags & MADT_ENABLED) && x2.apic_id != UINT32_MAX;
    }
    return false;
}

unsigned acpi_cpus(uint32_t *apic_ids, unsigned max)
{
    const struct acpi_header *h = acpi_find("APIC");
    const uint8_t *p, *end;
    unsigned count = 0;
    uint32_t id;

    if (!h || h->length < sizeof(struct acpi_madt))
        return 0;
    end = (const uint8_t *)h + h->length;
    for (p = (const uint8_t *)h + sizeof(struct acpi_madt); p < end; p += p[1]) {
        const struct acpi_madt_entry *e = (const struct acpi_madt_entry *)p;

        if ((size_t)(end - p) < sizeof(*e) || e->length < sizeof(*e) || e->length > end - p) {
            log_warn("ACPI: table APIC: malformed entry, the rest is ignored");
            break;
        }
        if (!usable_cpu(e, &id) || is_listed(apic_ids, MIN(count, max), id))
            continue;
        if (count < max)
            apic_ids[count] = id;
        count++;
    }
    return count;
}
