/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * boot/'s check of RSDP, XSDT and tables over hostile memory, and its parsers of MADT, FADT, DSDT, MCFG, IVRS and
 * DMAR. The input is the firmware's memory from 1 MiB on, the RSDP 16 bytes in; if its first byte is odd, checksums are
 * made right first, so that what lies behind them is reached.
 */
#include <sanitizer/asan_interface.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "boot/acpi.c"
#include "boot/iommu.c"
#include "boot/memmap.c"
#include "boot/text.c"

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

/* The machine's only bridge: a scope's path may go over it. */
static const struct pci_bridge bridge = {0x100, 0x3ff, true};

bool pci_read_bridge(const struct acpi_facts *a, uint32_t rid, struct pci_bridge *b)
{
    (void)a;
    *b = bridge;
    return rid == 0x30;
}

void pci_each_bridge(const struct acpi_facts *a, void (*visit)(const struct pci_bridge *b, void *arg),
                     void *arg)
{
    (void)a;
    visit(&bridge, arg);
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

static bool over_ram(uint64_t start, uint64_t size)
{
    return start < FIRMWARE + image_size && FIRMWARE < start + size;
}

/* What the hypervisor takes for granted. */
static void check(const struct boot_machine *m)
{
    const struct boot_iommu *io = &m->iommu;
    bool ok = m->necam <= BOOT_ECAM_MAX && io->kind <= BOOT_IOMMU_VTD && io->nunits <= BOOT_UNITS_MAX &&
              io->nscopes <= BOOT_SCOPES_MAX && io->naliases <= BOOT_ALIASES_MAX &&
              io->nunities <= BOOT_UNITIES_MAX && !io->nunits == !io->kind;

    for (unsigned i = 0; ok && i < m->necam; i++)
        ok = !over_ram(m->ecam[i].base + ((uint64_t)m->ecam[i].first_bus << 20),
                       (m->ecam[i].last_bus - m->ecam[i].first_bus + (uint64_t)1) << 20);
    for (unsigned i = 0; ok && i < io->nunits; i++)
        ok = io->unit[i].base && IS_ALIGNED(io->unit[i].base, 4096ull) && !over_ram(io->unit[i].base, 4096);
    for (unsigned i = 0; ok && i < io->nscopes; i++)
        ok = io->scope[i].value < io->nunits;
    for (unsigned i = 0; ok && i < io->nunities; i++)
        ok = io->unity[i].size && io->unity[i].size <= UNITY_MAX && io->unity[i].flags &&
             !over_ram(io->unity[i].start, io->unity[i].size);
    if (!ok)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct boot_mem mem = {FIRMWARE, size, BOOT_MEM_ACPI, 0};
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
    acpi_read(&facts, FIRMWARE + RSDP, 0, &mem, 1, warn);
    iommu_read(&facts, &mem, 1, warn);
    check(&facts.machine);
    return 0;
}
