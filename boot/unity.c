/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory that the firmware wants a device to reach for ever: RMRR (VT-d specification 4.1, 8.4) and IVMD (48882, 5.2.3). */
#include "boot/function.h"
#include "boot/pci_config.h"
#include <string.h>

#define TABLE_BLOCKS 48u /* both tables' blocks begin here, with their length in bytes 2 and 3 */

#define DMAR_RMRR      1
#define RMRR_SEGMENT   6u
#define RMRR_SCOPES    24u
#define SCOPE_ENDPOINT 1
#define SCOPE_BRIDGE   2
#define SCOPE_BUS      5u
#define SCOPE_PATH     6u

#define IVMD_SELECT  0x21
#define IVMD_RANGE   0x22
#define IVMD_ID      4u
#define IVMD_LAST    6u
#define IVMD_SEGMENT 8u
#define IVMD_BYTES   32u

static unsigned get16(const uint8_t *p)
{
    return p[0] | (unsigned)p[1] << 8;
}

/* The function at the end of a device scope's path, which leads through bridges; FUNCTION_NO_DEVICE if they are not there. */
static uint32_t scope_end(const struct acpi_facts *a, unsigned segment, const uint8_t *scope)
{
    unsigned bus = scope[SCOPE_BUS];
    uint32_t rid = FUNCTION_NO_DEVICE;

    for (unsigned at = SCOPE_PATH; at + 2 <= scope[1]; at += 2) {
        cfg_t c;

        rid = segment << 16 | bus << 8 | (scope[at] & 0x1fu) << 3 | (scope[at + 1] & 7u);
        c = cfg_of(a, rid);
        if (!c)
            return FUNCTION_NO_DEVICE;
        bus = FIELD_GET(PCI_SECONDARY, rd(c, PCI_BUSES));
    }
    return rid;
}

static bool scope_names(const struct acpi_facts *a, unsigned segment, const uint8_t *scope, uint32_t rid)
{
    uint32_t end = scope_end(a, segment, scope);
    unsigned bus = rid >> 8 & 0xff;
    uint32_t buses;

    if (end == FUNCTION_NO_DEVICE)
        return false;
    if (scope[0] == SCOPE_ENDPOINT)
        return end == rid;
    buses = rd(cfg_of(a, end), PCI_BUSES);
    return scope[0] == SCOPE_BRIDGE && end >> 16 == rid >> 16 && bus >= FIELD_GET(PCI_SECONDARY, buses) &&
           bus <= FIELD_GET(PCI_SUBORDINATE, buses);
}

static bool rmrr_names(const struct acpi_facts *a, const uint8_t *block, unsigned length, uint32_t rid)
{
    if (get16(block) != DMAR_RMRR)
        return false;
    for (unsigned at = RMRR_SCOPES; at + SCOPE_PATH <= length; at += block[at + 1]) {
        if (block[at + 1] < SCOPE_PATH || block[at + 1] > length - at)
            return false;
        if (scope_names(a, get16(block + RMRR_SEGMENT), block + at, rid))
            return true;
    }
    return false;
}

static bool ivmd_names(const struct acpi_facts *a, const uint8_t *block, unsigned length, uint32_t rid)
{
    unsigned id = rid & 0xffff;

    (void)a;
    if (length < IVMD_BYTES || get16(block + IVMD_SEGMENT) != rid >> 16)
        return false;
    if (block[0] == IVMD_SELECT)
        return get16(block + IVMD_ID) == id;
    return block[0] == IVMD_RANGE && id >= get16(block + IVMD_ID) && id <= get16(block + IVMD_LAST);
}

bool unity_names(const struct acpi_facts *a, uint32_t rid)
{
    for (const struct boot_table *t = a->table; t < a->table + a->ntables; t++) {
        const uint8_t *p = (const uint8_t *)t->base;
        bool dmar = memcmp(p, "DMAR", 4) == 0;

        for (uint64_t at = TABLE_BLOCKS, step; at + 4 <= t->size; at += step) {
            step = get16(p + at + 2);
            if (step < 4 || step > t->size - at)
                break;
            if ((dmar ? rmrr_names : ivmd_names)(a, p + at, (unsigned)step, rid))
                return true;
        }
    }
    return false;
}
