/* SPDX-License-Identifier: BSD-2-Clause */
/* What is read from the tables, each of which lies in memory of its own, so that the sanitizer sees its bounds. */
#include "tests/unit/test.h"

#include "tests/unit/fake/console.c"
#include "tests/unit/fake/log.c"
#include "tests/unit/fake/paging.c"
#include "tests/unit/fake/time.c"

#include "kernel/acpi/acpi.c"

enum { APIC, FACP, DSDT, TABLES };

static const char signatures[TABLES][5] = {"APIC", "FACP", "DSDT"};
static struct bootinfo info;
static jmp_buf reset_done;
static uint16_t pm1[2], outs[16];
static unsigned out_count;
static bool sci_dead;

static void put_table(unsigned which, const void *body, size_t size)
{
    struct boot_table *t = &info.table[which];
    struct acpi_header *h = malloc(sizeof(*h) + size);

    if (t->size)
        free(hpa_to_ptr(hpa(t->base)));
    *h = (struct acpi_header){.length = (uint32_t)(sizeof(*h) + size)};
    memcpy(h->signature, signatures[which], 4);
    memcpy(h + 1, body, size);
    *t = (struct boot_table){ptr_to_hpa(h).a, h->length};
}

static void drop_table(unsigned which)
{
    put_table(which, "", 0);
    free(hpa_to_ptr(hpa(info.table[which].base)));
    info.table[which].size = 0;
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
    uint8_t fadt[FADT_RESET_VALUE + 1 - sizeof(struct acpi_header)] = {0};

    put_field(fadt, FADT_PM1A_CNT, 4, 0x604);
    put_field(fadt, FADT_PM1B_CNT, 4, 0x704);
    put_field(fadt, FADT_PM_TMR, 4, 0x608);
    put_field(fadt, FADT_SMI_CMD, 4, 0xb2);
    put_field(fadt, FADT_ACPI_ENABLE, 1, 2);
    put_field(fadt, FADT_FLAGS, 4, FADT_RESET_REG_SUP);
    put_field(fadt, FADT_RESET_SPACE, 1, ACPI_SPACE_IO);
    put_field(fadt, FADT_RESET_ADDRESS, 8, 0xcf9);
    put_field(fadt, FADT_RESET_VALUE, 1, 0xf);
    put_table(APIC, madt_body, sizeof(madt_body));
    put_table(FACP, fadt, sizeof(fadt));
    put_table(DSDT, dsdt_body, sizeof(dsdt_body));
}

static void start(void)
{
    fake_log_reset();
    acpi_init(&info);
}

TEST(sound_tables_are_found)
{
    uint32_t ids[8];

    put_machine();
    start();
    CHECK_EQ(fake_log_lines, 0);
    CHECK(acpi_find("FACP") && acpi_find("APIC") && !acpi_find("MCFG"));
    CHECK_EQ(acpi_pm_timer_port(), 0x608);
    CHECK_EQ(acpi_cpus(ids, 8), 3);
    CHECK(ids[0] == 0 && ids[1] == 1 && ids[2] == 300);
    ids[1] = 77;
    CHECK_EQ(acpi_cpus(ids, 1), 4); /* beyond `max` one may count twice, none is stored */
    CHECK_EQ(ids[1], 77);
}

TEST(madt_entries_that_loop_or_run_over)
{
    uint8_t body[sizeof(madt_body)];
    uint32_t ids[8];

    for (unsigned bad = 0; bad < 3; bad++) {
        put_machine();
        memcpy(body, madt_body, sizeof(body));
        body[8 + 8 + 1] = (uint8_t[]){0, 1, 255}[bad]; /* the I/O APIC's length */
        put_table(APIC, body, sizeof(body));
        start();
        CHECK_EQ(acpi_cpus(ids, 8), 1);
        CHECK(fake_log_has("table APIC: malformed entry"));
    }
    put_table(APIC, body, 9); /* one byte of an entry */
    start();
    CHECK_EQ(acpi_cpus(ids, 8), 0);
    put_table(APIC, body, 3);
    start();
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
    start();
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
    start();
    h = acpi_find("FACP");
    CHECK_EQ(acpi_field(h, FADT_RESET_VALUE, 1), 0xf);
    CHECK_EQ(acpi_field(h, FADT_RESET_VALUE, 2), 0);
    CHECK_EQ(acpi_field(h, FADT_RESET_VALUE + 1, 1), 0);
    CHECK_EQ(acpi_field(h, SIZE_MAX, 8), 0);
    CHECK_EQ(acpi_field(h, FADT_PM_TMR, 4), 0x608);
    CHECK_EQ(acpi_field(NULL, FADT_PM_TMR, 4), 0);
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
        put_table(DSDT, bodies[i], sizes[i]);
        start();
        CHECK(fake_log_has("no \\_S5"));
        pm1[0] = 0;
        acpi_power_off();
        CHECK_EQ(pm1[0], 0);
    }
    put_machine();
    drop_table(DSDT);
    start();
    CHECK(fake_log_has("no \\_S5"));
    drop_table(FACP);
    start();
    CHECK(fake_log_has("no FADT"));
    CHECK_EQ(acpi_pm_timer_port(), 0);
}

TEST(reset_tries_the_register_first)
{
    put_machine();
    start();
    out_count = 0;
    fake_console_flushes = 0;
    if (!setjmp(reset_done))
        acpi_reset();
    CHECK_EQ(out_count, 1);
    CHECK_EQ(fake_console_flushes, 1);
    CHECK_EQ(outs[0], 0xf);
}

TEST(leaves_nothing)
{
    for (unsigned i = 0; i < TABLES; i++)
        drop_table(i);
}

TEST_MAIN()
