/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stands where the firmware looks for BOOTX64.EFI, and starts the real one, lastmile.efi, again and again, each
 * time with the machine's ACPI tables bent in another way. bend.txt says how; numbers are hexadecimal:
 *
 *   case TITLE           what follows is done, lastmile.efi started, and all undone when it comes back
 *   IVRS 4 00 00 00 00   these bytes at that offset of that table (RSDP and XSDT are tables too)
 *   IVRS sum             its checksum made right again
 *   IVRS to 1234         the XSDT's entry for it leads there; or to a table that is named
 *   config NAME          lastmile.cfg gets that file's content, from now on
 */
#include "tests/boot/chain.h"
#include <string.h>

#define CHANGES_MAX 256
#define LINE_MAX    128
#define ENTRIES_MAX 64
#define RSDP_XSDT   24
#define LENGTH      4
#define CHECKSUM    9
#define ENTRIES     36

#define CONFIGURATION L"lastmile.cfg"
#define WRITABLE      (EFI_FILE_MODE_READ | EFI_FILE_MODE_WRITE)

static EFI_GUID acpi20 = ACPI_20_TABLE_GUID;
static EFI_GUID image_guid = LOADED_IMAGE_PROTOCOL, volume_guid = SIMPLE_FILE_SYSTEM_PROTOCOL;

static struct {
    uint8_t *at, was;
} changes[CHANGES_MAX];
static unsigned nchanges;

static uint8_t *rsdp, *xsdt, *tables[ENTRIES_MAX]; /* where they are while nothing is bent */
static unsigned nentries;
static struct boot_file lastmile;

static void change(uint8_t *at, uint8_t byte)
{
    if (nchanges == CHANGES_MAX)
        return;
    changes[nchanges].at = at;
    changes[nchanges++].was = *at;
    *at = byte;
}

static void undo(void)
{
    while (nchanges) {
        nchanges--;
        *changes[nchanges].at = changes[nchanges].was;
    }
}

static uint64_t get(const uint8_t *p, unsigned bytes)
{
    uint64_t v = 0;

    memcpy(&v, p, bytes);
    return v;
}

/* The number of the XSDT's entry for a table, or nentries. */
static unsigned entry_of(const char *name)
{
    unsigned i = 0;

    while (i < nentries && memcmp(tables[i], name, 4) != 0)
        i++;
    return i;
}

static uint8_t *table(const char *name)
{
    unsigned i = entry_of(name);

    if (memcmp(name, "RSDP", 4) == 0)
        return rsdp;
    if (memcmp(name, "XSDT", 4) == 0)
        return xsdt;
    return i < nentries ? tables[i] : NULL;
}

static void mend_sum(uint8_t *at)
{
    uint8_t sum = 0;

    for (uint64_t i = 0; i < get(at + LENGTH, 4); i++)
        sum = (uint8_t)(sum + at[i]);
    change(at + CHECKSUM, (uint8_t)(at[CHECKSUM] - sum));
}

static void lead(unsigned entry, const char *where)
{
    uint64_t to = (uint64_t)table(where);

    if (!to)
        text_number(&where, 16, UINT64_MAX, &to);
    for (unsigned i = 0; i < 8; i++)
        change(xsdt + ENTRIES + 8 * entry + i, (uint8_t)(to >> 8 * i));
}

/* The folder that this was loaded from is the root. */
static bool configure(const char *name)
{
    EFI_LOADED_IMAGE *self;
    EFI_SIMPLE_FILE_SYSTEM_PROTOCOL *volume;
    EFI_FILE_PROTOCOL *root, *file;
    struct boot_error err;
    struct boot_file text;
    UINTN size;
    bool ok;

    if (!fw_file_read(name, &text, &err) ||
        EFI_ERROR(fw->BootServices->HandleProtocol(fw_image(), &image_guid, (void **)&self)) ||
        EFI_ERROR(fw->BootServices->HandleProtocol(self->DeviceHandle, &volume_guid, (void **)&volume)) ||
        EFI_ERROR(volume->OpenVolume(volume, &root)))
        return false;
    if (!EFI_ERROR(root->Open(root, &file, CONFIGURATION, WRITABLE, 0)))
        file->Delete(file);
    ok = !EFI_ERROR(root->Open(root, &file, CONFIGURATION, WRITABLE | EFI_FILE_MODE_CREATE, 0));
    if (ok) {
        size = text.size;
        ok = !EFI_ERROR(file->Write(file, &size, (void *)text.base)) && size == text.size;
        file->Close(file);
    }
    root->Close(root);
    return ok;
}

static bool bend(const char *line)
{
    const char *rest = line;
    uint8_t *at = table(line);
    unsigned entry = entry_of(line);
    uint64_t off, byte;

    if (text_take(&rest, "config "))
        return configure(rest);
    rest = line + 4;
    rest = text_skip_blanks(rest);
    if (text_take(&rest, "sum") && at) {
        mend_sum(at);
    } else if (text_take(&rest, "to ") && entry < nentries) {
        lead(entry, rest);
    } else if (at && text_number(&rest, 16, UINT32_MAX, &off)) {
        for (rest = text_skip_blanks(rest); text_number(&rest, 16, UINT8_MAX, &byte);
             rest = text_skip_blanks(rest))
            change(at + off++, (uint8_t)byte);
    } else {
        return false;
    }
    return true;
}

static void end_case(bool any)
{
    if (any)
        fw_print("bend: it returned %lx\n", (uint64_t)chain_start(&lastmile));
    undo();
}

static void follow(const char *text)
{
    bool any = false;

    while (*text) {
        char line[LINE_MAX];
        size_t n = 0;

        for (; *text && *text != '\n'; text++)
            if (n + 1 < sizeof(line))
                line[n++] = *text;
        line[n] = 0;
        text += *text == '\n';
        if (memcmp(line, "case ", 5) == 0) {
            end_case(any);
            any = true;
            fw_print("bend: %s\n", line);
        } else if (n > 4 && !bend(line)) {
            fw_print("bend: cannot do: %s\n", line);
        }
    }
    end_case(any);
}

EFI_STATUS efi_main(EFI_HANDLE handle, EFI_SYSTEM_TABLE *system);
EFI_STATUS efi_main(EFI_HANDLE handle, EFI_SYSTEM_TABLE *system)
{
    struct boot_error err = {""};
    struct boot_file plan;

    fw_init(handle, system);
    rsdp = fw_table(&acpi20);
    if (!rsdp || !fw_open_folder("lastmile.cfg", &err) || !fw_file_read("bend.txt", &plan, &err) ||
        !fw_file_read("lastmile.efi", &lastmile, &err)) {
        fw_print("bend: %s\n", err.text);
        return EFI_LOAD_ERROR;
    }
    xsdt = (uint8_t *)get(rsdp + RSDP_XSDT, 8);
    while (nentries < ENTRIES_MAX && ENTRIES + 8 * nentries < get(xsdt + LENGTH, 4)) {
        tables[nentries] = (uint8_t *)get(xsdt + ENTRIES + 8 * nentries, 8);
        nentries++;
    }
    follow((const char *)plan.base);
    fw_print("bend: done\n");
    return EFI_SUCCESS;
}
