/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * IVRS: AMD I/O Virtualization Technology (48882) revision 3.08, section 5.2. DMAR: Intel VT-d specification 4.1,
 * section 8; of its ATSR nothing is needed, as device TLBs stay off. Both are blocks one behind the other.
 */
#include "boot/iommu.h"
#include "boot/memmap.h"
#include "boot/pci.h"
#include "boot/text.h"
#include "kernel/lib/types.h"
#include <string.h>

#define BLOCKS       48u
#define BLOCK_LENGTH 2u
#define BLOCK_HEADER 4u

#define ADDR_LIMIT  BIT(52) /* no physical address is wider */
#define UNITY_MAX   ((uint64_t)256 << 20)
#define UNITY_READ  BIT32(0)
#define UNITY_WRITE BIT32(1)

/* IVHD, 5.2.2 */
#define IVHD_10H         0x10
#define IVHD_11H         0x11
#define IVHD_40H         0x40
#define IVHD_FLAGS       1u
#define IVHD_DEVICE_ID   4u
#define IVHD_BASE        8u
#define IVHD_SEGMENT     16u
#define IVHD_EFR         24u
#define IVHD_EFR_XTSUP   BIT(2) /* x2APIC destinations */
#define IVHD_EFR_IASUP   BIT(6) /* INVALIDATE_IOMMU_ALL */
#define IVHD_EFR_GASUP   BIT(7) /* 128-bit remapping entries */
#define IVHD_EFR_NEEDED  (IVHD_EFR_XTSUP | IVHD_EFR_IASUP | IVHD_EFR_GASUP)
#define IVHD_10H_DEVICES 24u
#define IVHD_11H_DEVICES 40u
#define IVHD_REGISTERS   0x4000u

/* Its device entries, 5.2.2.5 */
#define DEV_ID             1u
#define DEV_SOURCE         5u
#define DEV_ALL            1
#define DEV_SELECT         2
#define DEV_START          3
#define DEV_END            4
#define DEV_ALIAS          66
#define DEV_ALIAS_START    67
#define DEV_EXT_SELECT     70
#define DEV_EXT_START      71
#define DEV_SPECIAL        72
#define DEV_ACPI_HID       240
#define DEV_HID_UIDLEN     21u
#define DEV_SPECIAL_KIND   7u
#define DEV_SPECIAL_IOAPIC 1
#define NO_ID              UINT32_MAX

/* IVMD, 5.2.3 */
#define IVMD_ALL       0x20
#define IVMD_SELECT    0x21
#define IVMD_RANGE     0x22
#define IVMD_FLAGS     1u
#define IVMD_UNITY     BIT32(0)
#define IVMD_IR        BIT32(1)
#define IVMD_IW        BIT32(2)
#define IVMD_DEVICE_ID 4u
#define IVMD_LAST_ID   6u
#define IVMD_SEGMENT   8u
#define IVMD_START     16u
#define IVMD_SIZE      24u
#define IVMD_BYTES     32u

/* DMAR, 8.1; DRHD, 8.3; RMRR, 8.4; device scopes, 8.3.1 */
#define DMAR_FLAGS      37u
#define DMAR_INTR_REMAP BIT32(0)
#define DMAR_DRHD       0
#define DMAR_RMRR       1
#define DRHD_FLAGS      4u
#define DRHD_ALL        BIT32(0) /* INCLUDE_PCI_ALL */
#define DRHD_SEGMENT    6u
#define DRHD_BASE       8u
#define DRHD_SCOPES     16u
#define DRHD_REGISTERS  0x1000u
#define RMRR_SEGMENT    6u
#define RMRR_BASE       8u
#define RMRR_LIMIT      16u
#define RMRR_SCOPES     24u
#define SCOPE_LENGTH    1u
#define SCOPE_BUS       5u
#define SCOPE_PATH      6u /* a device and a function number for each hop */
#define SCOPE_ENDPOINT  1
#define SCOPE_BRIDGE    2 /* and all that is behind it */

struct iommu_reader {
    struct acpi_facts *facts;
    struct boot_iommu *to;
    const struct boot_mem *mem;
    size_t nmem;
    void (*warn)(const char *line);
    const char *name; /* of the table */
    bool refused;
    struct acpi_table ivhd[BOOT_UNITS_MAX]; /* of each unit the block that counts */
    bool all[BOOT_UNITS_MAX];               /* it has what no other unit names */
};

static BOOT_PRINTF(2, 3) void complain(const struct iommu_reader *r, const char *fmt, ...)
{
    char line[128];
    size_t n = text_format(line, sizeof(line), "ACPI: table %s", r->name);
    va_list ap;

    va_start(ap, fmt);
    text_vformat(line + n, sizeof(line) - n, fmt, ap);
    va_end(ap);
    r->warn(line);
}

