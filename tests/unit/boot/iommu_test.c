/* SPDX-License-Identifier: BSD-2-Clause */
/* IVRS and DMAR, made block by block; configuration space is plain memory with some bridges in it. */
#include "tests/unit/test.h"

#include "boot/acpi.c"
#include "boot/iommu.c"
#include "boot/memmap.c"
#include "boot/pci.c"
#include "boot/pci_config.c"
#include "boot/text.c"

#define BUSES  4
#define BASE_0 0xfed80000u
#define BASE_1 0xfd000000u
#define UNITY  0x7f000000u

static uint8_t table[8192];
static uint32_t size;
static uint32_t *ecam;
static struct acpi_facts facts;
static const struct boot_iommu *got = &facts.machine.iommu;
static char warnings[2048];
static const struct boot_mem mem[] = {{0, 0x7e000000, BOOT_MEM_USABLE, 0},
                                      {BASE_0, 0x100000, BOOT_MEM_RESERVED, 0},
                                      {0x100000000, 0x80000000, BOOT_MEM_ACPI, 0}};

static void warn(const char *line)
{
    strcat(warnings, line);
    strcat(warnings, "\n");
}

static uint32_t *config(unsigned bus, unsigned device, unsigned fn)
{
    return ecam + ((bus << 20 | device << 15 | fn << 12) / 4);
}

/* A bridge with the given PCI Express port type. */
static void put_bridge(unsigned bus, unsigned device, unsigned first, unsigned last, unsigned type)
{
    uint32_t *c = config(bus, device, 0);

    memset(c, 0, 4096);
    c[PCI_ID / 4] = 0x12348086;
    c[PCI_COMMAND / 4] = PCI_STATUS_CAPS;
    c[PCI_HEADER / 4] = PCI_HEADER_BRIDGE;
    c[PCI_BUSES / 4] = first << 8 | last << 16;
    c[PCI_CAPS / 4] = 0x40;
    c[0x40 / 4] = 0x4801; /* power management, then PCI Express */
    c[0x48 / 4] = CAP_EXPRESS | type << 20;
}

static void clear(uint32_t header)
{
    free(ecam);
    ecam = aligned_alloc(1 << 20, BUSES << 20);
    memset(ecam, 0xff, BUSES << 20);
    facts = (struct acpi_facts){.machine = {.necam = 1, .ecam = {{(uint64_t)ecam, 0, 0, BUSES - 1}}}};
    memset(table, 0, sizeof(table));
    size = header;
    warnings[0] = 0;
}

static void put_bytes(const void *p, size_t n)
{
    memcpy(table + size, p, n);
    size += (uint32_t)n;
}

static void put_number(uint32_t at, uint64_t v, unsigned bytes)
{
    memcpy(table + at, &v, bytes);
}

static void read_as(struct acpi_table *t)
{
    facts.ivrs = facts.dmar = (struct acpi_table){0};
    *t = (struct acpi_table){table, size};
    memset(&facts.machine.iommu, 0, sizeof(facts.machine.iommu));
    facts.remapping = false;
    facts.nclaimed = 0;
    iommu_read(&facts, mem, ARRAY_SIZE(mem), warn);
}

static const struct boot_ids *of(const struct boot_ids *list, uint32_t n, uint32_t id)
{
    for (uint32_t i = 0; i < n; i++)
        if (id >= list[i].first && id <= list[i].last)
            return &list[i];
    return NULL;
}

static int unit_of(uint32_t id)
{
    const struct boot_ids *i = of(got->scope, got->nscopes, id);

    return i ? (int)i->value : -1;
}

static uint32_t alias_of(uint32_t id)
{
    const struct boot_ids *i = of(got->alias, got->naliases, id);

    return i ? i->value : id;
}

