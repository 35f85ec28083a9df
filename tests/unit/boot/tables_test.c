/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/test.h"

#include "boot/tables.c"

/* Stands in for dsdt.S: the compiled DSDT is checked by its compiler. */
__asm__(".globl dsdt_aml, dsdt_aml_end\n"
        "dsdt_aml: .byte 'D', 'S', 'D', 'T', 0x53, 0, 0, 0, 2, 0xd4, 1, 2, 3, 4, 5, 6\n"
        ".fill 21\n" /* the header's end, and a byte */
        ".byte 0x8a, 0x2b, 0, 0, 0x0c, 0\n"
        ".quad 0, 1, 2, 0, 0x1000000000\n"
        "dsdt_aml_end:\n");

#define PAGE 0xff000

static uint8_t page[TABLES_PAGE];

static void write_for(unsigned vcpus, uint64_t memory)
{
    memset(page, 0, sizeof(page));
    tables_write(page, PAGE, vcpus, memory);
}

static void write(unsigned vcpus)
{
    write_for(vcpus, 1 << 28);
}

/* What the guest finds at `addr`; all of it is in the page. */
static void *at(uint64_t addr, uint64_t size)
{
    CHECK(addr >= PAGE && addr - PAGE < TABLES_PAGE && size <= TABLES_PAGE - (addr - PAGE));
    return page + (addr - PAGE) % TABLES_PAGE;
}

static uint8_t sum(const void *p, uint64_t size)
{
    const uint8_t *b = p;
    uint8_t s = 0;

    while (size--)
        s = (uint8_t)(s + *b++);
    return s;
}

/* The table that the XSDT names with this signature. */
static struct acpi_header *table(const char *signature)
{
    struct rsdp *r = at(PAGE, sizeof(*r));
    struct acpi_header *x = at(r->xsdt, sizeof(*x));

    for (uint32_t off = sizeof(*x); off + 8 <= x->length; off += 8) {
        uint64_t entry;
        struct acpi_header *h;

        memcpy(&entry, (char *)x + off, sizeof(entry));
        h = at(entry, sizeof(*h));
        if (!memcmp(h->signature, signature, 4))
            return h;
    }
    return NULL;
}

TEST(rsdp_is_where_a_guest_looks_and_sums_to_zero)
{
    struct rsdp *r;

    write(1);
    r = at(PAGE, sizeof(*r));
    CHECK(!memcmp(r->signature, "RSD PTR ", 8));
    CHECK_EQ(r->revision, 2);
    CHECK_EQ(sum(r, 20), 0);
    CHECK_EQ(sum(r, r->length), 0);
}

TEST(every_table_sums_to_zero_and_lies_in_the_page)
{
    static const char *names[] = {"FACP", "APIC"};
    struct rsdp *r;

    write(4);
    r = at(PAGE, sizeof(*r));
    CHECK_EQ(sum(at(r->xsdt, 36 + 16), 36 + 16), 0);
    for (unsigned i = 0; i < 2; i++) {
        struct acpi_header *h = table(names[i]);

        CHECK(h != NULL);
        CHECK_EQ(sum(h, h->length), 0);
        CHECK((size_t)((uint8_t *)h - page) + h->length <= TABLES_PAGE);
    }
}

TEST(madt_lists_each_vcpu_once_and_an_ioapic_with_another_id)
{
    struct madt *m;

    write(BOOT_VCPUS_MAX);
    m = (struct madt *)table("APIC");
    CHECK_EQ(m->header.length, 36 + 8 + 12 + 8 * BOOT_VCPUS_MAX);
    CHECK_EQ(m->lapic_address, 0xfee00000);
    CHECK_EQ(m->ioapic.address, 0xfec00000);
    CHECK_EQ(m->ioapic.id, BOOT_VCPUS_MAX);
    for (unsigned i = 0; i < BOOT_VCPUS_MAX; i++) {
        CHECK_EQ(m->lapic[i].apic_id, i);
        CHECK_EQ(m->lapic[i].flags, 1);
    }

    write(1);
    CHECK_EQ(table("APIC")->length, 36 + 8 + 12 + 8);
}

TEST(fadt_is_hardware_reduced_and_names_reset_and_sleep)
{
    struct fadt *f;

    write(2);
    f = (struct fadt *)table("FACP");
    CHECK_EQ(f->flags & (BIT32(20) | BIT32(10)), BIT32(20) | BIT32(10));
    CHECK_EQ(f->reset_reg.address, 0xcf9);
    CHECK_EQ(f->reset_value, 6);
    CHECK_EQ(f->sleep_control.address, 0x600);
    CHECK_EQ(f->sleep_status.address, 0x601);
    CHECK_EQ(f->iapc_boot_arch, 5); /* COM ports, no VGA; no 8042; the RTC is there */
    CHECK_EQ(f->x_dsdt % 16, 0);
    CHECK(!memcmp(at(f->x_dsdt, 9), dsdt_aml, 9));
}

TEST(the_reset_vector_asks_for_a_reset)
{
    static const uint8_t code[] = {0xba, 0xf9, 0x0c, 0xb0, 0x06, 0xee};

    write(1);
    CHECK(!memcmp(at(0xffff0, sizeof(code)), code, sizeof(code)));
}

/* 64 GiB, aligned, above all RAM, which has a hole of 1 GiB. */
TEST(upper_window_lies_above_the_memory)
{
    static const struct {
        uint64_t memory, window;
    } cases[] = {{1 << 21, 0x1000000000},
                 {63ull << 30, 0x2000000000},
                 {(63ull << 30) - 1, 0x1000000000},
                 {1ull << 40, 0x11000000000}};

    for (unsigned i = 0; i < 4; i++) {
        const struct fadt *f;
        const uint8_t *dsdt;
        uint64_t field[2];

        write_for(1, cases[i].memory);
        f = (const struct fadt *)table("FACP");
        dsdt = at(f->x_dsdt, 83);
        CHECK_EQ(sum(dsdt, 83), 0);
        memcpy(field, dsdt + 37 + QWORD_MIN, sizeof(field));
        CHECK_EQ(field[0], cases[i].window);
        CHECK_EQ(field[1], cases[i].window + 0xfffffffff);
    }
}

TEST_MAIN()
