/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The firmware's services as boot/ uses them: console, pages, files, clock. Everything here ends with
 * ExitBootServices.
 */
#pragma once

#include "boot/bootinfo.h"
#include "boot/text.h"
#include <efi.h>

/* UEFI 2.10 section 4.3; set by fw_init(). */
extern EFI_SYSTEM_TABLE *fw;

void fw_init(EFI_HANDLE image, EFI_SYSTEM_TABLE *table);

/* The handle of this image. */
EFI_HANDLE fw_image(void);

/* The PCI function behind which this image lies (segment << 16 | bus << 8 | devfn), or all ones if there is none. */
uint32_t fw_boot_function(void);

/* Gives back to the firmware all pages that were allocated here. */
void fw_release(void);

/* printf (the subset of text.h) to the firmware's console; "\n" becomes what it expects. */
void fw_print(const char *fmt, ...) BOOT_PRINTF(1, 2);

/* Milliseconds since the TSC read `since`. */
uint64_t fw_ms(uint64_t since);

/*
 * Zeroed pages of type EfiLoaderData on a multiple of `align` (a power of two, at least a page); NULL if
 * there is no room.
 */
void *fw_pages(uint64_t bytes, uint64_t align);

/* The same, with the last byte below `end`. */
void *fw_pages_below(uint64_t end, uint64_t bytes);

/* The configuration table with this GUID (the RSDP, say), or NULL. */
void *fw_table(const EFI_GUID *guid);

/*
 * The firmware's clock: seconds since 1970, UTC; 0 if it has none. A clock without a time zone is taken to
 * run in UTC.
 */
uint64_t fw_wall_seconds(void);

/* A file in memory; size 0 if there is none. Starts on a page; the rest of its last page is zero. */
struct boot_file {
    uint64_t base, size;
};

/*
 * Looks for `name` in the folder that this image was loaded from, then in the root of that volume. All later
 * files come from the folder where it was found.
 */
bool fw_open_folder(const char *name, struct boot_error *err);

/* Size of a file in that folder, its path with '/' between the parts; false if there is no such file. */
bool fw_file_size(const char *path, uint64_t *size);

/*
 * Reads that file into pages of its own, with a line on the console (name, size, time; a dot for each piece
 * of a large file). False if it cannot be read whole or there is no memory. One 0 byte at least stands behind
 * the last byte.
 */
bool fw_file_read(const char *path, struct boot_file *file, struct boot_error *err);

/* The same without a line, for a file of at most `max` bytes. */
bool fw_file_read_quietly(const char *path, uint64_t max, struct boot_file *file, struct boot_error *err);

/* The memory map. `map` has room for `bytes`; false if it is too small (then `bytes` says what is needed). */
struct fw_map {
    void *map;
    UINTN bytes, stride, key;
};
bool fw_memory_map(struct fw_map *map);

/*
 * Leaves the firmware; false if it refuses twice (the map may change once under our hands: UEFI 2.10 section
 * 7.4.6). `map` is current then.
 */
bool fw_exit(struct fw_map *map);
