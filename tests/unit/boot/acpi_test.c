/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/test.h"

#include "boot/acpi.c"
#include "boot/memmap.c"
#include "boot/text.c"

/* The machine's memory: an RSDP, an XSDT and up to four tables, at host addresses. */
static uint8_t ram[0x4000] __attribute__((aligned(4096)));
static struct boot_mem mem;
static struct acpi_facts facts;
static char warnings[1024];
static unsigned ntables;

#define XSDT     0x100
#define TABLE(i) (0x1000 + 0x400 * (i))

static void warn(const char *line)
{
    strcat(warnings, line);
    strcat(warnings, "\n");
}

static void put32(uint32_t at, uint64_t v)
{
    memcpy(ram + at, &v, 4);
}

static void put64(uint32_t at, uint64_t v)
{
    memcpy(ram + at, &v, 8);
}

static void seal(uint32_t at, uint32_t length, uint32_t checksum_at)
{
    uint8_t sum = 0;

    ram[at + checksum_at] = 0;
    for (uint32_t i = 0; i < length; i++)
        sum = (uint8_t)(sum + ram[at + i]);
    ram[at + checksum_at] = (uint8_t)-sum;
}

static void header(uint32_t at, const char *signature, uint32_t length)
{
    memcpy(ram + at, signature, 4);
    put32(at + 4, length);
    seal(at, length, 9);
}

static void clear(void)
{
    memset(ram, 0, sizeof(ram));
    warnings[0] = 0;
    ntables = 0;
    mem = (struct boot_mem){(uint64_t)ram, sizeof(ram), BOOT_MEM_ACPI, 0};
}

/* The body stands at TABLE(ntables) + 36 and up already. */
static uint32_t add(const char *signature, uint32_t length)
{
    uint32_t at = TABLE(ntables);

    header(at, signature, length);
    put64(XSDT + 36 + 8 * ntables++, (uint64_t)ram + at);
    return at;
}

static void read_all(void)
{
    memcpy(ram, "RSD PTR ", 8);
    ram[RSDP_REVISION] = 2;
    put32(RSDP_LENGTH, RSDP_V2_BYTES);
    put64(RSDP_XSDT, (uint64_t)ram + XSDT);
    seal(0, RSDP_V2_BYTES, 32);
    header(XSDT, "XSDT", 36 + 8 * ntables);
    acpi_read(&facts, (uint64_t)ram, &mem, 1, warn);
}

/* An IVHD of the given type at `at`, with the I/O APIC's entry behind `skip` bytes of other entries. */
static uint32_t ivhd(uint32_t at, uint8_t type, uint64_t efr, bool ioapic)
{
    uint32_t devices = type == IVHD_10H ? IVHD_10H_DEVICES : IVHD_11H_DEVICES, n = devices;

    ram[at] = type;
    if (type != IVHD_10H)
        put64(at + IVHD_EFR, efr);
    ram[at + n] = 2; /* select, 4 bytes */
    n += 4;
    ram[at + n] = 66; /* alias select, 8 bytes */
    n += 8;
    ram[at + n] = IVHD_DEV_SPECIAL;
    ram[at + n + IVHD_SPECIAL_KIND] = ioapic ? IVHD_SPECIAL_IOAPIC : 2;
    n += 8;
    ram[at + 2] = (uint8_t)n;
    return n;
}

static void ivrs(uint8_t type, uint64_t efr, bool ioapic)
{
    uint32_t at = TABLE(ntables) + IVRS_ENTRIES;

    add("IVRS", IVRS_ENTRIES + ivhd(at, type, efr, ioapic));
}

TEST(amd_vi)
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

    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        clear();
        ivrs(rows[i].type, rows[i].efr, rows[i].ioapic);
        read_all();
        CHECK(facts.xsdt);
        CHECK_EQ(facts.iommu, IOMMU_AMDVI);
        CHECK_EQ(facts.remapping, rows[i].remapping);
        CHECK(warnings[0] == 0);
    }
}