static void refused(struct acpi_table *t, const char *why)
{
    warnings[0] = 0;
    read_as(t);
    CHECK_EQ(got->kind, BOOT_IOMMU_NONE);
    CHECK(got->nunits == 0 && got->nscopes == 0 && !facts.remapping);
    CHECK(strstr(warnings, why) != NULL);
    if (!strstr(warnings, why))
        printf("%s", warnings);
}

/* --- IVRS --- */

static const uint8_t ioapic[] = {72, 0, 0, 0, 1, 0xa0, 0, DEV_SPECIAL_IOAPIC};

static void put_ivhd(uint8_t type, uint16_t id, uint64_t base, const uint8_t *entries, size_t n)
{
    uint32_t at = size, header = type == IVHD_10H ? IVHD_10H_DEVICES : IVHD_11H_DEVICES;

    table[at] = type;
    put_number(at + BLOCK_LENGTH, header + n, 2);
    put_number(at + IVHD_DEVICE_ID, id, 2);
    put_number(at + IVHD_BASE, base, 8);
    if (type != IVHD_10H)
        put_number(at + IVHD_EFR, IVHD_EFR_NEEDED, 8);
    size += header;
    put_bytes(entries, n);
}

static void put_ivmd(uint8_t type, uint16_t id, uint16_t last, uint64_t start, uint64_t bytes, uint8_t flags)
{
    uint32_t at = size;

    table[at] = type;
    table[at + IVMD_FLAGS] = flags;
    put_number(at + BLOCK_LENGTH, IVMD_BYTES, 2);
    put_number(at + IVMD_DEVICE_ID, id, 2);
    put_number(at + IVMD_LAST_ID, last, 2);
    put_number(at + IVMD_START, start, 8);
    put_number(at + IVMD_SIZE, bytes, 8);
    size += IVMD_BYTES;
}

TEST(what_amd_vi_must_be_able_to_do)
{
    static const struct {
        uint8_t type;
        uint64_t efr;
        bool ioapic, remapping;
    } rows[] = {
        {IVHD_11H, IVHD_EFR_NEEDED, true, true},
        {IVHD_40H, IVHD_EFR_NEEDED, true, true},
        {IVHD_11H, 0, true, false},
        {IVHD_11H, IVHD_EFR_NEEDED, false, false},
        {IVHD_11H, IVHD_EFR_NEEDED & ~IVHD_EFR_XTSUP, true, false},
        {IVHD_11H, IVHD_EFR_NEEDED & ~IVHD_EFR_IASUP, true, false},
        {IVHD_11H, IVHD_EFR_NEEDED & ~IVHD_EFR_GASUP, true, false},
        {IVHD_10H, 0, true, false},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        clear(BLOCKS);
        put_ivhd(rows[i].type, 8, BASE_0, ioapic, sizeof(ioapic));
        if (rows[i].type != IVHD_10H)
            put_number(BLOCKS + IVHD_EFR, rows[i].efr, 8);
        table[size - 1] = rows[i].ioapic ? DEV_SPECIAL_IOAPIC : 2;
        table[BLOCKS + IVHD_FLAGS] = 5;
        table[BLOCKS + IVHD_SEGMENT] = 3;
        read_as(&facts.ivrs);
        CHECK_EQ(got->kind, BOOT_IOMMU_AMDVI);
        CHECK(got->nunits == 1 && got->unit[0].base == BASE_0 && got->unit[0].rid == 0x30008);
        CHECK_EQ(got->unit[0].flags, 5);
        CHECK(!got->vfs_with_pf);
        CHECK_EQ(facts.remapping, rows[i].remapping);
        CHECK(warnings[0] == 0);
    }
}

TEST(all_units_must_be_able_to)
{
    clear(BLOCKS);
    put_ivhd(IVHD_11H, 8, BASE_0, ioapic, sizeof(ioapic));
    put_ivhd(IVHD_11H, 9, BASE_1, ioapic, sizeof(ioapic));
    read_as(&facts.ivrs);
    CHECK(facts.remapping && got->nunits == 2);
    put_number(BLOCKS + IVHD_EFR, 0, 8); /* the first one alone */
    read_as(&facts.ivrs);
    CHECK(!facts.remapping && got->nunits == 2);
}

