/* SPDX-License-Identifier: BSD-2-Clause */
/* From the configuration to running VMs: enables VFs, builds the I/O domain and the guests, starts each when
 * its NICs answer. */
#pragma once

#include "boot/bootinfo.h"
#include "kernel/lib/types.h"

struct vcpu;
struct vf;
struct vm;

/*
 * Boot CPU, once, after iommu_init() and hvm_init(), before sched_loop(). A NIC, the I/O domain or a guest
 * that cannot be set up is logged and left out; the others go on. `bi` must stay for ever.
 */
void setup_init(const struct bootinfo *bi);

/*
 * Gives a VM that starts its functions (guests: the VFs that it was given, once they are clean; the I/O domain: every
 * NIC's PF), and the address space that they need. -EAGAIN: not yet, ask again in some ms. Other negative errno,
 * logged. Unless it is 0 the VM has none of them.
 */
MUST_USE int setup_assign(struct vm *vm);

/* Takes all functions of a VM back, as assign_release_all() says. Without the I/O domain no VF's NIC is up. */
void setup_release(struct vm *vm);

/* A VM has stopped for good. Powers the machine off when every guest has powered itself off: nobody is left to serve. */
void setup_stopped(void);

/* A VF by the I/O domain's numbers, or NULL; and the numbers of one. */
struct vf *setup_vf(uint64_t nic, uint64_t vf);
void setup_vf_place(const struct vf *f, uint32_t *nic, uint32_t *vf);

/* Address and VLAN of the configuration go with the guest: the next I/O domain finds them at its new VF. */
void setup_vf_moved(const struct vf *from, const struct vf *to);

/*
 * Hypercalls HC_NIC_READY, HC_VF_STATUS and HC_VF_CLEAN, with their arguments as they come. -EINVAL: no such NIC or VF; or the VF was reset again since,
 * or is used.
 */
int64_t setup_nic_ready(struct vcpu *v, const uint64_t arg[3]);
int64_t setup_vf_status(struct vcpu *v, const uint64_t arg[3]);
int64_t setup_vf_clean(struct vcpu *v, const uint64_t arg[3]);

/* HC_ALIVE: the I/O domain is stopped, as for a crash of it, if it does not call again in time. -EINVAL: not 1 to 2^32 - 1. */
int64_t setup_alive(struct vcpu *v, const uint64_t arg[3]);
