/* SPDX-License-Identifier: BSD-2-Clause */
/* Files on the volume that this image came from (UEFI 2.10 section 13.5). */
#include "boot/firmware.h"
#include "kernel/cpu/x86.h"
#include "kernel/lib/types.h"
#include <string.h>

#define PIECE     ((UINTN)4 << 20) /* read at a time; a dot on the console for each */
#define PATH_ROOM 256

static EFI_GUID loaded_image_guid = LOADED_IMAGE_PROTOCOL;
static EFI_GUID file_system_guid = SIMPLE_FILE_SYSTEM_PROTOCOL;
static EFI_GUID file_info_guid = EFI_FILE_INFO_ID;

static EFI_FILE_HANDLE folder;

/* The folder part of the path that the image was loaded from, "\" if there is none. */
static void image_folder(EFI_DEVICE_PATH *node, CHAR16 out[PATH_ROOM])
{
    UINTN n = 0, last = 0;

    for (; node && node->Type != END_DEVICE_PATH_TYPE; node = NextDevicePathNode(node)) {
        const CHAR16 *name = ((FILEPATH_DEVICE_PATH *)node)->PathName;
        UINTN bytes = (UINTN)DevicePathNodeLength(node), chars = bytes > 4 ? (bytes - 4) / sizeof(CHAR16) : 0;

        if (bytes < 4)
            break;
        if (node->Type != MEDIA_DEVICE_PATH || node->SubType != MEDIA_FILEPATH_DP)
            continue;
        for (UINTN i = 0; i < chars && name[i] && n + 1 < PATH_ROOM; i++) {
            if (name[i] == '\\')
                last = n;
            out[n++] = name[i];
        }
    }
    if (last == 0)
        out[last++] = '\\';
    out[last] = 0;
}

static EFI_FILE_HANDLE open_in(EFI_FILE_HANDLE dir, const char *path)
{
    CHAR16 wide[PATH_ROOM];
    EFI_FILE_HANDLE f;
    UINTN n = 0;

    for (; path[n] && n + 1 < PATH_ROOM; n++)
        wide[n] = path[n] == '/' ? '\\' : (CHAR16)(unsigned char)path[n];
    wide[n] = 0;
    return EFI_ERROR(dir->Open(dir, &f, wide, EFI_FILE_MODE_READ, 0)) ? NULL : f;
}

static bool has_file(EFI_FILE_HANDLE dir, const char *name)
{
    EFI_FILE_HANDLE f = open_in(dir, name);

    if (f)
        f->Close(f);
    return f != NULL;
}

bool fw_open_folder(const char *name, struct boot_error *err)
{
    EFI_BOOT_SERVICES *bs = fw->BootServices;
    EFI_LOADED_IMAGE *self;
    EFI_FILE_IO_INTERFACE *fs;
    EFI_FILE_HANDLE root, dir;
    CHAR16 path[PATH_ROOM];

    if (EFI_ERROR(bs->HandleProtocol(fw_image(), &loaded_image_guid, (void **)&self)) ||
        !self->DeviceHandle ||
        EFI_ERROR(bs->HandleProtocol(self->DeviceHandle, &file_system_guid, (void **)&fs)) ||
        EFI_ERROR(fs->OpenVolume(fs, &root)))
        return error_set(
            err, "%s: this image was not loaded from a file system, accepted: an EFI system partition", name);
    image_folder(self->FilePath, path);
    if (!EFI_ERROR(root->Open(root, &dir, path, EFI_FILE_MODE_READ, 0))) {
        folder = dir;
        if (has_file(dir, name))
            return true;
        dir->Close(dir);
    }
    folder = root;
    if (has_file(root, name))
        return true;
    return error_set(
        err, "%s: not found, accepted: in the folder of BOOTX64.EFI, or in the root of its volume", name);
}

static bool size_of(EFI_FILE_HANDLE f, uint64_t *size)
{
    union {
        EFI_FILE_INFO info;
        uint8_t room[sizeof(EFI_FILE_INFO) + PATH_ROOM * sizeof(CHAR16)];
    } u;
    UINTN n = sizeof(u);

    if (EFI_ERROR(f->GetInfo(f, &file_info_guid, &n, &u)) || (u.info.Attribute & EFI_FILE_DIRECTORY))
        return false;
    *size = u.info.FileSize;
    return true;
}

bool fw_file_size(const char *path, uint64_t *size)
{
    EFI_FILE_HANDLE f = open_in(folder, path);
    bool ok = f && size_of(f, size);

    if (f)
        f->Close(f);
    return ok;
}

/* Fills `size` bytes at `dst`; false at the first read that gives less. */
static bool read_all(EFI_FILE_HANDLE f, uint8_t *dst, uint64_t size, bool dots)
{
    for (uint64_t done = 0; done < size;) {
        UINTN n = MIN(PIECE, size - done);

        if (EFI_ERROR(f->Read(f, &n, dst + done)) || n == 0)
            return false;
        done += n;
        if (dots && done < size)
            fw_print(".");
    }
    return true;
}

static bool read_file(const char *path, uint64_t max, bool dots, struct boot_file *file,
                      struct boot_error *err)
{
    EFI_FILE_HANDLE f = open_in(folder, path);
    uint64_t size;
    void *dst;
    bool ok;

    if (!f)
        return error_set(err, "%s: not found, accepted: a file in the folder of lastmile.cfg", path);
    if (!size_of(f, &size) || size > max) {
        f->Close(f);
        return error_set(err, "%s: no file of the expected size, accepted: at most %lu bytes", path, max);
    }
    dst = fw_pages(size + 1, PAGE_SIZE);
    ok = dst && read_all(f, dst, size, dots);
    f->Close(f);
    if (!dst)
        return error_set(err, "%s: no memory for its %lu bytes", path, size);
    if (!ok)
        return error_set(err, "%s: cannot be read to its end (%lu bytes)", path, size);
    *file = (struct boot_file){(uint64_t)dst, size};
    return true;
}

bool fw_file_read_quietly(const char *path, uint64_t max, struct boot_file *file, struct boot_error *err)
{
    return read_file(path, max, false, file, err);
}

bool fw_file_read(const char *path, struct boot_file *file, struct boot_error *err)
{
    uint64_t start = rdtsc();
    bool ok;

    fw_print("  %s ", path);
    ok = read_file(path, (uint64_t)1 << 40, true, file, err);
    if (ok)
        fw_print(" %lu KiB, %lu ms", (file->size + 1023) >> 10, fw_ms(start));
    fw_print("\n");
    return ok;
}
