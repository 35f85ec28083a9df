/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PCI Express through ECAM (PCIe base 7.2.2; windows from the MCFG). boot/ has found all functions, VFs among them; a
 * struct pci_dev lives for ever. Configuration accessors take naturally aligned offsets below 4096 (outside all windows
 * all reads as ones) and need no lock; sequences on one function are the owner's to serialise.
 */
#pragma once

#include "boot/bootinfo.h"
#include "kernel/lib/types.h"

#define PCI_BARS BOOT_VF_BARS

struct pci_bar {
    hpa_t base;
    uint64_t size; /* 0: not there (or upper half of the one before) */
    bool io, wide64;
};

/* Transfers and interrupts of a function that its IOMMU has blocked, as far as they were recorded. vm/assign's, and
 * guarded by its lock. */
struct pci_faults {
    uint32_t total, recent; /* recent: since since_ns */
    uint64_t since_ns;
    bool held; /* in quarantine, whoever owns it, until the operator gives it back */
};

struct pci_dev {
    rid_t rid;
    rid_t pf;                /* of a VF its PF's, otherwise its own */
    rid_t bridge;            /* the one right above it, or no function's on a root bus */
    uint16_t vendor, device; /* a VF's come from its PF (its own read as ffff) */
    uint32_t class_rev;      /* class << 8 | revision */
    uint8_t header_type;
    bool is_vf;
    struct pci_bar bar[PCI_BARS];                         /* VFs: their slice of the VF BARs; bridges: none */
    uint16_t cap_pcie, cap_msix, cap_msi, cap_pm, cap_af; /* offsets; 0: absent */
    unsigned num_vfs;                                     /* PF: VFs enabled */
    struct pci_dev **vf;                                  /* PF: num_vfs of them */
    uint32_t
        reset; /* how it is reset: enum boot_reset. A VF by FLR; others as boot/ says, before the first reset */
    uint64_t reset_ns; /* when the last reset came to its present step; 0: there was none */
    enum { PCI_RESET_ASKED, PCI_RESET_HELD, PCI_RESET_OVER } reset_step;
    uint16_t devctl;           /* PCIe Device Control before it */
    uint64_t resets;           /* that were begun so far, by whomever; read from any CPU */
    volatile void *msix_table; /* mapped once, by whoever assigns it first */
    struct pci_faults faults;
    struct pci_dev *next; /* all functions, in discovery order */
};

/* Maps the ECAM windows and takes boot's list over. -ENOMEM. Boot CPU. */
MUST_USE int pci_init(const struct bootinfo *bi);

/* First function of the list; follow ->next. */
struct pci_dev *pci_first(void);
struct pci_dev *pci_find(rid_t rid);

uint16_t pci_read16(const struct pci_dev *d, unsigned off);
uint32_t pci_read32(const struct pci_dev *d, unsigned off);
void pci_write16(const struct pci_dev *d, unsigned off, uint16_t v);
void pci_write32(const struct pci_dev *d, unsigned off, uint32_t v);

/* "00:15.2" (with "0001:" in front where the segment is not 0) into buf, which it returns. */
#define PCI_NAME_LEN 16
char *pci_name(rid_t rid, char buf[PCI_NAME_LEN]);

/*
 * Reset of a function by the method d->reset, in two steps because it takes 100 ms. pci_reset_start(): the function
 * issues no more requests; Command and MSI-X state are lost. -EOPNOTSUPP without a method, or if it does not have it.
 * pci_reset_finish() begins the reset when the transactions under way have ended (or after 500 ms, with a warning),
 * and returns 0 when the function answers again (its BARs are where they were), or no reset was asked for; -EAGAIN if
 * it must not be touched yet; -ETIMEDOUT if it does not come back. Neither waits. The owner serialises both.
 */
MUST_USE int pci_reset_start(struct pci_dev *d);
MUST_USE int pci_reset_finish(struct pci_dev *d);

/* Whether it waits for answers to requests of its own (7.5.3.5). */
bool pci_transactions_pending(const struct pci_dev *d);

/* Waits for pci_reset_finish(): 0 or -ETIMEDOUT. */
MUST_USE int pci_reset_wait(struct pci_dev *d);
