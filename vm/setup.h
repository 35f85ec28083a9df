/* SPDX-License-Identifier: BSD-2-Clause */
/* From the configuration to running VMs: enables VFs, builds the I/O domain and the guests, starts each when
 * its NICs answer. */
#pragma once

#include "boot/bootinfo.h"
#include "kernel/lib/types.h"

struct vm;

/*
 * Boot CPU, once, after iommu_init() and hvm_init(), before sched_loop(). A NIC, the I/O domain or a guest
 * that cannot be set up is logged and left out; the others go on. `bi` must stay for ever.
 */
void setup_init(const struct bootinfo *bi);

/*
 * Gives a VM the functions that its configuration names (guests: their VFs, cleanly reset; the I/O domain:
 * every NIC's PF). For a first start and for every restart, after assign_release_all(). Negative errno,
 * logged; then the VM has none of them.
 */
MUST_USE int setup_assign(struct vm *vm);

/* False while a function of the VM is still in the reset that assign_release_all() began. */
MUST_USE bool setup_can_assign(const struct vm *vm);

/* A VM has stopped for good. Powers the machine off when every guest has powered itself off: nobody is left to serve. */
void setup_stopped(void);

/*
 * Hypercall HC_NIC_READY: the PF of NIC `nic` answers mailboxes; starts the guests that waited only for it.
 * -EINVAL: no such NIC.
 */
int setup_nic_ready(struct vm *caller, uint64_t nic);

/* Hypercall HC_VF_STATUS: the VF's driver completed its reset handshake, or the VF was reset. -EINVAL: no
 * such NIC or VF. */
int setup_vf_status(struct vm *caller, uint64_t nic, uint64_t vf, bool ready);
