/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of this folder share. Layouts: ACPI 6.5 chapter 5. */
#ifndef KERNEL_ACPI_TABLES_H
#define KERNEL_ACPI_TABLES_H

#include "kernel/acpi/acpi.h"

/* RSDP, 5.2.5.3. */
struct acpi_rsdp {
    char signature[8];
    uint8_t checksum; /* of the first 20 bytes */
    char oem_id[6];
    uint8_t revision;
    uint32_t rsdt;
    uint32_t length; /* from here on: revision 2 */
    uint64_t xsdt;
    uint8_t extended_checksum;
    uint8_t reserved[3];
} __attribute__((packed));

#define ACPI_RSDP_V1_SIZE 20
_Static_assert(offsetof(struct acpi_rsdp, length) == ACPI_RSDP_V1_SIZE, "ACPI 6.5 table 5.3");
_Static_assert(sizeof(struct acpi_rsdp) == 36, "ACPI 6.5 table 5.3");

/* Generic address structure, 5.2.3.2. */
struct acpi_gas {
    uint8_t space; /* ACPI_SPACE_* */
    uint8_t width, offset, access;
    uint64_t address;
} __attribute__((packed));

#define ACPI_SPACE_MEMORY 0
#define ACPI_SPACE_IO     1

/* FADT, 5.2.9; older revisions are shorter, what they lack counts as 0. */
struct acpi_fadt {
    struct acpi_header header;
    uint32_t facs, dsdt;
    uint8_t int_model, pm_profile;
    uint16_t sci_int;
    uint32_t smi_cmd;
    uint8_t acpi_enable, acpi_disable, s4bios_req, pstate_cnt;
    uint32_t pm1a_evt, pm1b_evt, pm1a_cnt, pm1b_cnt, pm2_cnt, pm_tmr, gpe0, gpe1;
    uint8_t pm1_evt_len, pm1_cnt_len, pm2_cnt_len, pm_tmr_len, gpe0_len, gpe1_len, gpe1_base, cst_cnt;
    uint16_t lvl2_lat, lvl3_lat, flush_size, flush_stride;
    uint8_t duty_offset, duty_width, day_alarm, month_alarm, century;
    uint16_t boot_arch;
    uint8_t reserved;
    uint32_t flags;
    struct acpi_gas reset_reg;
    uint8_t reset_value;
    uint16_t arm_arch;
    uint8_t minor;
    uint64_t x_facs, x_dsdt;
} __attribute__((packed));

#define FADT_RESET_REG_SUP BIT32(10)

_Static_assert(offsetof(struct acpi_fadt, pm1a_cnt) == 64, "ACPI 6.5 table 5.9");
_Static_assert(offsetof(struct acpi_fadt, reset_reg) == 116, "ACPI 6.5 table 5.9");
_Static_assert(offsetof(struct acpi_fadt, x_dsdt) == 140, "ACPI 6.5 table 5.9");

/* MADT, 5.2.12. */
struct acpi_madt {
    struct acpi_header header;
    uint32_t lapic, flags;
} __attribute__((packed));

/* Every entry of a MADT begins so. */
struct acpi_madt_entry {
    uint8_t type, length;
} __attribute__((packed));

struct acpi_madt_lapic {
    struct acpi_madt_entry entry;
    uint8_t uid, apic_id;
    uint32_t flags;
} __attribute__((packed));

struct acpi_madt_x2apic {
    struct acpi_madt_entry entry;
    uint16_t reserved;
    uint32_t apic_id, flags, uid;
} __attribute__((packed));

#define MADT_LAPIC  0
#define MADT_X2APIC 9

#define MADT_ENABLED BIT32(0)

_Static_assert(sizeof(struct acpi_madt_lapic) == 8, "ACPI 6.5 table 5.21");
_Static_assert(sizeof(struct acpi_madt_x2apic) == 16, "ACPI 6.5 table 5.36");

/* The table at `at`, checked; NULL after a warning that says what is wrong with it. */
const struct acpi_header *acpi_load(hpa_t at);

/* Copies what the FADT has into a zeroed structure; false if there is none. */
bool acpi_fadt(struct acpi_fadt *out);

/* Finds out how this machine is powered off and reset, for later. After the tables are known. */
void acpi_power_init(void);

#endif
