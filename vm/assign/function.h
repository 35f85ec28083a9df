/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One assigned function as its VM sees it: a conventional configuration space whose writable bits are an
 * allow-list, BARs that follow the guest's programming, and an MSI-X table that only the hypervisor writes.
 * Private to vm/assign/. All of it is guarded by the VM's vpci lock.
 */
#pragma once

#include "kernel/pci/pci.h"
#include "vm/assign/msix.h"
#include "vm/vm.h"

#define VPCI_SLOTS    32
#define VPCI_CFG_SIZE 256

/* Registers of a type 0 header (PCI Local Bus 3.0, 6.1). */
#define PCI_COMMAND      0x04
#define PCI_STATUS       0x06
#define PCI_CLASS_REV    0x08
#define PCI_BAR0         0x10
#define PCI_SUBSYSTEM    0x2c
#define PCI_CAP_POINTER  0x34
#define PCI_COMMAND_MEM  0x0002u
#define PCI_COMMAND_BME  0x0004u
#define PCI_COMMAND_INTX 0x0400u
#define PCI_STATUS_CAPS  0x0010u

/* A memory BAR in the guest's address space. It is shown as a 32-bit one: the window lies below 4 GiB. */
struct vbar {
    hpa_t target;
    uint64_t size;              /* 0: not there */
    uint64_t at;                /* where it is mapped now, 0: nowhere */
    uint64_t table, table_size; /* pages of it that are trapped for the MSI-X table (offset, bytes) */
};

struct vfunction {
    struct vm *vm;
    struct pci_dev *dev;
    char label[24];
    unsigned slot;
    uint8_t cfg[VPCI_CFG_SIZE];   /* what the guest reads */
    uint8_t wmask[VPCI_CFG_SIZE]; /* bits of it that the guest may write */
    unsigned cap_pcie, cap_msix;  /* in cfg; 0: absent */
    bool may_reset;               /* FLR is the guest's to use */
    bool in_reset;                /* it used it: the function answers again when pci_flr_finish() says so */
    struct vbar bar[PCI_BARS];
    struct msix msix;
};

struct vpci {
    struct vm *vm;
    struct spinlock lock;
    uint32_t address;                 /* 0xcf8 */
    uint8_t bridge[64];               /* header of 00:00.0 */
    struct vfunction *fn[VPCI_SLOTS]; /* by device number; 0 is the host bridge */
};

/* Fills the configuration space from the hardware's, capability by capability from the allow-list. -ENODEV:
 * no usable memory BAR. */
MUST_USE int function_init(struct vfunction *f, struct vm *vm, struct pci_dev *dev, unsigned slot,
                           const char *label);

/* Takes its BARs out of the guest's memory map and frees its interrupts; Bus Master is off already. */
void function_destroy(struct vfunction *f);

/* A guest's configuration access, naturally inside one dword. */
uint32_t function_cfg_read(struct vfunction *f, unsigned off, unsigned size);
void function_cfg_write(struct vfunction *f, unsigned off, unsigned size, uint32_t val);

/* Chooses the guest addresses of all BARs, as a firmware would: from the bottom of the window, slot after
 * slot. */
MUST_USE int function_place_bars(struct vfunction *f, uint64_t *next);

/* Puts Command, BARs and MSI-X of both the virtual and the physical function into their state after a reset.
 */
void function_reset_state(struct vfunction *f);