/* Once: the first reason is enough. */
static void leave_out(struct iommu_reader *r, const char *why)
{
    if (!r->refused)
        complain(r, " ignored: %s", why);
    r->refused = true;
}

static void add_ids(struct iommu_reader *r, struct boot_ids *list, uint32_t *n, uint32_t max,
                    struct boot_ids ids)
{
    if (*n == max)
        leave_out(r, "it has too many entries");
    else
        list[(*n)++] = ids;
}

static void add_scope(struct iommu_reader *r, uint32_t first, uint32_t last, uint32_t unit)
{
    add_ids(r, r->to->scope, &r->to->nscopes, BOOT_SCOPES_MAX, (struct boot_ids){first, last, unit});
}

static void add_alias(struct iommu_reader *r, uint32_t first, uint32_t last, uint32_t alias)
{
    add_ids(r, r->to->alias, &r->to->naliases, BOOT_ALIASES_MAX, (struct boot_ids){first, last, alias});
}

static void add_claim(struct iommu_reader *r, uint32_t first, uint32_t last)
{
    if (r->facts->nclaimed == BOOT_UNITIES_MAX)
        leave_out(r, "it has too many unity ranges");
    else
        r->facts->claimed[r->facts->nclaimed++] = (struct boot_ids){first, last, 0};
}

/* Firmware may keep memory of its own reachable, never RAM that it has given to us. */
static void add_unity(struct iommu_reader *r, struct boot_unity u)
{
    add_claim(r, u.first, u.last);
    if (!u.size || !IS_ALIGNED(u.start | u.size, PAGE_SIZE) || u.size > UNITY_MAX || u.start >= ADDR_LIMIT ||
        !u.flags || memmap_over_ram(r->mem, r->nmem, u.start, u.size))
        complain(r, ": the unity range at 0x%lx is refused", u.start);
    else if (!r->refused)
        r->to->unity[r->to->nunities++] = u;
}

/* Are `size` bytes of registers there, and is it not memory that they would be? */
static void check_unit(struct iommu_reader *r, const struct boot_unit *u, uint64_t size)
{
    if (u->base && IS_ALIGNED(u->base, size) && u->base < ADDR_LIMIT &&
        !memmap_over_ram(r->mem, r->nmem, u->base, size))
        return;
    complain(r, ": the unit at 0x%lx cannot be used", u->base);
    leave_out(r, "none of its units is used");
}

static void each_block(struct iommu_reader *r, const struct acpi_table *t,
                       void (*read)(struct iommu_reader *r, const struct acpi_table *block))
{
    uint32_t step;

    for (uint32_t at = BLOCKS; at + BLOCK_HEADER <= t->length && !r->refused; at += step) {
        step = (uint32_t)acpi_field(t, at + BLOCK_LENGTH, 2);
        if (step < BLOCK_HEADER || step > t->length - at) {
            leave_out(r, "an entry's length is wrong");
            return;
        }
        read(r, &(struct acpi_table){t->at + at, step});
    }
}

static uint32_t field32(const struct acpi_table *block, uint32_t off, uint32_t size)
{
    return (uint32_t)acpi_field(block, off, size);
}

/* --- IVRS --- */

static uint32_t ivhd_devices(const struct acpi_table *b)
{
    return b->at[0] == IVHD_10H ? IVHD_10H_DEVICES : IVHD_11H_DEVICES;
}

/* One unit may be described several times: the highest type says most, and replaces the others (5.2.2.2). */
static void note_ivhd(struct iommu_reader *r, const struct acpi_table *b)
{
    uint32_t id = field32(b, IVHD_SEGMENT, 2) << 16 | field32(b, IVHD_DEVICE_ID, 2), i = 0;

    if (b->at[0] != IVHD_10H && b->at[0] != IVHD_11H && b->at[0] != IVHD_40H)
        return;
    while (i < r->to->nunits && r->to->unit[i].rid != id)
        i++;
    if (i == BOOT_UNITS_MAX || b->length < ivhd_devices(b)) {
        leave_out(r, i == BOOT_UNITS_MAX ? "it has too many units" : "an entry's length is wrong");
        return;
    }
    if (i < r->to->nunits && r->ivhd[i].at[0] >= b->at[0])
        return;
    r->to->nunits = MAX(r->to->nunits, i + 1);
    r->to->unit[i] = (struct boot_unit){acpi_field(b, IVHD_BASE, 8), id, field32(b, IVHD_FLAGS, 1)};
    r->ivhd[i] = *b;
}

