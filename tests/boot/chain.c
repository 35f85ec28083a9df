/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/boot/chain.h"

static EFI_GUID loaded_image_guid = LOADED_IMAGE_PROTOCOL;

EFI_STATUS chain_start(const struct boot_file *file)
{
    EFI_BOOT_SERVICES *bs = fw->BootServices;
    EFI_LOADED_IMAGE *self, *other;
    EFI_HANDLE image;
    EFI_STATUS status;

    status = bs->LoadImage(FALSE, fw_image(), NULL, (void *)file->base, file->size, &image);
    if (EFI_ERROR(status))
        return status;
    bs->HandleProtocol(fw_image(), &loaded_image_guid, (void **)&self);
    bs->HandleProtocol(image, &loaded_image_guid, (void **)&other);
    other->DeviceHandle = self->DeviceHandle;
    return bs->StartImage(image, NULL, NULL);
}