TEST(ivrs_entries_of_all_kinds)
{
    static const uint8_t entries[] = {
        0,   0,    0,    0, 64,  0,    0,   0,   0,   0,    0,   0, /* padding */
        70,  0x10, 0,    0, 0,   0,    0,   0,                      /* extended select */
        67,  0x20, 0,    0, 0,   0x77, 0,   0,   4,   0x2f, 0,   0, /* range with an alias */
        71,  0x40, 0,    0, 0,   0,    0,   0,   4,   0x4f, 0,   0, /* extended range */
        4,   0xff, 0xff, 0,                                         /* an end without a start */
        240, 0x60, 0,    0, 'A', 'M',  'D', 'I', '0', '0',  '2', '0',
        0,   0,    0,    0, 0,   0,    0,   0,   2,   2,    'x', 'y', /* a named device */
        2,   0x70, 0,    0,                                           /* after it */
        66,  0x78, 0,    0, 0,   0x79, 1,   0,                        /* select with an alias */
        3,   0x80, 0,    0,                                           /* a range that never ends */
        66,  0x90, 0,                                                 /* cut off */
    };
    static const struct {
        uint32_t id, alias;
        bool covered;
    } want[] = {{0x10, 0x10, true},  {0x11, 0x11, false}, {0x20, 0x77, true},  {0x2f, 0x77, true},
                {0x30, 0x30, false}, {0x45, 0x45, true},  {0x60, 0x60, true},  {0x70, 0x70, true},
                {0x78, 0x179, true}, {0x80, 0x80, false}, {0x90, 0x90, false}, {0x10010, 0x10010, false}};

    clear(BLOCKS);
    put_ivhd(IVHD_40H, 8, BASE_0, entries, sizeof(entries));
    read_as(&facts.ivrs);
    for (unsigned i = 0; i < ARRAY_SIZE(want); i++) {
        CHECK_EQ(unit_of(want[i].id), want[i].covered ? 0 : -1);
        CHECK_EQ(alias_of(want[i].id), want[i].alias);
    }
    CHECK(!facts.remapping);
    clear(BLOCKS);
    put_ivhd(IVHD_11H, 8, BASE_0, (const uint8_t[]){1, 0, 0, 0}, 4);
    read_as(&facts.ivrs);
    CHECK(unit_of(0) == 0 && unit_of(0xffff) == 0 && unit_of(0x10000) == -1);
}

TEST(the_highest_block_of_a_unit_counts)
{
    static const uint8_t one[] = {2, 0x10, 0, 0}, two[] = {2, 0x20, 0, 0};

    clear(BLOCKS);
    put_ivhd(IVHD_10H, 8, BASE_1, one, sizeof(one));
    put_ivhd(IVHD_40H, 8, BASE_0, two, sizeof(two));
    put_ivhd(IVHD_11H, 8, BASE_1, one, sizeof(one));
    put_ivhd(IVHD_11H, 9, BASE_1, one, sizeof(one));
    read_as(&facts.ivrs);
    CHECK(got->nunits == 2 && got->unit[0].base == BASE_0 && got->unit[1].base == BASE_1);
    CHECK(unit_of(0x10) == 1 && unit_of(0x20) == 0);
}

