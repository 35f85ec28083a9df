/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whole functions that guests are to have (`device =`): which of them can be isolated, and how each is reset. The hypervisor believes what is found
 * here. Knows no EFI type.
 */
#pragma once

#include "boot/acpi.h"

#define FUNCTION_NO_DEVICE UINT32_MAX

/*
 * Looks at every `device =` of every guest and fills in boot.guest[].function[].reset; at the first that cannot be isolated it stops and fills
 * `refused`. boot.nic[].rid is known. `booted_from`: the function behind which this image lies, or FUNCTION_NO_DEVICE. Sizes BARs: nothing may use a
 * device meanwhile.
 */
void function_look(const struct acpi_facts *a, struct config *cfg, uint32_t booted_from,
                   struct function_refusal *refused);

/*
 * Has all ports and functions that can send what they forward among themselves up to the IOMMU do so (Access Control Services, PCI Express Base 6.0
 * 6.12): the last thing before the firmware is left.
 */
void function_isolate(const struct acpi_facts *a);
