/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The parsers of RSDP, XSDT, MADT, FADT, DSDT, MCFG and IVRS over hostile memory. The input is the firmware's
 * memory from 1 MiB on, the RSDP 16 bytes in; if its first byte is odd, checksums are made right first, so
 * that what lies behind them is reached. Each mapping is a copy of just the bytes that were asked for.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/fake/console.c"
#include "tests/unit/fake/frame.c"
#include "tests/unit/fake/log.c"
#include "tests/unit/fake/paging.c"
#include "tests/unit/fake/time.c"

#include "iommu/amdvi/ivrs.c"
#include "kernel/acpi/power.c"
#include "kernel/acpi/tables.c"
#include "kernel/pci/ecam.c"

#define FIRMWARE       0x100000u
#define RSDP           16
#define SIZE_MAX_INPUT 65536

static uint8_t image[SIZE_MAX_INPUT];
static size_t image_size;
static void *copies[4096];
static unsigned copy_count;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile void *map_copy(hpa_t start, uint64_t size)
{
    void *p;

    if (size > SIZE_MAX_INPUT || copy_count == sizeof(copies) / sizeof(copies[0]))
        return NULL;
    p = malloc(size);
    memset(p, 0, size);
    if (start.a >= FIRMWARE && start.a - FIRMWARE + size <= image_size)
        memcpy(p, image + (start.a - FIRMWARE), size);
    copies[copy_count++] = p;
    return p;
}

static bool low_ram(hpa_t start, uint64_t size)
{
    return start.a < FIRMWARE && size <= FIRMWARE - start.a;
}

static void seal(size_t at, size_t size, size_t sum_at)
{
    uint8_t sum = 0;

    if (at > image_size || size > image_size - at || sum_at >= size)
        return;
    image[at + sum_at] = 0;
    for (size_t i = 0; i < size; i++)
        sum = (uint8_t)(sum + image[at + i]);
    image[at + sum_at] = (uint8_t)-sum;
}

static uint64_t number(size_t at, size_t size)
{
    uint64_t v = 0;

    if (at + size <= image_size)
        memcpy(&v, image + at, size);
    return v;
}

/* Offset of a table in the image, or a value that is beyond it. */
static size_t offset_of(uint64_t address)
{
    return address >= FIRMWARE && address - FIRMWARE < image_size ? (size_t)(address - FIRMWARE)
                                                                  : SIZE_MAX_INPUT;
}

static void seal_table(size_t at)
{
    seal(at, (size_t)number(at + 4, 4), 9);
}

static void seal_all(void)
{
    size_t root = offset_of(number(RSDP + 24, 8)), end = root + (size_t)number(root + 4, 4);

    for (size_t at = root + 36; at + 8 <= end && at < image_size; at += 8) {
        size_t table = offset_of(number(at, 8));

        seal_table(offset_of(number(table + 140, 8)));
        seal_table(offset_of(number(table + 40, 4)));
        seal_table(table);
    }
    seal_table(root);
    seal(RSDP, 20, 8);
    seal(RSDP, 36, 32);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct boot_mem mem[] = {{0, FIRMWARE, BOOT_MEM_USABLE, 0}, {FIRMWARE, size, BOOT_MEM_RESERVED, 0}};
    struct bootinfo bi = {.rsdp = FIRMWARE + RSDP, .mem = ptr_to_hpa(mem).a, .mem_count = 2};
    struct amdvi_unit units[AMDVI_UNITS];
    struct iommu_unity unity;
    uint32_t ids[8];
    uint16_t alias;

    if (size < RSDP || size > SIZE_MAX_INPUT)
        return 0;
    memcpy(image, data, size);
    image_size = size;
    fake_mmio_map = map_copy;
    fake_frame_is_ram = low_ram;
    fake_log_reset();
    if (data[0] & 1)
        seal_all();
    if (acpi_init(&bi) == 0) {
        unsigned n = ivrs_units(units, AMDVI_UNITS);

        acpi_cpus(ids, 8);
        acpi_power_off();
        for (unsigned i = 0; ecam_init() == 0 && ecam_window(i); i++)
            if (ecam_window(i)->base.a < FIRMWARE) /* RAM */
                abort();
        for (unsigned i = 0; i < n; i++)
            for (unsigned id = 0; id < 65536; id += 0x333)
                ivrs_covers(&units[i], (uint16_t)id, &alias);
        for (unsigned i = 0; i < 4 && ivrs_unity(rid(0, 0, data[1]), i, &unity); i++)
            ;
    }
    while (copy_count)
        free(copies[--copy_count]);
    return 0;
}
