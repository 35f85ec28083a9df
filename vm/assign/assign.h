/* SPDX-License-Identifier: BSD-2-Clause */
/* Giving physical functions to VMs: hand-over, virtual PCI, MSI-X, interrupt routing. */
#pragma once

#include "kernel/lib/types.h"
#include "kernel/pci/pci.h"
#include "vm/vm.h"

/* vpci.c: bus 0 of the VM behind 0xcf8/0xcfc, an Intel 440FX-like host bridge at 00:00.0, functions from
 * 00:01.0 up. */
MUST_USE int vpci_create(struct vm *vm);

/* Boot CPU, once, before the first function is assigned. */
void assign_init(void);

/*
 * Hands a function over clean and shows it to the VM in the next free slot: silence -> FLR (VFs) -> IOMMU
 * attach -> virtual config space -> BARs. Everything is undone on failure, which is logged with the reason.
 * `label` ("lan0/2", "lan0") names it in logs. The PF that goes to the I/O domain is not reset (its VFs are
 * enabled) and its SR-IOV capability is hidden. `on_fault` is its policy. One that is in quarantine is shown, but stays
 * closed. Waits for the end of a reset: no lock is held.
 */
MUST_USE int assign_function(struct vm *vm, struct pci_dev *d, const char *label,
                             enum boot_on_fault on_fault);

/* True while assign_function() would wait for the end of the reset that assign_release_all() began. */
bool assign_must_wait(struct pci_dev *d);

/* hold: keeps the interrupts of all functions of a VM back in the devices, until the same without it routes them anew. Any CPU, takes the vpci lock. */
void assign_reroute(struct vm *vm, bool hold);

/* Takes all functions of a VM back: Bus Master off, IOMMU detach with drain, interrupts blocked, vectors
 * freed, FLR for VFs. No vCPU of it is on a CPU, and no lock is held. */
void assign_release_all(struct vm *vm);

/*
 * Quarantine of a function (fault.c): no Bus Master, requester id closed, interrupts blocked, whatever its VM writes
 * and however often that restarts. assign_is_held() also has the VM's driver look at it: it raises the VM's own
 * interrupts once, and is false where no VM has the function now. assign_restore() resets the function of this label
 * and opens it again, as its VM has set it up meanwhile. -ENOENT: no VM has it now; -EINVAL: it is not in quarantine;
 * -EAGAIN: it is in a reset just now; or why the IOMMU does not take it. Both take the VM's vpci lock.
 */
bool assign_is_held(const struct pci_dev *d);
MUST_USE int assign_restore(const char *label);

/*
 * A guest's function becomes another of the same model while the guest stands still (move.c). assign_can_move(): -ESRCH, -EPERM (quarantine), -EAGAIN
 * (in a reset), -ENODEV (not alike), -ENOMEM; `to` may be NULL. assign_quiesce(): silent, its interrupts held, out of the guest's memory and drained; 1 if
 * transactions were pending after 1 ms nevertheless, or why the IOMMU did not confirm. assign_switch(): opens `to`, which may be `from` again, and shows it
 * as the function; each interrupt is raised once; on failure nothing has changed. All take the vpci lock.
 */
MUST_USE int assign_can_move(struct vm *vm, const struct pci_dev *from, struct pci_dev *to);
MUST_USE int assign_quiesce(struct vm *vm, struct pci_dev *d);
MUST_USE int assign_switch(struct vm *vm, const struct pci_dev *from, struct pci_dev *to, const char *label);

/* Ends resets that guests and quarantine have begun. For a timer. */
void assign_poll(void);
