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

#define SELF 1u /* the processor that reads */

static void read_all(void)
{
    memcpy(ram, "RSD PTR ", 8);
    ram[RSDP_REVISION] = 2;
    put32(RSDP_LENGTH, RSDP_V2_BYTES);
    put64(RSDP_XSDT, (uint64_t)ram + XSDT);
    seal(0, RSDP_V2_BYTES, 32);
    header(XSDT, "XSDT", 36 + 8 * ntables);
    acpi_read(&facts, (uint64_t)ram, SELF, &mem, 1, warn);
}

/* CPUs 0, 1 (listed twice), 300; 2 is off, 255 is none. */
static const uint8_t madt_body[] = {
    0, 0,  0xe0, 0xfe, 1,    0, 0,    0,                            /* local APIC address, flags */
    0, 8,  0,    0,    1,    0, 0,    0,                            /* local APIC 0 */
    1, 12, 0,    0,    0,    0, 0xc0, 0xfe, 0, 0, 0, 0,             /* I/O APIC: passed over */
    0, 8,  1,    1,    1,    0, 0,    0,                            /* 1 */
    0, 8,  2,    2,    0,    0, 0,    0,                            /* 2, disabled */
    0, 8,  3,    255,  1,    0, 0,    0,                            /* 255 */
    9, 16, 0,    0,    1,    0, 0,    0,    1, 0, 0, 0, 1, 0, 0, 0, /* x2APIC 1 */
    9, 16, 0,    0,    0x2c, 1, 0,    0,    1, 0, 0, 0, 2, 0, 0, 0, /* x2APIC 300 */
};

static uint8_t *put_madt(uint32_t body)
{
    uint8_t *p = ram + TABLE(ntables) + 36;

    memcpy(p, madt_body, sizeof(madt_body));
    add("APIC", 36 + body);
    return p;
}

TEST(processors)
{
    const struct boot_machine *m = &facts.machine;

    clear();
    put_madt(sizeof(madt_body));
    read_all();
    CHECK_EQ(m->ncpus, 3);
    CHECK(m->cpu[0] == SELF && m->cpu[1] == 0 && m->cpu[2] == 300);
    CHECK(!strstr(warnings, "APIC"));
    for (unsigned bad = 0; bad < 3; bad++) { /* entries that loop or run over */
        clear();
        put_madt(sizeof(madt_body))[8 + 8 + 1] = (uint8_t[]){0, 1, 255}[bad]; /* the I/O APIC's length */
        seal(TABLE(0), 36 + sizeof(madt_body), 9);
        read_all();
        CHECK_EQ(m->ncpus, 2);
        CHECK(strstr(warnings, "table APIC: malformed entry") != NULL);
    }
    for (unsigned body = 3; body <= 9; body += 6) { /* 9: one byte of an entry */
        clear();
        put_madt(body);
        read_all();
        CHECK(m->ncpus == 1 && m->cpu[0] == SELF); /* not listed, and there all the same */
    }
    acpi_read(&facts, 0, SELF, &mem, 1, warn);
    CHECK(m->ncpus == 1 && m->cpu[0] == SELF);
}

TEST(more_processors_than_fit_are_counted)
{
    static struct acpi_facts f;

    for (unsigned i = 0; i < BOOT_CPUS_MAX + 5; i++)
        add_cpu(&f.machine, 2 * i);
    add_cpu(&f.machine, 0);
    CHECK_EQ(f.machine.ncpus, BOOT_CPUS_MAX + 5);
    CHECK_EQ(f.machine.cpu[BOOT_CPUS_MAX - 1], 2 * (BOOT_CPUS_MAX - 1));
    CHECK_EQ(f.machine.necam, 0);
}

struct mcfg_entry {
    uint64_t base;
    uint16_t segment;
    uint8_t first, last;
    uint32_t reserved;
};

