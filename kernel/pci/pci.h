/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PCI Express through ECAM (PCIe base 7.2.2). boot/ has found all functions, VFs among them, and where their registers are; a
 * struct pci_dev lives for ever. Configuration accessors take naturally aligned offsets below 4096 (of a function that is in
 * no window of the MCFG all reads as ones) and need no lock; sequences on one function are the owner's to serialise.
 */
#pragma once

#include "boot/bootinfo.h"
#include "kernel/lib/types.h"

#define PCI_BARS BOOT_VF_BARS

/* Transfers and interrupts of a function that its IOMMU has blocked, as far as they were recorded. vm/assign's, and
 * guarded by its lock. */
struct pci_faults {
    uint32_t total, recent; /* recent: since since_ns */
    uint64_t since_ns;
    bool held; /* in quarantine, whoever owns it, until the operator gives it back */
};

struct pci_dev {
    rid_t rid;
    const struct boot_pci *is;      /* what boot/ has found out about it */
    const struct boot_shown *shown; /* what a VM sees of it */
    volatile char *regs;            /* its configuration space, or NULL */
    struct pci_dev *vf;             /* PF: is->num_vfs of them */
    uint64_t reset_ns;              /* when the last reset came to its present step; 0: there was none */
    enum { PCI_RESET_ASKED, PCI_RESET_HELD, PCI_RESET_OVER } reset_step;
    uint16_t devctl;           /* PCIe Device Control before it */
    uint64_t resets;           /* that were begun so far, by whomever; read from any CPU */
    volatile void *msix_table; /* mapped once, by whoever assigns it first */
    struct pci_faults faults;
    struct pci_dev *next; /* all functions, in discovery order */
};

/* Takes boot's list over and maps the registers. -ENOMEM. Boot CPU. */
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
 * Reset of a function by the way d->is->reset, in two steps because it takes 100 ms. pci_reset_start(): the function
 * issues no more requests; Command and MSI-X state are lost. -EOPNOTSUPP without one.
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
