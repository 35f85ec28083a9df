/* SPDX-License-Identifier: BSD-2-Clause */
/* The table parsers against memory that the test lays out. Each mapping is a copy of its own, so that the
 * sanitizer sees its bounds. */
#include "tests/unit/test.h"

#include "tests/unit/fake/console.c"
#include "tests/unit/fake/log.c"
#include "tests/unit/fake/paging.c"
#include "tests/unit/fake/time.c"

#include "kernel/acpi/power.c"
#include "kernel/acpi/tables.c"

#define BASE 0x100000u /* of the fake firmware memory, which is "reserved" and so goes through mmio_map() */
#define SIZE 0x8000u
#define RSDP 0x10u
#define XSDT 0x100u
#define APIC 0x400u
#define FACP 0x800u
#define DSDT 0xc00u

static uint8_t ram[SIZE];
static struct boot_mem mem[2];
static struct bootinfo info;
static void *copies[512];
static unsigned copy_count;
static jmp_buf reset_done;
static uint16_t pm1[2], outs[16];
static unsigned out_count;
static bool sci_dead;

static volatile void *map_copy(hpa_t start, uint64_t size)
{
    void *p = malloc(size);

    memcpy(p, ram + (start.a - BASE), size);
    copies[copy_count++] = p;
    return p;
}

static void seal(void *table, size_t size, size_t sum_at)
{
    uint8_t *b = table, sum = 0;

    b[sum_at] = 0;
    for (size_t i = 0; i < size; i++)
        sum = (uint8_t)(sum + b[i]);
    b[sum_at] = (uint8_t)-sum;
}

static void put_table(unsigned at, const char *sig, const void *body, uint32_t size)
{
    struct acpi_header h = {.length = (uint32_t)sizeof(h) + size};

    memcpy(h.signature, sig, 4);
    memcpy(ram + at, &h, sizeof(h));
    memcpy(ram + at + sizeof(h), body, size);
    seal(ram + at, h.length, offsetof(struct acpi_header, checksum));
}