TEST(vt_d)
{
    for (unsigned flags = 0; flags < 2; flags++) {
        clear();
        ram[TABLE(0) + DMAR_FLAGS] = (uint8_t)flags;
        ram[TABLE(0) + DMAR_ENTRIES + 2] = 16;
        add("DMAR", DMAR_ENTRIES + 16);
        read_all();
        CHECK_EQ(facts.iommu, IOMMU_VTD);
        CHECK_EQ(facts.remapping, flags);
    }
    clear();
    ram[TABLE(0) + DMAR_ENTRIES] = 1; /* an RMRR alone is no unit */
    ram[TABLE(0) + DMAR_ENTRIES + 2] = 24;
    add("DMAR", DMAR_ENTRIES + 24);
    read_all();
    CHECK_EQ(facts.iommu, IOMMU_NONE);
}

TEST(processors_and_ecam)
{
    clear();
    ram[TABLE(0) + 44] = MADT_LAPIC;
    ram[TABLE(0) + 45] = 8;
    ram[TABLE(0) + 48] = 1;
    ram[TABLE(0) + 52] = MADT_LAPIC; /* not enabled */
    ram[TABLE(0) + 53] = 8;
    ram[TABLE(0) + 60] = MADT_X2APIC;
    ram[TABLE(0) + 61] = 16;
    ram[TABLE(0) + 68] = 1;
    add("APIC", 76);
    put64(TABLE(1) + 44, 0xb0000000);
    ram[TABLE(1) + 55] = 0xff;
    add("MCFG", 60);
    read_all();
    CHECK_EQ(facts.cpus, 2);
    CHECK_EQ(facts.necam, 1);
    CHECK_EQ(facts.ecam[0].base, 0xb0000000);
    CHECK_EQ(facts.ecam[0].last_bus, 255);
}

static bool has_table(uint32_t at, const char *signature)
{
    for (unsigned i = 0; i < facts.ntables; i++)
        if (facts.table[i].base == (uint64_t)ram + at)
            return memcmp(ram + at, signature, 4) == 0 && facts.table[i].size != 0;
    return false;
}

TEST(tables_are_noted_down_for_the_hypervisor)
{
    for (unsigned wide = 0; wide < 2; wide++) {
        clear();
        header(0x3000, "DSDT", 40);
        put64(TABLE(0) + (wide ? FADT_X_DSDT : FADT_DSDT), (uint64_t)ram + 0x3000);
        CHECK(wide || (uint64_t)ram < (uint64_t)1 << 32);
        add("FACP", FADT_X_DSDT + 8);
        add("APIC", 44);
        add("APIC", 44); /* the first one counts */
        add("SSDT", 44);
        read_all();
        CHECK_EQ(facts.ntables, 3);
        CHECK(has_table(TABLE(0), "FACP") && has_table(0x3000, "DSDT") && has_table(TABLE(1), "APIC"));
        ram[0x3000 + 38]++;
        read_all();
        CHECK_EQ(facts.ntables, 2);
        CHECK(strstr(warnings, "table DSDT ignored: bad checksum") != NULL);
    }
    clear(); /* too short for a DSDT */
    add("FACP", FADT_DSDT + 3);
    read_all();
    CHECK_EQ(facts.ntables, 1);
    CHECK(warnings[0] == 0);
}

/* A damaged table is left out, with its name; the machine then looks as if it had none. */
TEST(damaged_tables_are_left_out)
{
    static const struct {
        uint32_t offset; /* in the IVRS */
        uint8_t value;
        bool sealed; /* the checksum is put right again */
        const char *warning;
    } rows[] = {
        {40, 0x55, false, "table IVRS ignored: bad checksum"},
        {4, 0, true, "table IVRS ignored: bad length"},
        {4, 35, true, "table IVRS ignored: bad length"},
        {6, 0x7f, true, "table IVRS ignored: bad length"},
        {IVRS_ENTRIES + 2, 0, true, "table IVRS ignored: an entry's length is wrong"},
        {IVRS_ENTRIES + 3, 0x40, true, "table IVRS ignored: an entry's length is wrong"},
    };

    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint32_t length;

        clear();
        ivrs(IVHD_11H, IVHD_EFR_NEEDED, true);
        memcpy(&length, ram + TABLE(0) + 4, 4);
        ram[TABLE(0) + rows[i].offset] = rows[i].value;
        if (rows[i].sealed)
            seal(TABLE(0), length, 9);
        read_all();
        CHECK_EQ(facts.iommu, IOMMU_NONE);
        CHECK(strstr(warnings, rows[i].warning) != NULL);
    }
}

