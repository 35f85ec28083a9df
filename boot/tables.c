/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/tables.h"
#include "boot/bootinfo.h"
#include "kernel/lib/types.h"
#include "vm/abi/platform.h"
#include <stddef.h>
#include <string.h>

/* The compiled dsdt.asl (dsdt.S). */
extern const uint8_t dsdt_aml[], dsdt_aml_end[];

/* What every ACPI table but the RSDP and the FACS begins with (ACPI 6.5 5.2.6). */
struct acpi_header {
    char signature[4];
    uint32_t length;
    uint8_t revision, checksum;
    char oem_id[6], oem_table_id[8];
    uint32_t oem_revision;
    char creator_id[4];
    uint32_t creator_revision;
} __attribute__((packed));

_Static_assert(sizeof(struct acpi_header) == 36, "ACPI 6.5 table 5.4");

/* 5.2.3.2 */
struct acpi_address {
    uint8_t space, width, offset, access;
    uint64_t address;
} __attribute__((packed));
#define SPACE_IO    1
#define ACCESS_BYTE 1

/* 5.2.5.3 */
struct rsdp {
    char signature[8];
    uint8_t checksum;
    char oem_id[6];
    uint8_t revision;
    uint32_t rsdt, length;
    uint64_t xsdt;
    uint8_t extended_checksum, reserved[3];
} __attribute__((packed));

/* 5.2.8 */
struct xsdt {
    struct acpi_header header;
    uint64_t entry[2];
} __attribute__((packed));

/* 5.2.9: the fields before `iapc_boot_arch` describe hardware that a hardware-reduced platform has not. */
struct fadt {
    struct acpi_header header;
    uint32_t firmware_ctrl, dsdt;
    uint8_t fixed_hardware[65];
    uint16_t iapc_boot_arch;
    uint8_t reserved;
    uint32_t flags;
    struct acpi_address reset_reg;
    uint8_t reset_value;
    uint16_t arm_boot_arch;
    uint8_t minor_version;
    uint64_t x_firmware_ctrl, x_dsdt;
    struct acpi_address x_fixed_hardware[8];
    struct acpi_address sleep_control, sleep_status;
    uint64_t hypervisor;
} __attribute__((packed));
_Static_assert(offsetof(struct fadt, iapc_boot_arch) == 109 && offsetof(struct fadt, x_dsdt) == 140,
               "ACPI 6.5 table 5.9");
_Static_assert(offsetof(struct fadt, sleep_control) == 244 && sizeof(struct fadt) == 276,
               "ACPI 6.5 table 5.9");

#define BOOT_ARCH_LEGACY_DEVICES  BIT32(0)
#define BOOT_ARCH_VGA_NOT_PRESENT BIT32(2)
#define FADT_WBINVD               BIT32(0)
#define FADT_PWR_BUTTON           BIT32(4)
#define FADT_SLP_BUTTON           BIT32(5)
#define FADT_RESET_REG_SUP        BIT32(10)
#define FADT_HW_REDUCED_ACPI      BIT32(20)

/* 5.2.12 */
struct madt_lapic {
    uint8_t type, length, processor, apic_id;
    uint32_t flags;
} __attribute__((packed));
#define MADT_LAPIC         0
#define MADT_LAPIC_ENABLED 1

struct madt_ioapic {
    uint8_t type, length, id, reserved;
    uint32_t address, gsi_base;
} __attribute__((packed));
#define MADT_IOAPIC 1

struct madt {
    struct acpi_header header;
    uint32_t lapic_address, flags;
    struct madt_ioapic ioapic;
    struct madt_lapic lapic[BOOT_VCPUS_MAX]; /* the table's length ends with the last one in use */
} __attribute__((packed));
_Static_assert(sizeof(struct madt) == 36 + 8 + 12 + 8 * BOOT_VCPUS_MAX, "ACPI 6.5 table 5.19");

/* All of the page. */
struct tables {
    struct rsdp rsdp;
    uint8_t pad0[12];
    struct xsdt xsdt;
    uint8_t pad1[12];
    struct fadt fadt;
    uint8_t pad2[12];
    struct madt madt;
    uint8_t pad3[8];
    uint8_t dsdt[3488]; /* dsdt.S checks that it fits */
    uint8_t reset_code[16];
};
_Static_assert(offsetof(struct tables, dsdt) % 16 == 0, "the DSDT starts aligned");
_Static_assert(sizeof(struct tables) == TABLES_PAGE, "one page");

/* What makes the bytes of a table sum up to 0. */
static uint8_t checksum(const void *table, size_t size)
{
    const uint8_t *p = table;
    unsigned sum = 0;

    for (size_t i = 0; i < size; i++)
        sum += p[i];
    return (uint8_t)(0u - sum);
}

static void header_fill(struct acpi_header *h, const char *signature, size_t length, uint8_t revision)
{
    memcpy(h->signature, signature, sizeof(h->signature));
    h->length = (uint32_t)length;
    h->revision = revision;
    memcpy(h->oem_id, "LSTMIL", sizeof(h->oem_id));
    memcpy(h->oem_table_id, "LASTMILE", sizeof(h->oem_table_id));
    h->oem_revision = 1;
    memcpy(h->creator_id, "LSTM", sizeof(h->creator_id));
    h->creator_revision = 1;
}