static void put_rsdp(uint8_t revision, uint64_t xsdt)
{
    struct acpi_rsdp r = {.revision = revision, .length = sizeof(r), .xsdt = xsdt};

    memcpy(r.signature, "RSD PTR ", 8);
    seal(&r, sizeof(r), offsetof(struct acpi_rsdp, extended_checksum));
    memcpy(ram + RSDP, &r, sizeof(r));
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

static const uint8_t dsdt_body[] = {0x10, '_',  'S',  '5',  '_',  0x5b, 0x08, '_',  'S', '5',
                                    '_',  0x12, 0x07, 0x04, 0x0a, 0x05, 0x01, 0x00, 0x00};

/* A field of the FADT that is being laid out. */
static void put_field(uint8_t *fadt, unsigned at, unsigned size, uint64_t v)
{
    memcpy(fadt + at - sizeof(struct acpi_header), &v, size);
}

static void put_machine(void)
{
    uint8_t fadt[FADT_X_DSDT + 8 - sizeof(struct acpi_header)] = {0};
    uint64_t entries[] = {BASE + APIC, BASE + FACP};

    put_field(fadt, FADT_DSDT, 4, BASE + DSDT);
    put_field(fadt, FADT_PM1A_CNT, 4, 0x604);
    put_field(fadt, FADT_PM1B_CNT, 4, 0x704);
    put_field(fadt, FADT_PM_TMR, 4, 0x608);
    put_field(fadt, FADT_SMI_CMD, 4, 0xb2);
    put_field(fadt, FADT_ACPI_ENABLE, 1, 2);
    put_field(fadt, FADT_FLAGS, 4, FADT_RESET_REG_SUP);
    put_field(fadt, FADT_RESET_SPACE, 1, ACPI_SPACE_IO);
    put_field(fadt, FADT_RESET_ADDRESS, 8, 0xcf9);
    put_field(fadt, FADT_RESET_VALUE, 1, 0xf);
    memset(ram, 0, sizeof(ram));
    put_rsdp(2, BASE + XSDT);
    put_table(XSDT, "XSDT", entries, sizeof(entries));
    put_table(APIC, "APIC", madt_body, sizeof(madt_body));
    put_table(FACP, "FACP", fadt, sizeof(fadt));
    put_table(DSDT, "DSDT", dsdt_body, sizeof(dsdt_body));
}

static int start(void)
{
    while (copy_count)
        free(copies[--copy_count]);
    fake_log_reset();
    fake_mmio_map = map_copy;
    mem[0] = (struct boot_mem){0, BASE, BOOT_MEM_USABLE, 0};
    mem[1] = (struct boot_mem){BASE, SIZE, BOOT_MEM_RESERVED, 0};
    info.mem = ptr_to_hpa(mem).a;
    info.mem_count = 2;
    info.rsdp = BASE + RSDP;
    return acpi_init(&info);
}

TEST(sound_tables_are_found)
{
    uint32_t ids[8];

    put_machine();
    CHECK_EQ(start(), 0);
    CHECK_EQ(fake_log_lines, 0);
    CHECK(acpi_find("FACP") && acpi_find("APIC") && !acpi_find("MCFG"));
    CHECK_EQ(acpi_pm_timer_port(), 0x608);
    CHECK_EQ(acpi_cpus(ids, 8), 3);
    CHECK(ids[0] == 0 && ids[1] == 1 && ids[2] == 300);
    ids[1] = 77;
    CHECK_EQ(acpi_cpus(ids, 1), 4); /* beyond `max` one may count twice, none is stored */
    CHECK_EQ(ids[1], 77);
}

TEST(rsdp_is_checked)
{
    put_machine();
    ram[RSDP + 9]++;
    CHECK_EQ(start(), -EINVAL);
    put_machine();
    ram[RSDP + 24]++;
    CHECK_EQ(start(), -EINVAL);
    put_machine();
    put_rsdp(1, BASE + XSDT);
    CHECK_EQ(start(), -EINVAL);
    put_machine();
    CHECK_EQ(start(), 0);
    info.rsdp = BASE + SIZE - 8;
    CHECK_EQ(acpi_init(&info), -ENOENT);
    info.rsdp = 0xfffffffffffffff0;
    CHECK_EQ(acpi_init(&info), -ENOENT);
    info.rsdp = 0x1000; /* memory that is free for use */
    CHECK_EQ(acpi_init(&info), -ENOENT);
}

TEST(no_sound_xsdt_no_machine)
{
    put_machine();
    ram[XSDT + 40]++;
    CHECK_EQ(start(), -EINVAL);
    CHECK(fake_log_has("table XSDT refused: bad checksum"));
    put_machine();
    put_rsdp(2, BASE + APIC);
    CHECK_EQ(start(), -EINVAL);
    CHECK(fake_log_has("no usable XSDT"));
}

TEST(bad_tables_are_refused_by_name)
{
    uint32_t length, id;

    put_machine();
    ram[APIC + 50]++;
    CHECK_EQ(start(), 0);
    CHECK(fake_log_has("table APIC refused: bad checksum") && !acpi_find("APIC") && acpi_find("FACP"));
    CHECK_EQ(acpi_cpus(&id, 1), 0);
    for (length = 0; length < 36; length += 35) {
        put_machine();
        memcpy(ram + APIC + 4, &length, 4);
        CHECK_EQ(start(), 0);
        CHECK(fake_log_has("table APIC refused: length") && !acpi_find("APIC"));
    }
    put_machine();
    length = SIZE - APIC + 1;
    memcpy(ram + APIC + 4, &length, 4);
    CHECK_EQ(start(), 0);
    CHECK(fake_log_has("table APIC refused: its"));
    length = 0xffffffff;
    memcpy(ram + APIC + 4, &length, 4);
    CHECK_EQ(start(), 0);
    CHECK(fake_log_has("table APIC refused: length"));
}

TEST(root_table_that_names_itself_or_nonsense)
{
    uint64_t entries[100];

    put_machine();
    for (unsigned i = 0; i < 100; i++)
        entries[i] = i % 3 == 0 ? BASE + XSDT : i % 3 == 1 ? ~0ull - i : 0;
    put_table(XSDT, "XSDT", entries, sizeof(entries));
    CHECK_EQ(start(), 0);
    CHECK(fake_log_has("not in the firmware's memory"));
    CHECK(!acpi_find("APIC"));
    for (unsigned i = 0; i < 100; i++)
        entries[i] = BASE + APIC;
    put_machine();
    put_table(0x3000, "XSDT", entries, sizeof(entries));
    put_rsdp(2, BASE + 0x3000);
    CHECK_EQ(start(), 0);
    CHECK(fake_log_has("36 tables ignored: too many"));
}

TEST(madt_entries_that_loop_or_run_over)
{
    uint8_t body[sizeof(madt_body)];
    uint32_t ids[8];

    for (unsigned bad = 0; bad < 3; bad++) {
        put_machine();
        memcpy(body, madt_body, sizeof(body));
        body[8 + 8 + 1] = (uint8_t[]){0, 1, 255}[bad]; /* the I/O APIC's length */
        put_table(APIC, "APIC", body, sizeof(body));
        CHECK_EQ(start(), 0);
        CHECK_EQ(acpi_cpus(ids, 8), 1);
        CHECK(fake_log_has("table APIC: malformed entry"));
    }
    put_table(APIC, "APIC", body, 9); /* one byte of an entry */
    CHECK_EQ(start(), 0);
    CHECK_EQ(acpi_cpus(ids, 8), 0);
    put_table(APIC, "APIC", body, 3);
    CHECK_EQ(start(), 0);
    CHECK_EQ(acpi_cpus(ids, 8), 0);
}

static uint32_t port_in(uint16_t port, unsigned size)
{
    CHECK_EQ(size, 2);
    return port == 0x604 ? pm1[0] : port == 0x704 ? pm1[1] : 0;
}

static void port_out(uint16_t port, unsigned size, uint32_t v)
{
    (void)size;
    if (port == 0xb2 && v == 2 && !sci_dead)
        pm1[0] |= 1;
    if (port == 0x604)
        pm1[0] = (uint16_t)v;
    if (port == 0x704)
        pm1[1] = (uint16_t)v;
    if (port == 0xcf9) {
        outs[out_count++] = (uint16_t)v;
        longjmp(reset_done, 1);
    }
}

TEST(power_off_writes_the_s5_package)
{
    put_machine();
    CHECK_EQ(start(), 0);
    fake_in = port_in;
    fake_out = port_out;
    pm1[0] = 0x1c02;
    pm1[1] = 0;
    fake_console_flushes = 0;
    acpi_power_off();
    CHECK_EQ(fake_console_flushes, 1);
    CHECK_EQ(pm1[0], 1 << 13 | 5 << 10 | 3); /* entered ACPI mode, other bits kept */
    CHECK_EQ(pm1[1], 1 << 13 | 1 << 10);
    sci_dead = true;
    pm1[0] = 0;
    acpi_power_off(); /* does not hang */
    sci_dead = false;
    CHECK(pm1[0] & 1 << 13);
}

TEST(fields_beyond_the_end_read_as_zero)
{
    const struct acpi_header *h;

    put_machine();
    CHECK_EQ(start(), 0);
    h = acpi_find("FACP");
    CHECK_EQ(acpi_read(h, FADT_X_DSDT - 1, 8), 0);
    CHECK_EQ(acpi_read(h, FADT_X_DSDT + 1, 8), 0);
    CHECK_EQ(acpi_read(h, SIZE_MAX, 8), 0);
    CHECK_EQ(acpi_read(h, FADT_PM_TMR, 4), 0x608);
    CHECK_EQ(acpi_read(NULL, FADT_PM_TMR, 4), 0);
}

TEST(no_s5_no_power_off)
{
    static const uint8_t bodies[][12] = {
        {'_', 'S', '5', '_', 0x12}, /* ends early: padded with zeroes, no PkgLength to speak of */
        {'_', 'S', '5', '_', 0x12, 0xc6, 0, 0, 0, 4,
         0x0a}, /* four-byte length, value cut off by the table's end */
        {'_', 'S', '5', '_', 0x12, 0x06, 4, 0x0a, 9, 0, 0}, /* 9 is no SLP_TYP */
        {'_', 'S', '5', '_', 0x12, 0x06, 4, 0x70, 5, 0, 0}, /* neither a constant nor a byte */
    };
    static const uint32_t sizes[] = {5, 11, 11, 11};

    for (unsigned i = 0; i < 4; i++) {
        put_machine();
        put_table(DSDT, "DSDT", bodies[i], sizes[i]);
        CHECK_EQ(start(), 0);
        CHECK(fake_log_has("no \\_S5"));
        pm1[0] = 0;
        acpi_power_off();
        CHECK_EQ(pm1[0], 0);
    }
    put_machine();
    ram[FACP + 9]++;
    CHECK_EQ(start(), 0);
    CHECK(fake_log_has("table FACP refused") && fake_log_has("no FADT"));
    CHECK_EQ(acpi_pm_timer_port(), 0);
}

TEST(reset_tries_the_register_first)
{
    put_machine();
    CHECK_EQ(start(), 0);
    out_count = 0;
    fake_console_flushes = 0;
    if (!setjmp(reset_done))
        acpi_reset();
    CHECK_EQ(out_count, 1);
    CHECK_EQ(fake_console_flushes, 1);
    CHECK_EQ(outs[0], 0xf);
}

TEST_MAIN()
