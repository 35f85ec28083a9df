/* SPDX-License-Identifier: BSD-2-Clause */
/* Where a guest finds what: its physical addresses and the ports that its ACPI tables name. */
#pragma once

/* RAM is [0, ...) up to GPA_PCI_WINDOW at most and, above the hole, [GPA_HIGH_RAM, ...). */
#define GPA_PCI_WINDOW     0xc0000000 /* BARs of assigned functions */
#define GPA_PCI_WINDOW_END 0xfec00000
#define GPA_IOAPIC         0xfec00000
#define GPA_LAPIC          0xfee00000
#define GPA_HIGH_RAM       0x100000000

/* BARs that do not fit there: 64 GiB above all RAM of a guest with that much memory. */
#define GPA_PCI_HIGH_SIZE 0x1000000000ull
#define GPA_PCI_HIGH(memory)                                                                                 \
    (((memory) + 0x40000000ull) / GPA_PCI_HIGH_SIZE * GPA_PCI_HIGH_SIZE + GPA_PCI_HIGH_SIZE)

/* Ports of the FADT (ACPI 6.5 5.2.9). */
#define POWER_SLEEP_CONTROL 0x600
#define POWER_SLEEP_STATUS  0x601
#define POWER_RESET         0xcf9
#define POWER_RESET_VALUE   0x06