/* By the two high bits of the type, except for the one with a string at its end (table 94). */
static uint32_t entry_bytes(const struct acpi_table *b, uint32_t at)
{
    if (b->at[at] == DEV_ACPI_HID)
        return DEV_HID_UIDLEN + 1 + field32(b, at + DEV_HID_UIDLEN, 1);
    return 4u << (b->at[at] >> 6);
}

/*
 * The ids of one IVHD. True if the I/O APIC's is among them: without it the interrupts cannot be remapped, and QEMU
 * leaves it out then.
 */
static bool read_entries(struct iommu_reader *r, const struct acpi_table *b, uint32_t unit)
{
    uint32_t segment = r->to->unit[unit].rid & ~(uint32_t)UINT16_MAX, first = NO_ID, alias = NO_ID, step;
    bool ioapic = false;

    for (uint32_t at = ivhd_devices(b); at < b->length; at += step) {
        uint32_t id = segment | field32(b, at + DEV_ID, 2), source = segment | field32(b, at + DEV_SOURCE, 2);

        step = entry_bytes(b, at);
        if (step > b->length - at)
            break;
        switch (b->at[at]) {
        case DEV_ALL:
            add_scope(r, segment, segment | UINT16_MAX, unit);
            break;
        case DEV_ALIAS:
            add_alias(r, id, id, source);
            /* fall through */
        case DEV_SELECT:
        case DEV_EXT_SELECT:
        case DEV_ACPI_HID:
            add_scope(r, id, id, unit);
            break;
        case DEV_START:
        case DEV_EXT_START:
        case DEV_ALIAS_START:
            first = id;
            alias = b->at[at] == DEV_ALIAS_START ? source : NO_ID;
            break;
        case DEV_END:
            if (first != NO_ID && first <= id)
                add_scope(r, first, id, unit);
            if (first != NO_ID && first <= id && alias != NO_ID)
                add_alias(r, first, id, alias);
            first = NO_ID;
            break;
        case DEV_SPECIAL:
            ioapic |= b->at[at + DEV_SPECIAL_KIND] == DEV_SPECIAL_IOAPIC;
            break;
        default: /* padding */
            break;
        }
    }
    return ioapic;
}

static void read_ivmd(struct iommu_reader *r, const struct acpi_table *b)
{
    uint32_t flags = field32(b, IVMD_FLAGS, 1), segment = field32(b, IVMD_SEGMENT, 2) << 16;
    struct boot_unity u = {
        .start = acpi_field(b, IVMD_START, 8),
        .size = flags & IVMD_UNITY ? acpi_field(b, IVMD_SIZE, 8) : 0,
        .first = segment | field32(b, IVMD_DEVICE_ID, 2),
        .flags = (flags & IVMD_IR ? UNITY_READ : 0) | (flags & IVMD_IW ? UNITY_WRITE : 0),
    };

    u.last = b->at[0] == IVMD_RANGE ? segment | field32(b, IVMD_LAST_ID, 2) : u.first;
    if (b->at[0] == IVMD_ALL)
        complain(r, ": a unity range for all devices is ignored");
    else if (b->at[0] == IVMD_SELECT || b->at[0] == IVMD_RANGE)
        add_unity(r, u);
}

static void read_ivrs(struct iommu_reader *r)
{
    struct boot_iommu *to = r->to;
    bool ioapic = false, wide = true;

    r->name = "IVRS";
    to->kind = BOOT_IOMMU_AMDVI;
    each_block(r, &r->facts->ivrs, note_ivhd);
    for (uint32_t i = 0; i < to->nunits; i++) {
        const struct acpi_table *b = &r->ivhd[i];

        check_unit(r, &to->unit[i], IVHD_REGISTERS);
        ioapic |= read_entries(r, b, i);
        wide &= b->at[0] != IVHD_10H && (acpi_field(b, IVHD_EFR, 8) & IVHD_EFR_NEEDED) == IVHD_EFR_NEEDED;
    }
    each_block(r, &r->facts->ivrs, read_ivmd);
    r->facts->remapping = ioapic && wide;
}

/* --- DMAR --- */

/* The function at the end of a scope's path, by the bus numbers that the bridges have now. */
static bool follow_path(const struct iommu_reader *r, uint32_t segment, const struct acpi_table *scope,
                        uint32_t *id)
{
    uint32_t bus = field32(scope, SCOPE_BUS, 1);
    struct pci_bridge b = {0};

    for (uint32_t at = SCOPE_PATH; at + 2 <= scope->length; at += 2) {
        if (at > SCOPE_PATH && !pci_read_bridge(r->facts, *id, &b))
            return false;
        bus = at > SCOPE_PATH ? b.first >> 8 & 0xff : bus;
        *id = segment | bus << 8 | (scope->at[at] & 0x1fu) << 3 | (scope->at[at + 1] & 7u);
    }
    return true;
}

