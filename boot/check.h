/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the machine is, in plain facts, and whether the configuration fits it. Knows no EFI type and touches
 * no hardware.
 */
#pragma once

#include "boot/config.h"

/* Memory that the hypervisor and the I/O domain need besides files and guests. */
#define CHECK_MARGIN ((uint64_t)48 << 20)

/* The PF behind boot.nic[i]. */
struct nic_facts {
    bool found;
    bool sriov;
    uint16_t total_vfs;    /* that guests can have: TotalVFs, less what the PF's driver needs itself */
    bool vf_bars_placed;   /* there is a place for all VF BARs */
    uint64_t vf_bar_bytes; /* of the memory BARs of one VF */
    uint64_t vf_bar_align; /* the largest of them: what the VFs' block is aligned to */
};

#define FUNCTION_WHY_MAX 256

/* The first `device =` that cannot be isolated. */
struct function_refusal {
    unsigned line; /* of the configuration; 0: there is none */
    char why[FUNCTION_WHY_MAX];
};

struct boot_facts {
    bool virt_locked;      /* switched off, and locked, by the firmware */
    const char *cpu_lacks; /* something that is needed, or NULL */
    bool nx;               /* no-execute pages */
    bool la57;             /* the firmware runs with five-level paging */
    unsigned cpus;         /* 0: not known */

    bool remapping; /* the IOMMU remaps interrupts */
    bool ecam;      /* PCI configuration space is memory-mapped */
    bool xsdt;      /* there is a valid one: the root of all tables */

    struct boot_machine machine; /* to hand over, as are */
    uint64_t usable;             /* bytes of RAM before any file is loaded */
    uint64_t file_bytes;         /* the guests' files, in whole pages */
    uint64_t mmio32_gap;         /* largest free stretch of 32-bit MMIO space */

    struct nic_facts nic[BOOT_NICS_MAX];
    struct function_refusal refused;
};

/* False at the first thing that does not fit, with one line in `err`. */
bool check_machine(const struct config *cfg, const struct boot_facts *f, struct boot_error *err);
