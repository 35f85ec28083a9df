/* SPDX-License-Identifier: BSD-2-Clause */
/* The IVRS table (section 5.2): which unit translates which id, and memory that firmware wants to stay
 * reachable. */
#include "iommu/amdvi/amdvi.h"
#include "kernel/acpi/acpi.h"
#include "kernel/console/log.h"
#include "kernel/lib/string.h"
#include "kernel/mm/frame.h"

#define NO_RANGE (-1)

static size_t ivhd_header_size(uint8_t type)
{
    return type == IVHD_TYPE_10 ? IVHD_SIZE_10 : IVHD_SIZE_11;
}

static bool ivhd_is_sound(const struct ivhd *v)
{
    return v->block.length >= ivhd_header_size(v->block.type) && v->base &&
           IS_ALIGNED(v->base, AMDVI_MMIO_SIZE) && v->base < ADDR_LIMIT &&
           !frame_is_ram(hpa(v->base), PAGE_SIZE);
}

/* One unit may be described several times: the highest type says most, and replaces the others (5.2.2.2). */
static void list_unit(struct amdvi_unit *units, unsigned *count, unsigned max, const struct ivhd *v,
                      const uint8_t *where)
{
    size_t header = ivhd_header_size(v->block.type);
    unsigned i = 0;

    while (i < *count && (units[i].segment != v->segment || units[i].device_id != v->block.device_id))
        i++;
    if (i == max) {
        log_warn("AMD-Vi: table IVRS: too many units");
        return;
    }
    if (i < *count && units[i].ivhd_type >= v->block.type)
        return;
    *count = MAX(*count, i + 1);
    units[i] = (struct amdvi_unit){
        .ivhd_type = v->block.type,
        .ivhd_flags = v->block.flags,
        .segment = v->segment,
        .device_id = v->block.device_id,
        .base = hpa(v->base),
        .entries = where + header,
        .entries_size = v->block.length - header,
    };
}

unsigned ivrs_units(struct amdvi_unit *units, unsigned max)
{
    const struct acpi_header *h = acpi_find("IVRS");
    size_t off = 0;
    const uint8_t *where;
    unsigned count = 0;
    struct ivhd v;

    while (h && iommu_next_block(h, &off, &v, sizeof(v), &where)) {
        uint8_t type = v.block.type;

        if (type == IVMD_ALL)
            log_warn("AMD-Vi: table IVRS: a unity range for all devices is ignored");
        else if (type != IVHD_TYPE_10 && type != IVHD_TYPE_11 && type != IVHD_TYPE_40)
            continue;
        else if (!ivhd_is_sound(&v))
            log_warn("AMD-Vi: table IVRS: unit %04x refused", v.block.device_id);
        else
            list_unit(units, &count, max, &v, where);
    }
    return count;
}

/* Size of a device entry (5.2.2.5), or 0 if it does not fit in `left`. */
static size_t entry_size(const uint8_t *p, size_t left)
{
    size_t size = p[0] < 64 ? 4 : p[0] < 128 ? 8 : p[0] < 192 ? 16 : 32;

    if (p[0] == IVHD_ENTRY_ACPI)
        size = left < IVHD_ACPI_SIZE ? left + 1 : IVHD_ACPI_SIZE + (size_t)p[IVHD_ACPI_SIZE - 1];
    return size <= left ? size : 0;
}

bool ivrs_covers(const struct amdvi_unit *u, uint16_t id, uint16_t *alias)
{
    size_t left = u->entries_size, size;
    int first = NO_RANGE, range_alias = NO_RANGE;
    bool covered = false;

    *alias = id;
    for (const uint8_t *p = u->entries; left && (size = entry_size(p, left)); p += size, left -= size) {
        struct ivhd_entry e = {0};

        memcpy(&e, p, MIN(size, sizeof(e)));
        switch (e.type) {
        case IVHD_ENTRY_ALL:
            covered = true;
            break;
        case IVHD_ENTRY_ALIAS:
            if (e.device_id == id)
                *alias = e.source_id;
            /* fall through */
        case IVHD_ENTRY_SELECT:
        case IVHD_ENTRY_EXT_SELECT:
        case IVHD_ENTRY_ACPI:
            covered |= e.device_id == id;
            break;
        case IVHD_ENTRY_START:
        case IVHD_ENTRY_EXT_START:
        case IVHD_ENTRY_ALIAS_START:
            first = e.device_id;
            range_alias = e.type == IVHD_ENTRY_ALIAS_START ? e.source_id : NO_RANGE;
            break;
        case IVHD_ENTRY_END:
            if (first != NO_RANGE && id >= first && id <= e.device_id) {
                covered = true;
                *alias = range_alias == NO_RANGE ? *alias : (uint16_t)range_alias;
            }
            first = NO_RANGE;
            break;
        default: /* padding; I/O APICs and HPETs, whose ids stay closed */
            break;
        }
    }
    return covered;
}

static bool names(const struct ivmd *m, rid_t dev)
{
    uint16_t id = (uint16_t)dev.id;

    if (m->block.length < sizeof(*m) || m->segment != dev.id >> 16)
        return false;
    if (m->block.type == IVMD_SELECT)
        return m->block.device_id == id;
    return m->block.type == IVMD_RANGE && id >= m->block.device_id && id <= m->last_id;
}

bool ivrs_unity(rid_t dev, unsigned i, struct iommu_unity *out)
{
    const struct acpi_header *h = acpi_find("IVRS");
    size_t off = 0;
    const uint8_t *where;
    struct ivmd m;

    while (h && iommu_next_block(h, &off, &m, sizeof(m), &where)) {
        if (!names(&m, dev) || i-- > 0)
            continue;
        *out = (struct iommu_unity){iova(m.start), m.block.flags & IVMD_UNITY ? m.size : 0,
                                    (m.block.flags & IVMD_IR ? IOMMU_R : 0) |
                                        (m.block.flags & IVMD_IW ? IOMMU_W : 0)};
        return true;
    }
    return false;
}
