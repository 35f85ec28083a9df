/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * boot/'s check of RSDP, XSDT and tables over hostile memory, its parsers of MADT, FADT, DSDT and MCFG, and the
 * hypervisor's of IVRS and DMAR over what it lets through. The input is the firmware's memory from 1 MiB on, the RSDP
 * 16 bytes in; if its first byte is odd, checksums are made right first, so that what lies behind them is reached.
 */
#include <sanitizer/asan_interface.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/unit/fake/console.c"
#include "tests/unit/fake/frame.c"
#include "tests/unit/fake/log.c"
#include "tests/unit/fake/paging.c"
#include "tests/unit/fake/time.c"

#include "boot/acpi.c"
#include "boot/memmap.c"
#include "boot/text.c"
#include "iommu/amdvi/ivrs.c"
#include "iommu/blocks.c"
#include "iommu/vtd/dmar.c"
#include "kernel/acpi/acpi.c"

#define FIRMWARE       0x100000u
#define RSDP           16
#define SIZE_MAX_INPUT 65536

static uint8_t *image; /* at FIRMWARE, as boot/ has all memory at its physical address */
static size_t image_size;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void warn(const char *line)
{
    (void)line;
}

/* The machine's only function, a bridge: a scope's path may go over it. */
static struct pci_dev bridge = {.rid = {0x30}, .secondary = 1, .subordinate = 3};

struct pci_dev *pci_first(void)
{
    return &bridge;
}

uint16_t pci_read16(const struct pci_dev *d, unsigned off)
{
    (void)d, (void)off;
    return 0;
}

struct pci_dev *pci_find(rid_t id)
{
    return id.id == bridge.rid.id ? &bridge : NULL;
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

static void parse(const struct bootinfo *bi, uint8_t bus)
{
    const struct boot_machine *m = &bi->machine;
    struct amdvi_unit units[AMDVI_UNITS];
    struct vtd_unit drhd[VTD_UNITS];
    struct iommu_unity unity;
    uint16_t alias;
    unsigned n;

    acpi_init(bi);
    n = ivrs_units(units, AMDVI_UNITS);
    acpi_power_off();
    if (m->necam > BOOT_ECAM_MAX)
        abort();
    for (const struct boot_ecam *w = m->ecam; w < m->ecam + m->necam; w++)
        if (w->base + ((uint64_t)w->first_bus << 20) < FIRMWARE + image_size &&
            w->base + ((uint64_t)w->last_bus << 20) + 0x100000 > FIRMWARE) /* RAM */
            abort();
    for (unsigned i = 0; i < n; i++)
        for (unsigned id = 0; id < 65536; id += 0x333)
            ivrs_covers(&units[i], (uint16_t)id, &alias);
    for (unsigned i = 0; i < 4 && ivrs_unity(rid(0, 0, bus), i, &unity); i++)
        ;
    n = dmar_units(drhd, VTD_UNITS);
    for (unsigned i = 0; i < n; i++)
        for (unsigned id = 0; id < 65536; id += 0x333)
            dmar_covers(&drhd[i], (rid_t){id});
    for (unsigned i = 0; i < 4 && dmar_unity(rid(0, 0, bus), i, &unity); i++)
        ;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct boot_mem mem = {FIRMWARE, size, BOOT_MEM_ACPI, 0};
    static struct bootinfo bi;
    struct acpi_facts facts;

    if (size < RSDP || size > SIZE_MAX_INPUT)
        return 0;
    if (!image) {
        image = mmap((void *)(uintptr_t)FIRMWARE, SIZE_MAX_INPUT, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
        if (image != (void *)(uintptr_t)FIRMWARE)
            abort();
    }
    ASAN_UNPOISON_MEMORY_REGION(image, SIZE_MAX_INPUT);
    memcpy(image, data, size);
    image_size = size;
    if (data[0] & 1)
        seal_all();
    ASAN_POISON_MEMORY_REGION(image + size, SIZE_MAX_INPUT - size);
    fake_frame_is_ram = low_ram;
    fake_log_reset();
    acpi_read(&facts, FIRMWARE + RSDP, &mem, 1, warn);
    memset(&bi, 0, sizeof(bi));
    bi.machine = facts.machine;
    for (unsigned i = 0; i < facts.ntables; i++) {
        void *copy = malloc(facts.table[i].size);

        memcpy(copy, (const void *)(uintptr_t)facts.table[i].base, facts.table[i].size);
        bi.table[i] = (struct boot_table){ptr_to_hpa(copy).a, facts.table[i].size};
    }
    parse(&bi, data[1]);
    for (unsigned i = 0; i < facts.ntables; i++)
        free(hpa_to_ptr(hpa(bi.table[i].base)));
    return 0;
}
