/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * MSI-X of an assigned function (PCIe base 7.7.2). The guest's writes go into a virtual table; the device's
 * own table only ever holds messages that select the function's own interrupt-remapping entries. Guarded by
 * the lock given to msix_init().
 */
#pragma once

#include "kernel/lib/spinlock.h"
#include "kernel/pci/pci.h"
#include "vm/vm.h"

#define MSIX_CTRL_SIZE   0x07ffu
#define MSIX_CTRL_MASK   0x4000u
#define MSIX_CTRL_ENABLE 0x8000u
#define MSIX_ENTRY_BYTES 16

struct msix;

struct msix_vector {
    struct msix *owner;
    uint64_t address; /* the guest's message */
    uint32_t data;
    bool masked;  /* the guest's mask bit */
    int vector;   /* host vector, < 0: none */
    unsigned cpu; /* that it arrives on */
};

struct msix {
    struct vm *vm;
    struct pci_dev *dev;
    struct spinlock *lock;
    volatile void *table; /* the device's */
    unsigned count;       /* vectors; 0: the function has no MSI-X */
    unsigned bar;         /* that holds the table */
    uint64_t offset;      /* of the table in it */
    uint16_t ctrl;        /* the guest's Enable and Function Mask */
    struct msix_vector *vec;
};

/* Reads the capability, maps the table, masks every entry. 0 also without MSI-X. -EINVAL: nonsense in the
 * capability. -ENOMEM. */
MUST_USE int msix_init(struct msix *m, struct vm *vm, struct pci_dev *dev, struct spinlock *lock);

/* Blocks and frees all vectors. */
void msix_destroy(struct msix *m);

/* The guest wrote Message Control. */
void msix_set_control(struct msix *m, uint16_t ctrl);

/* After a function reset: all entries masked and blank, MSI-X off. */
void msix_reset(struct msix *m);

/* Trapped access to the pages that hold the table: an io_fn with a struct msix. Takes the lock. */
void msix_table_access(struct vcpu *v, void *dev, struct io_access *a);
