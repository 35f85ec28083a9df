/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/machine.h"
#include "boot/firmware.h"

static const EFI_GUID acpi20 = ACPI_20_TABLE_GUID;

bool machine_look(struct boot_facts *f, struct config *cfg, struct boot_error *err)
{
    (void)cfg;
    (void)err;
    f->rsdp = (uint64_t)fw_table(&acpi20);
    return true;
}