static void read_windows(const struct mcfg_entry *e, uint32_t n)
{
    clear();
    mem.base = (uint64_t)ram;
    memcpy(ram + TABLE(0) + MCFG_ENTRIES, e, n * sizeof(*e));
    add("MCFG", MCFG_ENTRIES + n * (uint32_t)sizeof(*e));
    read_all();
}

TEST(windows_of_configuration_space)
{
    static const struct mcfg_entry bad[] = {
        {.base = 0xb0080000, .last = 255},           /* not on a bus boundary */
        {.base = 0, .last = 255},                    /* nowhere */
        {.base = 0xfffffffff0000000, .last = 255},   /* beyond all addresses, wraps */
        {.base = BIT(52) - BIT(20), .last = 1},      /* reaches beyond them */
        {.base = 0xb0000000, .first = 9, .last = 8}, /* no bus */
    };
    const struct boot_machine *m = &facts.machine;
    struct mcfg_entry e[12] = {{.base = 0xb0000000, .first = 1, .last = 255}};

    read_windows(e, 1);
    CHECK(m->necam == 1 && m->ecam[0].base == 0xb0000000);
    CHECK(m->ecam[0].first_bus == 1 && m->ecam[0].last_bus == 255);
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        read_windows(&bad[i], 1);
        CHECK_EQ(m->necam, 0);
        CHECK(strstr(warnings, "MCFG: the window at") != NULL);
    }
    e[0] = (struct mcfg_entry){.base = ALIGN_DOWN((uint64_t)ram, BIT(20)), .last = 0}; /* RAM */
    read_windows(e, 1);
    CHECK_EQ(m->necam, 0);
    e[0] = (struct mcfg_entry){.base = 0xb0000000, .last = 63};
    e[1] = (struct mcfg_entry){.base = 0xc0000000, .first = 63, .last = 127}; /* bus 63 twice */
    e[2] = (struct mcfg_entry){.base = 0xc0000000, .segment = 1, .last = 127};
    read_windows(e, 3);
    CHECK(m->necam == 2 && m->ecam[1].segment == 1);
    for (unsigned i = 0; i < 12; i++)
        e[i] = (struct mcfg_entry){.base = 0xb0000000, .segment = (uint16_t)i, .last = 63};
    read_windows(e, 12);
    CHECK_EQ(m->necam, BOOT_ECAM_MAX);
    CHECK(strstr(warnings, "MCFG: the window at") != NULL);
}

#define DSDT 0x3000

/* An FADT of `length` bytes and a DSDT with this body. */
static void put_fadt(uint32_t length, const void *body, uint32_t size)
{
    uint32_t at = TABLE(ntables);

    memcpy(ram + DSDT + 36, body, size);
    header(DSDT, "DSDT", 36 + size);
    put32(at + FADT_PM1A_CNT, 0x604);
    put32(at + FADT_PM1B_CNT, 0x704);
    put32(at + FADT_PM_TMR, 0x608);
    put32(at + FADT_SMI_CMD, 0xb2);
    ram[at + FADT_ACPI_ENABLE] = 2;
    put32(at + FADT_FLAGS, FADT_RESET_REG_SUP);
    ram[at + FADT_RESET_SPACE] = ACPI_SPACE_IO;
    put64(at + FADT_RESET_ADDRESS, 0xcf9);
    ram[at + FADT_RESET_VALUE] = 0xf;
    put64(at + FADT_X_DSDT, (uint64_t)ram + DSDT);
    put32(at + FADT_DSDT, (uint64_t)ram + DSDT);
    add("FACP", length);
}

static const uint8_t dsdt_body[] = {0x10, '_',  'S',  '5',  '_',  0x5b, 0x08, '_',  'S', '5',
                                    '_',  0x12, 0x07, 0x04, 0x0a, 0x05, 0x01, 0x00, 0x00};

