/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One assigned function as its VM sees it: a conventional configuration space whose writable bits are an
 * allow-list, BARs that follow the guest's programming, and MSI and MSI-X messages that only the hypervisor writes.
 * Private to vm/assign/. All of it is guarded by the VM's vpci lock.
 */
#pragma once

#include "iommu/fault.h"
#include "iommu/iommu.h"
#include "kernel/lib/spinlock.h"
#include "kernel/lib/string.h"
#include "kernel/pci/pci.h"
#include "kernel/pci/regs.h"
#include "vm/vm.h"

#define VPCI_SLOTS 32

/* A memory BAR in the guest's address space. It is shown as a 32-bit one where it fits into the window below 4 GiB. */
struct vbar {
    hpa_t target;
    uint64_t size;              /* 0: not there */
    uint64_t at;                /* where it is mapped now, 0: nowhere */
    bool wide64;                /* shown as a 64-bit one */
    uint64_t table, table_size; /* pages of it that are trapped for the MSI-X table (offset, bytes) */
};

/* One of MSI-X or, by the same number, of MSI. */
struct msix_vector {
    struct vfunction *f;
    uint32_t entry[4]; /* the guest's: address, upper half of it, data, control */
    int vector;        /* that it arrives as, < 0: it is blocked */
    bool straight;     /* that is the guest's own, to which it goes with no help (lapic_lend()) */
    unsigned cpu;      /* that it arrives on */
};

struct vfunction {
    struct vm *vm;
    struct pci_dev *dev;
    char label[FAULT_NAME_MAX];
    enum boot_on_fault on_fault;
    uint8_t cfg[BOOT_SHOWN_BYTES];   /* what the guest reads */
    uint8_t wmask[BOOT_SHOWN_BYTES]; /* bits of it that the guest may write */
    struct vbar bar[PCI_BARS];
    unsigned vectors;    /* of MSI-X that the guest sees; 0: the function has none */
    uint16_t ctrl;       /* the guest's Enable and Function Mask */
    unsigned msi;        /* MSI vectors that the guest has enabled; never together with MSI-X */
    uint32_t message[3]; /* the guest's for them: address, upper half of it, data */
    struct msix_vector vec[IOMMU_IRQS];
};

struct vpci {
    struct spinlock lock;
    uint32_t address;                 /* 0xcf8 */
    unsigned slots;                   /* device numbers in use; 0 is the host bridge */
    uint64_t window_next, high_next;  /* above every BAR placed so far, in each window */
    uint64_t high;                    /* where the upper window begins */
    struct vfunction *fn[VPCI_SLOTS]; /* by device number */
    unsigned irqs;                    /* host vectors that they have */
};

static inline uint32_t cfg_get(const uint8_t *cfg, unsigned off, unsigned size)
{
    uint32_t v = 0;

    memcpy(&v, cfg + off, size);
    return v;
}

static inline void cfg_set(uint8_t *cfg, unsigned off, unsigned size, uint32_t v)
{
    memcpy(cfg + off, &v, size);
}

/*
 * Takes over the configuration space that boot/ has made of the hardware's, and chooses the guest addresses of all BARs,
 * as a firmware would: from the bottom of the window, function after function.
 * -ENODEV: no usable memory BAR; -ENOSPC: no room in the window; or what msix_init() says.
 */
MUST_USE int function_init(struct vfunction *f, struct vm *vm, struct pci_dev *dev, const char *label);

/* False while a reset is under way that was begun for its VM; what the VM has set up is restored at its end. */
bool function_answers(struct vfunction *f);

/* The function is `dev` from now on, which is like the one that it was: its BARs stay where the guest has them, and its Command is what the guest wrote. */
void function_show(struct vfunction *f, struct pci_dev *dev, const char *label);

/* Takes its BARs out of the guest's memory map and frees its interrupts; Bus Master is off already. */
void function_destroy(struct vfunction *f);

/* A guest's configuration access at `off`, naturally inside one dword. */
void function_cfg_access(struct vfunction *f, unsigned off, struct io_access *a);

/* Puts Command, BARs and MSI-X of both the virtual and the physical function into their state after a reset. */
void function_reset_state(struct vfunction *f);

/*
 * msix.c. The guest's writes go into a virtual table or capability; the device's own only ever hold messages that
 * select the function's own interrupt-remapping entries.
 */

/* Maps the table, masks every entry. 0 also without MSI-X. -ENOMEM. */
MUST_USE int msix_init(struct vfunction *f);

/* Maps the table of a function that has one, once. -ENOMEM. */
MUST_USE int msix_map(struct pci_dev *dev);

/* Bytes of the table, with all vectors that there are. */
static inline uint64_t msix_bytes(const struct pci_dev *d)
{
    return (uint64_t)d->is->msix_vectors * MSIX_ENTRY_BYTES;
}

/* The guest wrote to its configuration space: makes the hardware agree with both capabilities. */
void msix_update(struct vfunction *f);

/* Sets both up in the hardware again: the function has come into quarantine or out of it. */
void msix_refresh(struct vfunction *f);

/* hold: masks every entry and gives its vector back, until the same without it, or the guest's next write, routes them anew. What comes meanwhile waits in
 * the device; of MSI, which has no masks, each vector is taken to have come. */
void msix_reroute(struct vfunction *f, bool hold);

/* The VM gets an interrupt from each entry that it has enabled. Any driver must bear that. */
void msix_raise(struct vfunction *f);

/* As after a function reset: all entries masked and blank, their interrupts blocked and freed, MSI-X and MSI off. */
void msix_reset(struct vfunction *f);

/* Bits of the dwords of an entry. */
extern const uint32_t msix_writable[4];

/* Trapped access to the pages that hold the table: an io_fn with a struct vfunction. Takes the lock. */
void msix_table_access(struct vcpu *v, void *dev, struct io_access *a);
