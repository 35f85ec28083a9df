/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All PCI functions, as plain numbers for the hypervisor, with the configured VFs among them. The last things that are done
 * before the firmware is left, and after. Knows no EFI type.
 */
#pragma once

#include "boot/bootinfo.h"
#include <stddef.h>

/*
 * Lists what all buses have that are reachable through bridges as the firmware numbered them; returns how many, or 0 if
 * they are more than `max`. The list and `m` belong to the functions below from then on. Sizes BARs: nothing may use a
 * device meanwhile.
 */
size_t enumerate(const struct boot_machine *m, struct boot_pci *list, size_t max);

/* Switches off all VFs that the firmware may have enabled. */
void enumerate_stop_vfs(void (*wait_ms)(unsigned ms));

struct enable {
    const struct boot_mem *mem;
    size_t nmem;
    void (*warn)(const char *line);
    void (*wait_ms)(unsigned ms);
};

/*
 * Enables each NIC's VFs: puts their BARs to the addresses nic.vf_bar (0: the BAR stays where it is; SR-IOV 3.3.14), sets
 * NumVFs, VF Enable and VF MSE, waits, and puts them at the end of the list, whose length it returns. Each VF has
 * Command.MEM set and Bus Master clear, and is reset by FLR if it can be. Of a NIC with which that fails (a warning says why) none is enabled.
 */
size_t enumerate_enable_vfs(const struct boot_config *cfg, const struct enable *e);

/* Notes down how the guests' whole functions are reset, as boot/function.c has found. */
void enumerate_resets(const struct boot_config *cfg);

/*
 * Clears Bus Master, MSI and MSI-X Enable of every function: nothing that the firmware left running goes on. Bridges keep
 * their Bus Master, which forwards what is behind them. With the firmware gone.
 */
void enumerate_silence(void);