static struct acpi_address io_byte(uint16_t port)
{
    return (struct acpi_address){.space = SPACE_IO, .width = 8, .access = ACCESS_BYTE, .address = port};
}

static void fadt_fill(struct fadt *f, uint64_t dsdt)
{
    header_fill(&f->header, "FACP", sizeof(*f), 6);
    f->minor_version = 5;
    f->dsdt = (uint32_t)dsdt;
    f->x_dsdt = dsdt;
    f->iapc_boot_arch = BOOT_ARCH_LEGACY_DEVICES | BOOT_ARCH_VGA_NOT_PRESENT;
    f->flags = FADT_WBINVD | FADT_PWR_BUTTON | FADT_SLP_BUTTON | FADT_RESET_REG_SUP | FADT_HW_REDUCED_ACPI;
    f->reset_reg = io_byte(POWER_RESET);
    f->reset_value = POWER_RESET_VALUE;
    f->sleep_control = io_byte(POWER_SLEEP_CONTROL);
    f->sleep_status = io_byte(POWER_SLEEP_STATUS);
    f->header.checksum = checksum(f, sizeof(*f));
}

/* A vCPU's APIC id and ACPI processor id are its number; the I/O APIC has the number after the last. */
static void madt_fill(struct madt *m, unsigned vcpus)
{
    header_fill(&m->header, "APIC", offsetof(struct madt, lapic) + vcpus * sizeof(m->lapic[0]), 6);
    m->lapic_address = GPA_LAPIC;
    m->ioapic = (struct madt_ioapic){MADT_IOAPIC, sizeof(m->ioapic), (uint8_t)vcpus, 0, GPA_IOAPIC, 0};
    for (unsigned i = 0; i < vcpus; i++)
        m->lapic[i] =
            (struct madt_lapic){MADT_LAPIC, sizeof(m->lapic[0]), (uint8_t)i, (uint8_t)i, MADT_LAPIC_ENABLED};
    m->header.checksum = checksum(m, m->header.length);
}

/* What a QWordMemory descriptor of dsdt.asl begins with (6.4.3.5.1), and its fields. */
static const uint8_t qword_memory[] = {0x8a, 0x2b, 0x00, 0x00};
#define QWORD_MIN 14u
#define QWORD_MAX 22u

/* Moves the upper window for BARs above the guest's memory. */
static void dsdt_fill(uint8_t *dsdt, size_t size, uint64_t memory)
{
    uint64_t min = GPA_PCI_HIGH(memory), max = min + GPA_PCI_HIGH_SIZE - 1;
    struct acpi_header *h = (struct acpi_header *)dsdt;

    memcpy(dsdt, dsdt_aml, size);
    for (size_t i = sizeof(*h); i + QWORD_MAX + sizeof(max) <= size; i++) {
        if (memcmp(dsdt + i, qword_memory, sizeof(qword_memory)) != 0)
            continue;
        memcpy(dsdt + i + QWORD_MIN, &min, sizeof(min));
        memcpy(dsdt + i + QWORD_MAX, &max, sizeof(max));
    }
    h->checksum = 0;
    h->checksum = checksum(dsdt, size);
}

static void root_fill(struct tables *t, uint64_t at)
{
    header_fill(&t->xsdt.header, "XSDT", sizeof(t->xsdt), 1);
    t->xsdt.entry[0] = at + offsetof(struct tables, fadt);
    t->xsdt.entry[1] = at + offsetof(struct tables, madt);
    t->xsdt.header.checksum = checksum(&t->xsdt, sizeof(t->xsdt));

    memcpy(t->rsdp.signature, "RSD PTR ", sizeof(t->rsdp.signature));
    memcpy(t->rsdp.oem_id, "LSTMIL", sizeof(t->rsdp.oem_id));
    t->rsdp.revision = 2;
    t->rsdp.length = sizeof(t->rsdp);
    t->rsdp.xsdt = at + offsetof(struct tables, xsdt);
    t->rsdp.checksum = checksum(&t->rsdp, offsetof(struct rsdp, length));
    t->rsdp.extended_checksum = checksum(&t->rsdp, sizeof(t->rsdp));
}

/*
 * The code that a CPU meets at the reset vector of real mode. Linux goes there to reboot a machine with hardware-reduced ACPI that has no EFI.
 * mov dx, POWER_RESET; mov al, POWER_RESET_VALUE; out dx, al; then stop for good.
 */
static const uint8_t reset_code[] = {
    0xba, POWER_RESET & 0xff, POWER_RESET >> 8, 0xb0, POWER_RESET_VALUE, 0xee, 0xfa, 0xf4, 0xeb, 0xfd,
};

void tables_write(uint8_t page[TABLES_PAGE], uint64_t at, unsigned vcpus, uint64_t memory)
{
    struct tables *t = (struct tables *)page;

    fadt_fill(&t->fadt, at + offsetof(struct tables, dsdt));
    madt_fill(&t->madt, vcpus);
    root_fill(t, at);
    dsdt_fill(t->dsdt, (size_t)(dsdt_aml_end - dsdt_aml), memory);
    memcpy(t->reset_code, reset_code, sizeof(reset_code));
}
