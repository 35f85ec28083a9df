/* SPDX-License-Identifier: BSD-2-Clause */
/* What the firmware left running of the IOMMUs. Knows no EFI type. */
#pragma once

#include "boot/bootinfo.h"

/*
 * Stops all units: no translation, no rings, no ranges that pass untranslated or are protected; AMD-Vi's are bus masters. They are
 * no longer to be used (BOOT_IOMMU_NONE) if one of them does not stop within 100 ms a step. With the firmware gone, after
 * enumerate_silence() and clock_measure().
 */
void iommu_stop(struct boot_iommu *iommu, uint32_t tsc_khz);
