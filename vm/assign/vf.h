/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtual functions of all NICs: whose each is, and whether it is clean. A VF is given to a stopped guest,
 * which has it assigned at every start until it is taken from it. From the end of one run to the beginning of
 * the next it is nobody's: in reset, then scrubbed by the PF's driver, which says for which reset it did so.
 */
#pragma once

#include "kernel/pci/pci.h"
#include "vm/vm.h"

struct vf {
    char label[BOOT_NAME_MAX + 4]; /* "lan0/2" */
    struct pci_dev *dev;
    const uint8_t *mac; /* of the configuration, zero or NULL: none */
    struct vm *owner;   /* the guest that it is given to, or NULL; from there only vf_claim() leads on */
    enum boot_on_fault on_fault;
    bool used;      /* by its owner, which runs */
    uint64_t clean; /* number of the reset after which it was found clean; 0: of none */
    uint64_t up_ns; /* when the PF's driver began to answer; 0: it does not */
    struct vf *next;
};

/* Enters the VFs of a PF that has some, once: an array of them, or NULL without memory. */
MUST_USE struct vf *vf_add(const struct pci_dev *pf, const char *nic);

/* In the order of NICs and numbers; follow ->next. */
struct vf *vf_first(void);
struct vf *vf_find(const char *label);

/* Whether the PF's driver found it clean after its last reset. */
bool vf_is_clean(const struct vf *f);

/* Makes a VF that is nobody's this guest's. False: it is somebody's. Any CPU. */
MUST_USE bool vf_claim(struct vf *f, struct vm *vm);

/*
 * Makes it the last of a guest's VFs, or nobody's. Boot CPU only: one caller at a time. -EBUSY: the guest, or
 * for vf_take() its owner, is not stopped; -EEXIST: it is somebody's already; -ENOSPC: the guest has
 * BOOT_GUEST_VFS.
 */
MUST_USE int vf_give(struct vf *f, struct vm *vm);
MUST_USE int vf_take(struct vf *f);

/*
 * For a VM that starts. vf_check_all(): 0 if all its VFs can be had; -EAGAIN: not yet, ask again in some ms; other
 * errors are logged. A VF that is not reported clean within 5 s after its reset is an error, and is reset again at the
 * next attempt. vf_assign_all(), after that: negative errno, logged; some may be assigned then.
 */
MUST_USE int vf_check_all(struct vm *vm);
MUST_USE int vf_assign_all(struct vm *vm);

/* The VF of a guest that runs is `to` from now on, which is claimed for it already; `from` remains claimed until the caller has reset it. */
void vf_move(struct vf *from, struct vf *to);

/* Before the functions of a VM are taken back: whatever it did to its VFs has to be scrubbed from here on. */
void vf_end_use(struct vm *vm);

/*
 * For the PF's driver, which saw a reset. vf_reset_number(): of the reset that it scrubs after; 0: the VF is used, and
 * the reset was its guest's own. vf_set_clean(): the VF was found clean; -EINVAL: not since that reset, which
 * was not the last one. Any CPU.
 */
uint64_t vf_reset_number(const struct vf *f);
MUST_USE int vf_set_clean(struct vf *f, uint64_t number);
