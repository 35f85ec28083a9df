/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/memmap.h"
#include "kernel/lib/types.h"
#include <string.h>

/* UEFI 2.10 section 7.2.1: EFI_MEMORY_TYPE; section 7.2.3: attributes. */
enum efi_type {
    EFI_RESERVED,
    EFI_LOADER_CODE,
    EFI_LOADER_DATA,
    EFI_BOOT_CODE,
    EFI_BOOT_DATA,
    EFI_RUNTIME_CODE,
    EFI_RUNTIME_DATA,
    EFI_CONVENTIONAL,
    EFI_UNUSABLE,
    EFI_ACPI_RECLAIM,
    EFI_ACPI_NVS,
    EFI_MMIO,
    EFI_MMIO_PORTS,
    EFI_PAL_CODE,
};
#define EFI_ATTR_WB      BIT(3)
#define EFI_ATTR_SP      BIT(18) /* specific purpose */
#define EFI_ATTR_RUNTIME BIT(63)

static uint32_t boot_type(const struct memmap_desc *d)
{
    switch (d->type) {
    case EFI_LOADER_CODE:
    case EFI_LOADER_DATA:
        return BOOT_MEM_LOADER;
    case EFI_BOOT_CODE:
    case EFI_BOOT_DATA:
    case EFI_CONVENTIONAL:
        if (d->attr & EFI_ATTR_RUNTIME)
            return BOOT_MEM_RUNTIME;
        return (d->attr & EFI_ATTR_WB) && !(d->attr & EFI_ATTR_SP) ? BOOT_MEM_USABLE : BOOT_MEM_RESERVED;
    case EFI_RUNTIME_CODE:
    case EFI_RUNTIME_DATA:
        return BOOT_MEM_RUNTIME;
    case EFI_ACPI_RECLAIM:
    case EFI_ACPI_NVS:
        return BOOT_MEM_ACPI;
    case EFI_MMIO:
    case EFI_MMIO_PORTS:
        return BOOT_MEM_MMIO;
    default:
        return BOOT_MEM_RESERVED;
    }
}

static bool fetch(const void *desc, size_t i, size_t stride, struct memmap_desc *d, uint64_t *end)
{
    memcpy(d, (const uint8_t *)desc + i * stride, sizeof(*d));
    if (!d->pages || d->pages > (~d->base >> PAGE_SHIFT) || !IS_ALIGNED(d->base, PAGE_SIZE))
        return false;
    *end = d->base + (d->pages << PAGE_SHIFT);
    return true;
}

static void sort(uint64_t *v, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        uint64_t x = v[i];
        size_t j = i;

        for (; j && v[j - 1] > x; j--)
            v[j] = v[j - 1];
        v[j] = x;
    }
}

/* The least usable type that any descriptor gives to the byte at `at`, or -1 if none covers it. */
static int type_at(const void *desc, size_t n, size_t stride, uint64_t at)
{
    struct memmap_desc d;
    uint64_t end;
    int type = -1;

    for (size_t i = 0; i < n; i++)
        if (fetch(desc, i, stride, &d, &end) && d.base <= at && at < end)
            type = MAX(type, (int)boot_type(&d));
    return type;
}

size_t memmap_convert(const void *desc, size_t n, size_t stride, struct boot_mem *out, size_t max,
                      uint64_t *edges)
{
    size_t nedges = 0, nout = 0;
    struct memmap_desc d;
    uint64_t end;

    for (size_t i = 0; i < n; i++) {
        if (fetch(desc, i, stride, &d, &end)) {
            edges[nedges++] = d.base;
            edges[nedges++] = end;
        }
    }
    sort(edges, nedges);
    for (size_t i = 0; i + 1 < nedges; i++) {
        int type = edges[i] < edges[i + 1] ? type_at(desc, n, stride, edges[i]) : -1;
        struct boot_mem *last = nout ? &out[nout - 1] : NULL;

        if (type < 0)
            continue;
        if (last && last->type == (uint32_t)type && last->base + last->size == edges[i]) {
            last->size += edges[i + 1] - edges[i];
            continue;
        }
        if (nout == max)
            return 0;
        out[nout++] = (struct boot_mem){edges[i], edges[i + 1] - edges[i], (uint32_t)type, 0};
    }
    return nout;
}

uint64_t memmap_usable(const struct boot_mem *mem, size_t n)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += mem[i].type == BOOT_MEM_USABLE ? mem[i].size : 0;
    return sum;
}

bool memmap_is_ram(uint32_t type)
{
    return type == BOOT_MEM_USABLE || type == BOOT_MEM_LOADER || type == BOOT_MEM_ACPI ||
           type == BOOT_MEM_RUNTIME;
}

static size_t append(struct boot_range *out, size_t n, uint64_t base, uint64_t end)
{
    if (base >= end)
        return n;
    if (n && out[n - 1].end == base)
        out[--n].end = end;
    else
        out[n] = (struct boot_range){base, end};
    return n + 1;
}

size_t memmap_ram(const struct boot_mem *mem, size_t n, struct boot_range *out)
{
    size_t count = 0;

    for (size_t i = 0; i < n; i++)
        if (memmap_is_ram(mem[i].type))
            count = append(out, count, mem[i].base, mem[i].base + mem[i].size);
    return count;
}

size_t memmap_free(const struct boot_mem *mem, size_t n, struct boot_range *out)
{
    size_t count = 0;

    for (size_t i = 0; i < n; i++)
        if (mem[i].type == BOOT_MEM_USABLE)
            count = append(out, count, MAX(mem[i].base, BIT(20)), mem[i].base + mem[i].size);
    return count;
}

bool memmap_over_ram(const struct boot_mem *mem, size_t n, uint64_t base, uint64_t size)
{
    if (size > ~base)
        return true;
    for (size_t i = 0; i < n; i++)
        if (memmap_is_ram(mem[i].type) && base < mem[i].base + mem[i].size && mem[i].base < base + size)
            return true;
    return false;
}

bool memmap_listed(const struct boot_mem *mem, size_t n, uint64_t base, uint64_t size)
{
    if (size > ~base)
        return false;
    for (size_t i = 0; i < n && size; i++) {
        uint64_t end = mem[i].base + mem[i].size;

        if (mem[i].type == BOOT_MEM_MMIO || base < mem[i].base || base >= end)
            continue;
        size -= MIN(size, end - base);
        base = end;
    }
    return size == 0;
}