TEST(an_entry_beyond_its_block_is_not_read)
{
    static const uint8_t named[22] = {DEV_ACPI_HID, [DEV_HID_UIDLEN] = 200};

    clear(BLOCKS);
    put_ivhd(IVHD_40H, 8, BASE_0, named, sizeof(named));
    read_as(&facts.ivrs);
    CHECK(got->nunits == 1 && got->nscopes == 0);
    clear(BLOCKS);
    put_ivhd(IVHD_40H, 8, BASE_0, named, sizeof(named) - 1); /* its length is in no block */
    put_bytes(&(uint8_t){0}, 1);
    read_as(&facts.ivrs);
    CHECK(got->nunits == 1 && got->nscopes == 0);
    clear(BLOCKS);
    put_ivhd(IVHD_40H, 8, BASE_0, ioapic, 4);
    put_bytes((const uint8_t[]){1, 0, 4, DEV_SPECIAL_IOAPIC}, 4); /* the rest is a block of 0x104 bytes */
    size += 0x100;
    read_as(&facts.ivrs);
    CHECK(got->nunits == 1 && !facts.remapping);
}

TEST(unity_ranges_of_an_ivrs)
{
    clear(BLOCKS);
    put_ivhd(IVHD_11H, 8, BASE_0, ioapic, sizeof(ioapic));
    put_ivmd(IVMD_ALL, 0, 0, UNITY, 0x1000, IVMD_UNITY | IVMD_IR);
    put_ivmd(IVMD_SELECT, 0x28, 0xffff, UNITY, 0x2000, IVMD_UNITY | IVMD_IR | IVMD_IW);
    put_ivmd(IVMD_RANGE, 0x30, 0x3f, UNITY, 0x1000, IVMD_UNITY | IVMD_IW);
    read_as(&facts.ivrs);
    CHECK(strstr(warnings, "table IVRS: a unity range for all devices is ignored") != NULL);
    CHECK_EQ(got->nunities, 2);
    CHECK(got->unity[0].first == 0x28 && got->unity[0].last == 0x28 && got->unity[0].start == UNITY);
    CHECK(got->unity[0].size == 0x2000 && got->unity[0].flags == (UNITY_READ | UNITY_WRITE));
    CHECK(got->unity[1].first == 0x30 && got->unity[1].last == 0x3f && got->unity[1].flags == UNITY_WRITE);
}

TEST(unity_ranges_that_are_refused)
{
    static const struct {
        uint64_t start, size;
        uint8_t flags;
    } rows[] = {{0x1000000, 0x1000, 7},
                {0x7dfff000, 0x2000, 7},
                {UNITY + 1, 0x1000, 7},
                {UNITY, 0x800, 7},
                {UNITY, 0, 7},
                {UNITY, UNITY_MAX + 0x1000, 7},
                {UNITY, 0x1000, IVMD_UNITY},
                {UNITY, 0x1000, IVMD_IR},
                {BIT(52), 0x1000, 7},
                {0x90000000, 0x80000000, 7},
                {~(uint64_t)0xfff, 0x1000, 7}};

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        clear(BLOCKS);
        put_ivhd(IVHD_11H, 8, BASE_0, ioapic, sizeof(ioapic));
        put_ivmd(IVMD_SELECT, 0x28, 0, rows[i].start, rows[i].size, rows[i].flags);
        read_as(&facts.ivrs);
        CHECK(got->nunits == 1 && got->nunities == 0);
        CHECK(facts.nclaimed == 1 && facts.claimed[0].first == 0x28 && facts.claimed[0].last == 0x28);
        CHECK(strstr(warnings, "table IVRS: the unity range at 0x") != NULL);
    }
}

/* Nowhere, in RAM, reaching into RAM, not aligned, beyond all addresses. */
static const uint64_t bad_bases[] = {0, 0x1000000, 0x7dffc000, BASE_0 + 0x800, BIT(52)};

