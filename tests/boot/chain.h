/* SPDX-License-Identifier: BSD-2-Clause */
/* For applications that stand where the firmware looks for BOOTX64.EFI and start the real one. */
#pragma once

#include "boot/firmware.h"

/* Starts an image from memory, as if it had come from the volume that this one came from; the status that it returns. */
EFI_STATUS chain_start(const struct boot_file *image);
