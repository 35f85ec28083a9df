/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/test.h"

#include "boot/tables.c"

/* Stands in for dsdt.S: the compiled DSDT is checked by its compiler. */
__asm__(".globl dsdt_aml, dsdt_aml_end\n"
        "dsdt_aml: .byte 'D', 'S', 'D', 'T', 0x28, 0, 0, 0, 2, 0xd4, 1, 2, 3, 4, 5, 6\n"
        "dsdt_aml_end:\n");

#define PAGE 0xff000

static uint8_t page[TABLES_PAGE];

static void write(unsigned vcpus)
{
    memset(page, 0, sizeof(page));
    tables_write(page, PAGE, vcpus);
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
    CHECK(!memcmp(at(f->x_dsdt, 16), dsdt_aml, 16));
}

TEST(the_reset_vector_asks_for_a_reset)
{
    static const uint8_t code[] = {0xba, 0xf9, 0x0c, 0xb0, 0x06, 0xee};

    write(1);
    CHECK(!memcmp(at(0xffff0, sizeof(code)), code, sizeof(code)));
}

TEST_MAIN()
