/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/firmware.h"
#include "kernel/cpu/x86.h"
#include "kernel/lib/types.h"
#include <efipciio.h>
#include <string.h>

#define CALIBRATION_US 5000
#define ALLOCATIONS    (3 * BOOT_GUESTS_MAX + 32)

EFI_SYSTEM_TABLE *fw;
static EFI_HANDLE this_image;
static uint64_t tsc_per_ms = 1;

/* What fw_release() gives back. */
static struct {
    EFI_PHYSICAL_ADDRESS base;
    UINTN pages;
} allocation[ALLOCATIONS];
static unsigned nallocations;

void fw_init(EFI_HANDLE image, EFI_SYSTEM_TABLE *table)
{
    uint64_t start;

    fw = table;
    this_image = image;
    fw->BootServices->SetWatchdogTimer(0, 0, 0, NULL); /* large files on slow media take their time */
    start = rdtsc();
    fw->BootServices->Stall(CALIBRATION_US);
    tsc_per_ms = MAX((rdtsc() - start) / (CALIBRATION_US / 1000), 1);
}

EFI_HANDLE fw_image(void)
{
    return this_image;
}

void fw_print(const char *fmt, ...)
{
    char text[640];
    CHAR16 wide[sizeof(text) * 2];
    UINTN n = 0;
    va_list ap;

    va_start(ap, fmt);
    text_vformat(text, sizeof(text), fmt, ap);
    va_end(ap);
    for (const char *s = text; *s; s++) {
        if (*s == '\n')
            wide[n++] = '\r';
        wide[n++] = *s == '\n' || (*s >= 0x20 && *s < 0x7f) ? (CHAR16)*s : '?';
    }
    wide[n] = 0;
    if (fw->ConOut)
        fw->ConOut->OutputString(fw->ConOut, wide);
}

uint64_t fw_ms(uint64_t since)
{
    return (rdtsc() - since) / tsc_per_ms;
}

/* --- pages --- */

static bool remember(EFI_PHYSICAL_ADDRESS base, UINTN pages)
{
    if (nallocations == ALLOCATIONS) {
        fw->BootServices->FreePages(base, pages);
        return false;
    }
    allocation[nallocations].base = base;
    allocation[nallocations++].pages = pages;
    return true;
}

void fw_release(void)
{
    while (nallocations) {
        nallocations--;
        fw->BootServices->FreePages(allocation[nallocations].base, allocation[nallocations].pages);
    }
}

void *fw_pages(uint64_t bytes, uint64_t align)
{
    EFI_BOOT_SERVICES *bs = fw->BootServices;
    UINTN pages = (bytes + PAGE_SIZE - 1) >> PAGE_SHIFT, spare = (align >> PAGE_SHIFT) - 1;
    EFI_PHYSICAL_ADDRESS base = 0, start;

    if (EFI_ERROR(bs->AllocatePages(AllocateAnyPages, EfiLoaderData, pages + spare, &base)))
        return NULL;
    start = ALIGN_UP(base, align);
    if (start != base)
        bs->FreePages(base, (start - base) >> PAGE_SHIFT);
    if (start - base != spare << PAGE_SHIFT)
        bs->FreePages(start + (pages << PAGE_SHIFT), spare - ((start - base) >> PAGE_SHIFT));
    if (!remember(start, pages))
        return NULL;
    memset((void *)start, 0, pages << PAGE_SHIFT);
    return (void *)start;
}

void *fw_pages_below(uint64_t end, uint64_t bytes)
{
    EFI_PHYSICAL_ADDRESS base = end - 1;
    UINTN pages = (bytes + PAGE_SIZE - 1) >> PAGE_SHIFT;

    if (EFI_ERROR(fw->BootServices->AllocatePages(AllocateMaxAddress, EfiLoaderData, pages, &base)) ||
        !remember(base, pages))
        return NULL;
    memset((void *)base, 0, pages << PAGE_SHIFT);
    return (void *)base;
}

void *fw_table(const EFI_GUID *guid)
{
    for (UINTN i = 0; i < fw->NumberOfTableEntries; i++)
        if (memcmp(&fw->ConfigurationTable[i].VendorGuid, guid, sizeof(*guid)) == 0)
            return fw->ConfigurationTable[i].VendorTable;
    return NULL;
}

uint32_t fw_boot_function(void)
{
    static EFI_GUID loaded_image = EFI_LOADED_IMAGE_PROTOCOL_GUID,
                    device_path = EFI_DEVICE_PATH_PROTOCOL_GUID, pci_io = EFI_PCI_IO_PROTOCOL_GUID;
    EFI_BOOT_SERVICES *bs = fw->BootServices;
    EFI_LOADED_IMAGE *self;
    EFI_DEVICE_PATH *path;
    EFI_PCI_IO_PROTOCOL *pci;
    EFI_HANDLE handle;
    UINTN segment, bus, device, function;

    if (EFI_ERROR(bs->HandleProtocol(this_image, &loaded_image, (void **)&self)) || !self->DeviceHandle ||
        EFI_ERROR(bs->HandleProtocol(self->DeviceHandle, &device_path, (void **)&path)) ||
        EFI_ERROR(bs->LocateDevicePath(&pci_io, &path, &handle)) ||
        EFI_ERROR(bs->HandleProtocol(handle, &pci_io, (void **)&pci)) ||
        EFI_ERROR(pci->GetLocation(pci, &segment, &bus, &device, &function)))
        return UINT32_MAX;
    return (uint32_t)(segment << 16 | bus << 8 | device << 3 | function);
}

/* --- clock --- */

/* Days from 1970-01-01 to the first of `month` (1 to 12) of `year`, Gregorian. */
static uint64_t days_to_month(unsigned year, unsigned month)
{
    static const uint16_t before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    uint64_t past = year - 1;
    uint64_t days = past * 365 + past / 4 - past / 100 + past / 400 - 719162;
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return days + before[month - 1] + (leap && month > 2);
}

uint64_t fw_wall_seconds(void)
{
    EFI_TIME t;
    uint64_t seconds;

    if (EFI_ERROR(fw->RuntimeServices->GetTime(&t, NULL)) || t.Year < 1970 || t.Month < 1 || t.Month > 12 ||
        t.Day < 1)
        return 0;
    seconds =
        (days_to_month(t.Year, t.Month) + t.Day - 1) * 86400 + t.Hour * 3600ull + t.Minute * 60ull + t.Second;
    if (t.TimeZone >= -1440 && t.TimeZone <= 1440) /* minutes; EFI_UNSPECIFIED_TIMEZONE is 2047 */
        seconds += (uint64_t)(t.TimeZone * 60);
    return seconds;
}

/* --- leaving --- */

bool fw_memory_map(struct fw_map *map)
{
    UINT32 version;

    return !EFI_ERROR(
        fw->BootServices->GetMemoryMap(&map->bytes, map->map, &map->key, &map->stride, &version));
}

bool fw_exit(struct fw_map *map)
{
    UINTN room = map->bytes;

    for (unsigned attempt = 0; attempt < 2; attempt++) {
        map->bytes = room;
        if (!fw_memory_map(map))
            return false;
        if (!EFI_ERROR(fw->BootServices->ExitBootServices(this_image, map->key)))
            return true;
    }
    return false;
}