TEST(units_that_cannot_be_there)
{
    for (unsigned i = 0; i < ARRAY_SIZE(bad_bases); i++) {
        clear(BLOCKS);
        put_ivhd(IVHD_11H, 8, BASE_0, ioapic, sizeof(ioapic));
        put_ivhd(IVHD_11H, 9, bad_bases[i], ioapic, sizeof(ioapic));
        refused(&facts.ivrs, "table IVRS: the unit at 0x");
        CHECK(strstr(warnings, "table IVRS ignored: none of its units is used") != NULL);
    }
    clear(BLOCKS);
    for (unsigned i = 0; i < BOOT_UNITS_MAX + 1; i++)
        put_ivhd(IVHD_11H, (uint16_t)i, BASE_1 + i * 0x4000, ioapic, sizeof(ioapic));
    refused(&facts.ivrs, "too many units");
}

TEST(blocks_that_lie)
{
    uint32_t second;

    clear(BLOCKS);
    put_ivhd(IVHD_11H, 8, BASE_0, ioapic, sizeof(ioapic));
    second = size;
    put_ivhd(IVHD_11H, 9, BASE_1, ioapic, sizeof(ioapic));
    for (unsigned length = 0; length < 100; length++) {
        put_number(second + BLOCK_LENGTH, length, 2);
        if (length < IVHD_11H_DEVICES || length > 48) { /* a loop, a header cut off, beyond the table */
            refused(&facts.ivrs, "table IVRS ignored: an entry's length is wrong");
            continue;
        }
        if (length > 48 - BLOCK_HEADER) { /* less is left than a block has at least */
            read_as(&facts.ivrs);
            CHECK_EQ(got->nunits, 2);
        }
    }
    size = BLOCKS; /* no unit at all, and less than a header */
    read_as(&facts.ivrs);
    CHECK_EQ(got->kind, BOOT_IOMMU_NONE);
    size = 36;
    read_as(&facts.ivrs);
    CHECK_EQ(got->kind, BOOT_IOMMU_NONE);
}

TEST(more_entries_than_fit)
{
    static uint8_t entries[4 * (BOOT_SCOPES_MAX + 1)], aliases[8 * (BOOT_ALIASES_MAX + 1)];

    for (unsigned i = 0; i <= BOOT_SCOPES_MAX; i++)
        entries[4 * i] = DEV_SELECT;
    for (unsigned i = 0; i <= BOOT_ALIASES_MAX; i++)
        aliases[8 * i] = DEV_ALIAS;
    clear(BLOCKS);
    put_ivhd(IVHD_11H, 8, BASE_0, entries, sizeof(entries) - 4);
    read_as(&facts.ivrs);
    CHECK(got->nscopes == BOOT_SCOPES_MAX && got->nunits == 1);
    clear(BLOCKS);
    put_ivhd(IVHD_11H, 8, BASE_0, entries, sizeof(entries));
    refused(&facts.ivrs, "too many entries");
    clear(BLOCKS);
    put_ivhd(IVHD_11H, 8, BASE_0, aliases, sizeof(aliases));
    refused(&facts.ivrs, "too many entries");
    clear(BLOCKS);
    put_ivhd(IVHD_11H, 8, BASE_0, ioapic, sizeof(ioapic));
    for (unsigned i = 0; i <= BOOT_UNITIES_MAX; i++)
        put_ivmd(IVMD_SELECT, (uint16_t)i, 0, UNITY, 0x1000, 7);
    refused(&facts.ivrs, "too many unity ranges");
}

/* --- DMAR --- */

static void put_drhd(uint8_t flags, uint16_t segment, uint64_t base, const uint8_t *scopes, size_t n)
{
    uint32_t at = size;

    put_number(at + BLOCK_LENGTH, DRHD_SCOPES + n, 2);
    table[at + DRHD_FLAGS] = flags;
    put_number(at + DRHD_SEGMENT, segment, 2);
    put_number(at + DRHD_BASE, base, 8);
    size += DRHD_SCOPES;
    if (n)
        put_bytes(scopes, n);
}

static void put_rmrr(uint64_t start, uint64_t limit, const uint8_t *scopes, size_t n)
{
    uint32_t at = size;

    table[at] = DMAR_RMRR;
    put_number(at + BLOCK_LENGTH, RMRR_SCOPES + n, 2);
    put_number(at + RMRR_BASE, start, 8);
    put_number(at + RMRR_LIMIT, limit, 8);
    size += RMRR_SCOPES;
    put_bytes(scopes, n);
}