TEST(power_and_reset)
{
    const struct boot_power *p = &facts.machine.power;

    clear();
    put_fadt(FADT_X_DSDT + 8, dsdt_body, sizeof(dsdt_body));
    read_all();
    CHECK(warnings[0] == 0);
    CHECK(p->pm_timer == 0x608 && p->pm1_cnt[0] == 0x604 && p->pm1_cnt[1] == 0x704);
    CHECK(p->slp_typ[0] == 5 && p->slp_typ[1] == 1);
    CHECK(p->smi_cmd == 0xb2 && p->acpi_enable == 2);
    CHECK(p->reset == 0xcf9 && p->reset_value == 0xf);
    clear(); /* an old, short one */
    put_fadt(FADT_PM_TMR + 4, dsdt_body, sizeof(dsdt_body));
    read_all();
    CHECK(p->pm_timer == 0x608 && p->pm1_cnt[0] == 0x604 && p->reset == 0 && p->reset_value == 0);
    clear(); /* cut in the middle of a field */
    put_fadt(FADT_PM_TMR + 3, dsdt_body, sizeof(dsdt_body));
    read_all();
    CHECK_EQ(p->pm_timer, 0);
    clear();
    put_fadt(FADT_X_DSDT + 8, dsdt_body, sizeof(dsdt_body));
    ram[TABLE(0) + FADT_RESET_SPACE] = 0;   /* memory */
    put32(TABLE(0) + FADT_PM_TMR, 0x10608); /* no port */
    seal(TABLE(0), FADT_X_DSDT + 8, 9);
    read_all();
    CHECK(p->reset == 0 && p->pm_timer == 0);
}

TEST(no_s5_no_power_off)
{
    static const uint8_t bodies[][12] = {
        {'_', 'S', '5', '_', 0x12}, /* ends early: no PkgLength to speak of */
        {'_', 'S', '5', '_', 0x12, 0xc6, 0, 0, 0, 4,
         0x0a}, /* four-byte length, value cut off by the table's end */
        {'_', 'S', '5', '_', 0x12, 0x06, 4, 0x0a, 9, 0, 0}, /* 9 is no SLP_TYP */
        {'_', 'S', '5', '_', 0x12, 0x06, 4, 0x70, 5, 0, 0}, /* neither a constant nor a byte */
    };
    static const uint32_t sizes[] = {5, 11, 11, 11};

    for (unsigned i = 0; i < 4; i++) {
        clear();
        put_fadt(FADT_X_DSDT + 8, bodies[i], sizes[i]);
        read_all();
        CHECK_EQ(facts.machine.power.pm1_cnt[0], 0);
        CHECK_EQ(facts.machine.power.pm_timer, 0x608);
        CHECK(strstr(warnings, "cannot be powered off") != NULL);
    }
    clear(); /* no FADT at all */
    read_all();
    CHECK(facts.machine.power.pm1_cnt[0] == 0 && strstr(warnings, "cannot be powered off"));
}

TEST(tables_of_iommus_are_noted_down)
{
    clear();
    add("IVRS", 100);
    add("SSDT", 44);
    add("IVRS", 80); /* the first one counts */
    read_all();
    CHECK(facts.ivrs.at == ram + TABLE(0) && facts.ivrs.length == 100);
    CHECK_EQ(facts.dmar.length, 0);
    add("DMAR", 48);
    read_all();
    CHECK(facts.dmar.at == ram + TABLE(3) && facts.dmar.length == 48);
    CHECK(!strstr(warnings, "table"));
}

TEST(the_dsdt_is_checked_like_a_table_of_the_list)
{
    for (unsigned wide = 0; wide < 2; wide++) {
        clear();
        put_fadt(FADT_X_DSDT + 8, dsdt_body, sizeof(dsdt_body));
        put64(TABLE(0) + (wide ? FADT_DSDT : FADT_X_DSDT), 0);
        if (wide)
            put32(TABLE(0) + FADT_X_DSDT, (uint64_t)ram + DSDT);
        else
            put32(TABLE(0) + FADT_DSDT, (uint64_t)ram + DSDT);
        seal(TABLE(0), FADT_X_DSDT + 8, 9);
        read_all();
        CHECK(warnings[0] == 0);
        ram[DSDT + 38]++;
        read_all();
        CHECK(strstr(warnings, "table DSDT ignored: bad checksum") != NULL);
        CHECK_EQ(facts.machine.power.pm1_cnt[0], 0);
    }
    clear(); /* too short for a DSDT */
    put_fadt(FADT_DSDT + 3, dsdt_body, sizeof(dsdt_body));
    read_all();
    CHECK(!strstr(warnings, "DSDT"));
}

