/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the firmware of the boards in Bochs leaves out. OVMF takes ACPI tables from QEMU and makes none elsewhere; this stands
 * where it looks for BOOTX64.EFI, makes those of Bochs' PC (processors, I/O APIC, power, PM timer: ACPI 6.5 chapter 5; no
 * MCFG, as there is no ECAM) and starts the real one, lastmile.efi.
 */
#include "kernel/cpu/x86.h"
#include "tests/boot/chain.h"
#include <string.h>

#define PIIX4_PMBA     0x80000b40 /* CONFIG_ADDRESS of 00:01.3, 40h (82371AB datasheet 7.1.17) */
#define PMBA_MASK      0xffc0u
#define RESET_PORT     0xcf9
#define RESET_VALUE    6
#define IOAPIC_ADDRESS 0xfec00000
#define LAPIC_ADDRESS  0xfee00000
#define CPUS_MAX       64

static EFI_GUID acpi20 = ACPI_20_TABLE_GUID;
static EFI_GUID mp_services = {0x3fdda605, 0xa76e, 0x4f46, {0xad, 0x29, 0x12, 0xf4, 0x53, 0x1b, 0x3d, 0x08}};

/* UEFI PI 1.7 volume 2, 13.4: its first function. */
struct mp {
    EFI_STATUS(EFIAPI *count)(struct mp *self, UINTN *all, UINTN *enabled);
};

/* Name (\_S5, Package () {0, 0}): what Bochs' PM1a_CNT takes for power off. */
static const uint8_t aml[] = {0x08, '_', 'S', '5', '_', 0x12, 0x04, 0x02, 0x00, 0x00};

static struct tables {
    uint8_t rsdp[64], xsdt[64], fadt[256], dsdt[64], madt[1024];
} * tables;

static void put(uint8_t *at, unsigned bytes, uint64_t value)
{
    memcpy(at, &value, bytes);
}

/* `sum` is in the table, and 0. */
static void mend_sum(const uint8_t *table, unsigned length, uint8_t *sum)
{
    uint8_t total = 0;

    for (unsigned i = 0; i < length; i++)
        total = (uint8_t)(total + table[i]);
    *sum = (uint8_t)-total;
}

/* Table 5.4. */
static void finish(uint8_t *table, const char *signature, uint8_t revision, unsigned length)
{
    memcpy(table, signature, 4);
    put(table + 4, 4, length);
    table[8] = revision;
    memcpy(table + 10, "LSTMILBOCHS   ", 14);
    mend_sum(table, length, &table[9]);
}

static void make_rsdp(void)
{
    uint8_t *t = tables->rsdp;

    memcpy(t, "RSD PTR ", 8);
    memcpy(t + 9, "LSTMIL", 6);
    t[15] = 2;
    put(t + 20, 4, 36);
    put(t + 24, 8, (uint64_t)tables->xsdt);
    mend_sum(t, 20, &t[8]);
    mend_sum(t, 36, &t[32]);
}

static void make_fadt(void)
{
    uint8_t *t = tables->fadt;
    uint16_t pm;

    outl(0xcf8, PIIX4_PMBA);
    pm = (uint16_t)(inl(0xcfc) & PMBA_MASK);
    put(t + 56, 4, pm);      /* PM1a_EVT_BLK */
    put(t + 64, 4, pm + 4u); /* PM1a_CNT_BLK */
    put(t + 76, 4, pm + 8u); /* PM_TMR_BLK */
    t[88] = 4;
    t[89] = 2;
    t[91] = 4;
    put(t + 112, 4, 1 << 10);    /* RESET_REG_SUP */
    put(t + 116, 4, 1 | 8 << 8); /* an I/O port, 8 bits wide */
    put(t + 120, 8, RESET_PORT);
    t[128] = RESET_VALUE;
    put(t + 140, 8, (uint64_t)tables->dsdt);
    finish(t, "FACP", 3, 244);
}

static void make_madt(void)
{
    uint8_t *t = tables->madt, *entry = t + 44;
    UINTN all = 1, enabled = 1;
    struct mp *mp;

    if (!EFI_ERROR(fw->BootServices->LocateProtocol(&mp_services, NULL, (void **)&mp)))
        mp->count(mp, &all, &enabled);
    put(t + 36, 4, LAPIC_ADDRESS);
    for (uint8_t id = 0; id < all && id < CPUS_MAX; id++, entry += 8)
        memcpy(entry, (uint8_t[]){0, 8, id, id, 1, 0, 0, 0}, 8);
    memcpy(entry, (uint8_t[]){1, 12, (uint8_t)all}, 3);
    put(entry + 4, 4, IOAPIC_ADDRESS);
    finish(t, "APIC", 3, (unsigned)(entry + 12 - t));
}

static bool make_tables(void)
{
    EFI_PHYSICAL_ADDRESS at;

    if (EFI_ERROR(fw->BootServices->AllocatePages(AllocateAnyPages, EfiACPIReclaimMemory, 1, &at)))
        return false;
    tables = (struct tables *)at;
    memset(tables, 0, sizeof(*tables));
    make_rsdp();
    make_fadt();
    make_madt();
    memcpy(tables->dsdt + 36, aml, sizeof(aml));
    finish(tables->dsdt, "DSDT", 2, 36 + sizeof(aml));
    put(tables->xsdt + 36, 8, (uint64_t)tables->fadt);
    put(tables->xsdt + 44, 8, (uint64_t)tables->madt);
    finish(tables->xsdt, "XSDT", 1, 52);
    return !EFI_ERROR(fw->BootServices->InstallConfigurationTable(&acpi20, tables->rsdp));
}

EFI_STATUS efi_main(EFI_HANDLE handle, EFI_SYSTEM_TABLE *system);
EFI_STATUS efi_main(EFI_HANDLE handle, EFI_SYSTEM_TABLE *system)
{
    struct boot_error err = {"no memory for the ACPI tables"};
    struct boot_file lastmile;

    fw_init(handle, system);
    if (!make_tables() || !fw_open_folder("lastmile.cfg", &err) ||
        !fw_file_read_quietly("lastmile.efi", UINT32_MAX, &lastmile, &err)) {
        fw_print("piix4: %s\n", err.text);
        return EFI_LOAD_ERROR;
    }
    return chain_start(&lastmile);
}