TEST(what_vt_d_must_be_able_to_do)
{
    for (uint8_t flags = 0; flags < 2; flags++) {
        clear(BLOCKS);
        table[DMAR_FLAGS] = flags;
        put_drhd(DRHD_ALL, 2, BASE_0, NULL, 0);
        read_as(&facts.dmar);
        CHECK_EQ(got->kind, BOOT_IOMMU_VTD);
        CHECK(got->nunits == 1 && got->unit[0].base == BASE_0 && got->unit[0].rid == 0x20000);
        CHECK(got->vfs_with_pf);
        CHECK_EQ(facts.remapping, flags);
        CHECK(unit_of(0x20000) == 0 && unit_of(0x2ffff) == 0 && unit_of(0x1ffff) == -1);
    }
    clear(BLOCKS);
    put_rmrr(UNITY, UNITY + 0xfff, (const uint8_t[]){1, 8, 0, 0, 0, 0, 5, 0}, 8); /* no unit */
    read_as(&facts.dmar);
    CHECK_EQ(got->kind, BOOT_IOMMU_NONE);
}

TEST(a_unit_for_all_has_what_no_other_names)
{
    static const uint8_t scopes[] = {
        3, 8,  0, 0, 0, 0, 0x1f, 0,      /* an I/O APIC */
        1, 8,  0, 0, 0, 0, 5,    0,      /* 00:05.0 */
        2, 8,  0, 0, 0, 0, 6,    0,      /* 00:06.0 and buses 1 to 2 */
        1, 10, 0, 0, 0, 0, 0x1c, 0, 1, 3 /* 03:01.3, behind 00:1c.0 */
    };

    clear(BLOCKS);
    put_bridge(0, 6, 1, 2, 7);
    put_bridge(0, 0x1c, 3, 3, 4);
    put_drhd(DRHD_ALL, 0, BASE_1, NULL, 0);
    put_drhd(0, 0, BASE_0, scopes, sizeof(scopes));
    put_bytes((const uint16_t[]){2, 8, 1, 0}, 8); /* an ATSR */
    read_as(&facts.dmar);
    CHECK_EQ(got->nunits, 2);
    CHECK(unit_of(0x28) == 1 && unit_of(0x29) == 0 && unit_of(0xf8) == 0);
    CHECK(unit_of(0x30) == 1 && unit_of(0x100) == 1 && unit_of(0x2ff) == 1 && unit_of(0x300) == 0);
    CHECK(unit_of(0x30b) == 1 && unit_of(0x30a) == 0 && unit_of(0xe0) == 0);
    CHECK(alias_of(0x123) == 0x100 && alias_of(0x2ff) == 0x100 && alias_of(0x30b) == 0x30b);
    CHECK(warnings[0] == 0);
}