/* A damaged table is left out, with its name; the machine then looks as if it had none. */
TEST(damaged_tables_are_left_out)
{
    static const struct {
        uint32_t offset;
        uint8_t value;
        bool sealed; /* the checksum is put right again */
        const char *warning;
    } rows[] = {
        {40, 0x55, false, "table IVRS ignored: bad checksum"},
        {4, 0, true, "table IVRS ignored: bad length"},
        {4, 35, true, "table IVRS ignored: bad length"},
        {6, 0x7f, true, "table IVRS ignored: bad length"},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        clear();
        add("IVRS", 100);
        ram[TABLE(0) + rows[i].offset] = rows[i].value;
        if (rows[i].sealed)
            seal(TABLE(0), 100, 9);
        read_all();
        CHECK_EQ(facts.ivrs.length, 0);
        CHECK(strstr(warnings, rows[i].warning) != NULL);
    }
}

TEST(the_way_to_the_tables_is_checked)
{
    clear();
    add("IVRS", 100);
    put64(XSDT + 36, 0x10); /* a table outside the memory */
    read_all();
    CHECK(strstr(warnings, "not in memory") != NULL);
    CHECK_EQ(facts.ivrs.length, 0);

    clear();
    read_all();
    ram[10] ^= 1;
    acpi_read(&facts, (uint64_t)ram, SELF, &mem, 1, warn);
    CHECK(strstr(warnings, "no valid RSDP") != NULL);

    clear(); /* ACPI 1.0: an RSDT alone */
    read_all();
    ram[RSDP_REVISION] = 0;
    seal(0, RSDP_V2_BYTES, 32);
    acpi_read(&facts, (uint64_t)ram, SELF, &mem, 1, warn);
    CHECK(strstr(warnings, "no valid RSDP of revision 2") != NULL);
    CHECK(!facts.xsdt);

    clear();
    read_all();
    put64(RSDP_XSDT, 0);
    seal(0, RSDP_V2_BYTES, 32);
    acpi_read(&facts, (uint64_t)ram, SELF, &mem, 1, warn);
    CHECK(warnings[0] != 0);
    CHECK(!facts.xsdt);

    clear();
    header(XSDT, "RSDT", 36);
    memcpy(ram, "RSD PTR ", 8);
    ram[RSDP_REVISION] = 2;
    put32(RSDP_LENGTH, RSDP_V2_BYTES);
    put64(RSDP_XSDT, (uint64_t)ram + XSDT);
    seal(0, RSDP_V2_BYTES, 32);
    acpi_read(&facts, (uint64_t)ram, SELF, &mem, 1, warn);
    CHECK(strstr(warnings, "table RSDT ignored: not an XSDT") != NULL);
    CHECK(!facts.xsdt);

    clear();
    acpi_read(&facts, 0, SELF, &mem, 1, warn);
    CHECK(strstr(warnings, "no valid RSDP") != NULL);

    clear();
    read_all();
    warnings[0] = 0;
    ram[XSDT + 20] ^= 1;
    acpi_read(&facts, (uint64_t)ram, SELF, &mem, 1, warn);
    CHECK(strstr(warnings, "table XSDT ignored: bad checksum") != NULL);
    CHECK(!facts.xsdt);

    clear();
    add("IVRS", 100);
    put64(XSDT + 36 + 8, (uint64_t)ram + XSDT); /* a table that leads back */
    ntables = 2;
    read_all();
    CHECK_EQ(facts.ivrs.length, 100);
}

TEST_MAIN()