TEST(a_device_entry_beyond_its_block_is_not_read)
{
    uint32_t at;

    clear();
    at = TABLE(0) + IVRS_ENTRIES;
    ram[at] = IVHD_40H;
    put64(at + IVHD_EFR, IVHD_EFR_NEEDED);
    ram[at + IVHD_11H_DEVICES] = IVHD_DEV_ACPI_HID;
    ram[at + 2] = IVHD_11H_DEVICES + 22;
    ram[at + IVHD_11H_DEVICES + IVHD_HID_UIDLEN] = 200;
    add("IVRS", IVRS_ENTRIES + IVHD_11H_DEVICES + 22);
    read_all();
    CHECK(!facts.remapping);

    ram[at + IVHD_11H_DEVICES] = IVHD_DEV_SPECIAL; /* four of its eight bytes are in the block */
    ram[at + IVHD_11H_DEVICES + IVHD_SPECIAL_KIND] = IVHD_SPECIAL_IOAPIC;
    ram[at + 2] = IVHD_11H_DEVICES + 4;
    ram[at + IVHD_11H_DEVICES + 6] = 0x12; /* the rest is a block of another kind, 0x112 bytes long */
    header(TABLE(0), "IVRS", IVRS_ENTRIES + IVHD_11H_DEVICES + 4 + 0x112);
    read_all();
    CHECK_EQ(facts.iommu, IOMMU_AMDVI);
    CHECK(!facts.remapping);
}

TEST(the_way_to_the_tables_is_checked)
{
    clear();
    ivrs(IVHD_11H, IVHD_EFR_NEEDED, true);
    put64(XSDT + 36, 0x10); /* a table outside the memory */
    read_all();
    CHECK(strstr(warnings, "not in memory") != NULL);
    CHECK_EQ(facts.iommu, IOMMU_NONE);

    clear();
    read_all();
    ram[10] ^= 1;
    acpi_read(&facts, (uint64_t)ram, &mem, 1, warn);
    CHECK(strstr(warnings, "no valid RSDP") != NULL);

    clear(); /* ACPI 1.0: an RSDT alone */
    read_all();
    ram[RSDP_REVISION] = 0;
    seal(0, RSDP_V2_BYTES, 32);
    acpi_read(&facts, (uint64_t)ram, &mem, 1, warn);
    CHECK(strstr(warnings, "no valid RSDP of revision 2") != NULL);
    CHECK(!facts.xsdt);

    clear();
    read_all();
    put64(RSDP_XSDT, 0);
    seal(0, RSDP_V2_BYTES, 32);
    acpi_read(&facts, (uint64_t)ram, &mem, 1, warn);
    CHECK(warnings[0] != 0);
    CHECK(!facts.xsdt);

    clear();
    header(XSDT, "RSDT", 36);
    memcpy(ram, "RSD PTR ", 8);
    ram[RSDP_REVISION] = 2;
    put32(RSDP_LENGTH, RSDP_V2_BYTES);
    put64(RSDP_XSDT, (uint64_t)ram + XSDT);
    seal(0, RSDP_V2_BYTES, 32);
    acpi_read(&facts, (uint64_t)ram, &mem, 1, warn);
    CHECK(strstr(warnings, "table RSDT ignored: not an XSDT") != NULL);
    CHECK(!facts.xsdt);

    clear();
    acpi_read(&facts, 0, &mem, 1, warn);
    CHECK(strstr(warnings, "no valid RSDP") != NULL);

    clear();
    read_all();
    warnings[0] = 0;
    ram[XSDT + 20] ^= 1;
    acpi_read(&facts, (uint64_t)ram, &mem, 1, warn);
    CHECK(strstr(warnings, "table XSDT ignored: bad checksum") != NULL);
    CHECK(!facts.xsdt);

    clear();
    ivrs(IVHD_11H, IVHD_EFR_NEEDED, true);
    put64(XSDT + 36 + 8, (uint64_t)ram + XSDT); /* a table that leads back */
    ntables = 2;
    read_all();
    CHECK_EQ(facts.iommu, IOMMU_AMDVI);
}

TEST_MAIN()