TEST(paths_that_lead_nowhere)
{
    static const struct {
        uint8_t scope[10];
        bool covers, refused;
    } rows[] = {
        {{1, 10, 0, 0, 0, 0, 0x1c, 0, 1, 0}, true, false},  /* 03:01.0 */
        {{1, 10, 0, 0, 0, 0, 0x1d, 0, 1, 0}, false, false}, /* behind what is not there */
        {{1, 10, 0, 0, 0, 0, 5, 0, 1, 0}, false, false},    /* behind what is no bridge */
        {{1, 10, 0, 0, 0, 9, 5, 0, 1, 0}, false, false},    /* behind a bus without a window */
        {{1, 10, 0, 0, 0, 0, 6, 0, 1, 0}, false, false},    /* behind a bridge without a number */
        {{4, 10, 0, 0, 0, 0, 0x1c, 0, 1, 0}, false, false}, /* a timer */
        {{1, 6, 0, 0, 0, 3, 1, 0, 0, 0}, false, true},      /* no path */
        {{1, 11, 0, 0, 0, 0, 0x1c, 0, 1, 0}, false, true},  /* longer than there is */
        {{1, 0, 0, 0, 0, 3, 1, 0, 0, 0}, false, true},      /* a loop */
    };

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        clear(BLOCKS);
        put_bridge(0, 0x1c, 3, 3, 4);
        put_bridge(0, 6, 0, 0, 4);
        memset(config(0, 5, 0), 0, 64);
        put_drhd(0, 0, BASE_0, rows[i].scope, sizeof(rows[i].scope));
        read_as(&facts.dmar);
        CHECK_EQ(got->nunits, rows[i].refused ? 0 : 1);
        CHECK_EQ(unit_of(0x308), rows[i].covers ? 0 : -1);
        CHECK_EQ(got->nscopes, rows[i].covers);
    }
}

TEST(reserved_memory_of_a_dmar)
{
    static const uint8_t scopes[] = {1, 8, 0, 0, 0, 0, 5, 0, 2, 8, 0, 0, 0, 0, 6, 0};

    clear(BLOCKS);
    put_bridge(0, 6, 1, 2, 4);
    put_drhd(DRHD_ALL, 0, BASE_0, NULL, 0);
    put_rmrr(UNITY, UNITY + 0x1fff, scopes, sizeof(scopes));
    put_rmrr(0x2000, 0x1fff, scopes, 8); /* ends before it begins */
    put_rmrr(0x1000000, 0x1000fff, scopes, 8);
    read_as(&facts.dmar);
    CHECK_EQ(got->nunities, 2);
    CHECK(got->unity[0].first == 0x28 && got->unity[0].last == 0x28 && got->unity[0].size == 0x2000);
    CHECK(got->unity[1].first == 0x30 && got->unity[1].last == 0x30 && got->unity[1].start == UNITY);
    CHECK_EQ(got->unity[1].flags, UNITY_READ | UNITY_WRITE);
    CHECK_EQ(facts.nclaimed, 5);
    CHECK(facts.claimed[1].first == 0x30 && facts.claimed[2].first == 0x100 &&
          facts.claimed[2].last == 0x2ff);
    CHECK(strstr(warnings, "DMAR: the unity range at 0x2000 is refused") != NULL);
    CHECK(strstr(warnings, "DMAR: the unity range at 0x1000000 is refused") != NULL);
}

TEST(drhds_that_lie)
{
    uint32_t second;

    for (unsigned i = 0; i < ARRAY_SIZE(bad_bases); i++) {
        clear(BLOCKS);
        put_drhd(DRHD_ALL, 0, BASE_0, NULL, 0);
        put_drhd(0, 0, bad_bases[i], NULL, 0);
        refused(&facts.dmar, "table DMAR: the unit at 0x");
    }
    clear(BLOCKS);
    put_drhd(DRHD_ALL, 0, BASE_0, NULL, 0);
    second = size;
    put_drhd(0, 0, BASE_1, NULL, 0);
    for (unsigned length = 0; length < 20; length++) {
        put_number(second + BLOCK_LENGTH, length, 2);
        if (length != 16)
            refused(&facts.dmar, "an entry's length is wrong");
    }
    clear(BLOCKS);
    for (unsigned i = 0; i < BOOT_UNITS_MAX + 1; i++)
        put_drhd(0, 0, BASE_1 + i * 0x1000, NULL, 0);
    refused(&facts.dmar, "too many units");
}

TEST(no_table_no_iommu)
{
    clear(0);
    iommu_read(&facts, mem, ARRAY_SIZE(mem), warn);
    CHECK(got->kind == BOOT_IOMMU_NONE && warnings[0] == 0);
    free(ecam);
    ecam = NULL;
}

TEST_MAIN()
