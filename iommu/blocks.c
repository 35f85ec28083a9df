/* SPDX-License-Identifier: BSD-2-Clause */
/* What the ACPI tables of both vendors have in common. */
#include "iommu/ops.h"
#include "kernel/console/log.h"
#include "kernel/lib/string.h"

#define BLOCKS        48
#define LENGTH_OFFSET 2

bool iommu_next_block(const struct acpi_header *h, size_t *off, void *head, size_t size,
                      const uint8_t **where)
{
    size_t at = *off ? *off : BLOCKS, left = h->length > at ? h->length - at : 0;
    uint16_t length = 0;

    if (left == 0)
        return false;
    *where = (const uint8_t *)h + at;
    if (left >= LENGTH_OFFSET + sizeof(length))
        memcpy(&length, *where + LENGTH_OFFSET, sizeof(length));
    if (length < LENGTH_OFFSET + sizeof(length) || length > left) {
        log_warn("IOMMU: IVRS or DMAR: malformed block, the rest is ignored");
        return false;
    }
    memset(head, 0, size);
    memcpy(head, *where, MIN(length, size));
    *off = at + length;
    return true;
}