/* The function of the scope at *at, which moves behind it; false at the end. Those that are not there, or are no
 * functions, are passed over. */
static bool next_scope(struct iommu_reader *r, const struct acpi_table *b, uint32_t segment, uint32_t *at,
                       uint32_t *id, bool *bridge)
{
    while (*at + SCOPE_PATH <= b->length) {
        struct acpi_table s = {b->at + *at, field32(b, *at + SCOPE_LENGTH, 1)};

        if (s.length < SCOPE_PATH + 2 || s.length > b->length - *at) {
            leave_out(r, "an entry's length is wrong");
            return false;
        }
        *at += s.length;
        *bridge = s.at[0] == SCOPE_BRIDGE;
        if ((s.at[0] == SCOPE_ENDPOINT || *bridge) && follow_path(r, segment, &s, id))
            return true;
    }
    return false;
}

static void read_drhd(struct iommu_reader *r, const struct acpi_table *b)
{
    uint32_t segment = field32(b, DRHD_SEGMENT, 2) << 16, at = DRHD_SCOPES, unit = r->to->nunits, id;
    struct pci_bridge behind;
    bool bridge;

    if (unit == BOOT_UNITS_MAX || b->length < DRHD_SCOPES) {
        leave_out(r, unit == BOOT_UNITS_MAX ? "it has too many units" : "an entry's length is wrong");
        return;
    }
    r->to->unit[r->to->nunits++] = (struct boot_unit){acpi_field(b, DRHD_BASE, 8), segment, 0};
    r->all[unit] = b->at[DRHD_FLAGS] & DRHD_ALL;
    check_unit(r, &r->to->unit[unit], DRHD_REGISTERS);
    while (next_scope(r, b, segment, &at, &id, &bridge)) {
        add_scope(r, id, id, unit);
        if (bridge && pci_read_bridge(r->facts, id, &behind))
            add_scope(r, behind.first, behind.last, unit);
    }
}

static void read_rmrr(struct iommu_reader *r, const struct acpi_table *b)
{
    uint32_t segment = field32(b, RMRR_SEGMENT, 2) << 16, at = RMRR_SCOPES, id;
    struct boot_unity u = {.start = acpi_field(b, RMRR_BASE, 8), .flags = UNITY_READ | UNITY_WRITE};
    struct pci_bridge behind;
    bool bridge;

    u.size = acpi_field(b, RMRR_LIMIT, 8) - u.start + 1;
    while (next_scope(r, b, segment, &at, &id, &bridge)) {
        u.first = u.last = id;
        add_unity(r, u);
        if (bridge && pci_read_bridge(r->facts, id, &behind))
            add_claim(r, behind.first, behind.last);
    }
}

static void read_dmar_block(struct iommu_reader *r, const struct acpi_table *b)
{
    uint64_t type = acpi_field(b, 0, 2);

    if (type == DMAR_DRHD)
        read_drhd(r, b);
    if (type == DMAR_RMRR)
        read_rmrr(r, b);
}

/* A bridge from PCI Express to PCI may put its own bus and device 0 in place of an id. */
static void add_bridge_alias(const struct pci_bridge *b, void *arg)
{
    if (b->to_pci)
        add_alias(arg, b->first, b->last, b->first);
}

static void read_dmar(struct iommu_reader *r)
{
    struct boot_iommu *to = r->to;

    r->name = "DMAR";
    to->kind = BOOT_IOMMU_VTD;
    to->vfs_with_pf = true; /* 8.3.1: VFs are in no scope */
    each_block(r, &r->facts->dmar, read_dmar_block);
    for (uint32_t i = 0; i < to->nunits; i++)
        if (r->all[i])
            add_scope(r, to->unit[i].rid, to->unit[i].rid | UINT16_MAX, i);
    pci_each_bridge(r->facts, add_bridge_alias, r);
    r->facts->remapping = acpi_field(&r->facts->dmar, DMAR_FLAGS, 1) & DMAR_INTR_REMAP;
}

void iommu_read(struct acpi_facts *f, const struct boot_mem *mem, size_t nmem, void (*warn)(const char *line))
{
    struct iommu_reader r = {.facts = f, .to = &f->machine.iommu, .mem = mem, .nmem = nmem, .warn = warn};

    if (f->ivrs.length)
        read_ivrs(&r);
    else if (f->dmar.length)
        read_dmar(&r);
    if (!r.refused && r.to->nunits)
        return;
    memset(r.to, 0, sizeof(*r.to));
    f->remapping = false;
}
