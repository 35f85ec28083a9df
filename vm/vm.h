/* SPDX-License-Identifier: BSD-2-Clause */
/* A virtual machine: memory, vCPUs, trapped regions, devices. */
#pragma once

#include "boot/bootinfo.h"
#include "iommu/iommu.h"
#include "kernel/console/log.h"
#include "kernel/cpu/time.h"
#include "kernel/lib/spinlock.h"
#include "kernel/lib/types.h"
#include "vm/p2m.h"
#include "vm/vcpu.h"

struct vf;
struct ioapic;
struct uart;
struct vpci;

enum vm_state {
    VM_STOPPED, /* no vCPU runs; nothing of it is scheduled */
    VM_SAVED,   /* and what made it is in vm->saved */
    VM_RUNNING,
    VM_DYING,    /* asked to stop, until all its vCPUs have left their CPUs and its devices are back */
    VM_STARTING, /* vCPU 0 makes it: vm_prepare() */
};

/* How a VM stops: by the operator's will (or it was never started), for good, to start again, by a fault of its own, or
 * for its functions' faults. */
enum vm_end { VM_HELD, VM_POWER_OFF, VM_POWER_RESET, VM_CRASH, VM_FAULTS };

/* One access to a trapped port or address. `data` holds what is written, or takes what is read, in its low
 * `size` bytes. */
struct io_access {
    uint64_t addr; /* offset in the region */
    unsigned size; /* 1, 2, 4, 8 */
    bool write;
    uint64_t data;
};

/*
 * Handles one access; every size that the bus can carry may come. Reads it does not implement give all ones
 * (set by the caller before the call), such writes are dropped. Runs on the accessing vCPU's CPU; the device
 * takes its own lock.
 */
typedef void io_fn(struct vcpu *v, void *dev, struct io_access *a);

enum io_space { IO_PORT, IO_MEM, IO_SPACES };

struct io_region {
    uint64_t base, size;
    io_fn *fn;
    void *dev;
};

#define VM_IO_REGIONS 48

#define VM_CRASHES         3 /* so many within VM_CRASH_WINDOW_NS, and the VM is left down */
#define VM_CRASH_WINDOW_NS (60 * NS_PER_S)

struct vm {
    char name[BOOT_NAME_MAX];
    const struct boot_guest *cfg; /* what it was built from; the I/O domain has a made-up one */
    bool privileged;              /* the I/O domain */
    enum vm_state state;
    struct spinlock lock;      /* state, running, stop reason; taken before a run queue's */
    struct spinlock leaf_lock; /* io[], nio[], complaints; nothing is taken inside it */
    struct p2m p2m;
    struct iommu_domain *iommu; /* its devices' address space, or NULL if it never had one */
    struct vf
        *vf[BOOT_GUEST_VFS]; /* that it is given at every start, in this order; changed while it is stopped */
    unsigned nvfs;
    unsigned nvcpus;
    struct vcpu *vcpu[BOOT_VCPUS_MAX];
    struct io_region io[IO_SPACES][VM_IO_REGIONS];
    unsigned nio[IO_SPACES];
    struct ioapic *ioapic;
    struct uart *uart;
    struct vpci *vpci;
    uint8_t rtc_index;             /* of the cell that port 0x71 reads */
    struct ratelimit complaints;   /* log lines that this guest can cause */
    struct ratelimit news;         /* those about its resets */
    unsigned running;              /* vCPUs that are not VCPU_OFF */
    bool frozen;                   /* no vCPU enters the guest; vm_freeze() */
    enum vm_end end;               /* of its last stop */
    uint64_t crash_ns[VM_CRASHES]; /* when it crashed last, a ring */
    unsigned ncrashes;
    uint64_t zeroed, loaded; /* bytes of RAM, and of the image, that are ready for the next start */
    uint8_t *saved;          /* records of it (vm/migrate/state.h), until it has been resumed, or NULL */
    uint64_t saved_bytes;
    struct vf *home; /* the VF that it was saved with, while it is resumed with another; both are claimed */
    uint64_t gap;    /* ticks of the TSC for which it was saved: its clock is behind by this */
    struct timer retry; /* while VM_STARTING: looks again whether its functions can be had */
    char stop_reason[96];
    struct vm *next;
};

/* All VMs, in creation order. They are never freed while the list can be walked. */
struct vm *vm_first(void);

/*
 * Builds a VM as its configuration says: memory, platform devices, vCPUs, nothing running. NULL on failure,
 * logged with the reason; nothing is given back then. It keeps all this for good. At boot, one caller at a time.
 */
MUST_USE struct vm *vm_create(const struct boot_guest *cfg, bool privileged);

/*
 * Starts a stopped VM: its image, its functions (setup_assign()) and then its vCPU 0, all of it by vm_prepare()
 * some time later; what fails then is logged and leaves it stopped. -EBUSY if it is not stopped. Any CPU.
 */
MUST_USE int vm_start(struct vm *vm);

/*
 * Builds a saved VM again, with `to` in the place of its VF unless that is NULL: its functions, its records, and then the NIC's driver restores the VF. What
 * fails leaves it saved. -EBUSY: it is not saved; -EEXIST: `to` is somebody's. vm_forget(): it is stopped from now on, and what was saved is gone. Any CPU.
 */
MUST_USE int vm_resume(struct vm *vm, struct vf *to);
MUST_USE int vm_forget(struct vm *vm);

/*
 * The address space of its functions: its RAM at its own addresses, from before the first is assigned until after the
 * last is back, so that one which does not let go reaches nothing either. vm_iommu_open(): negative errno, then call
 * vm_iommu_close() too.
 */
MUST_USE int vm_iommu_open(struct vm *vm);
void vm_iommu_close(struct vm *vm);

/*
 * Asks the VM to stop and says why in the log (with the registers of `culprit` if there is one). Safe from
 * any CPU, and from a vCPU of the VM itself, which leaves the guest at its next exit check. What follows once
 * all its vCPUs are off the CPUs is decided by `end`; after a crash, by the guest's on_crash policy. No
 * effect on one that is stopped or stopping.
 */
void vm_stop(struct vm *vm, struct vcpu *culprit, enum vm_end end, const char *fmt, ...) PRINTF(4, 5);

/* Registers a trapped range. -ENOSPC, -EEXIST if it overlaps another. Any time: takes vm->leaf_lock. */
MUST_USE int vm_io_register(struct vm *vm, enum io_space space, uint64_t base, uint64_t size, io_fn *fn,
                            void *dev);
void vm_io_unregister(struct vm *vm, enum io_space space, uint64_t base);

/* True if a region has this address. */
bool vm_io_exists(struct vm *vm, enum io_space space, uint64_t addr);

/*
 * For the scheduler: a vCPU has become VCPU_OFF. When it was the last one of a VM that is to stop, the VM is
 * VM_STOPPED, its devices are taken back, and it starts again if its policy says so: the vCPU may run again
 * when it returns.
 */
void vm_vcpu_left(struct vcpu *v);

/*
 * For vcpu_run() of vCPU 0 while the VM is VM_STARTING: goes on with it until it is done (VCPU_RUNNING), another
 * vCPU wants the CPU (VCPU_READY), its functions are not there yet (VCPU_BLOCKED), or it failed (VCPU_OFF).
 */
MUST_USE enum vcpu_state vm_prepare(struct vcpu *v);

/* VCPU_OFF -> VCPU_READY, if the VM runs. Any CPU. */
void vm_vcpu_enter(struct vcpu *v);

/* Makes every vCPU that is in the guest leave it for a moment, so that it sees a changed map. Waits for none. */
void vm_interrupt(struct vm *vm);

/* While it is on, no vCPU enters the guest; interrupts and requests wait. vm_is_off_cpus(): since then, all of them have left it. Any CPU. */
void vm_freeze(struct vm *vm, bool on);
bool vm_is_off_cpus(const struct vm *vm);

/* Dispatches an access by absolute address in a->addr. False if no region has it (data is then all ones). */
bool vm_io(struct vcpu *v, enum io_space space, struct io_access *a);

/* Logs `[name] text` within the guest's budget of lines. */
void vm_complain(struct vm *vm, const char *fmt, ...) PRINTF(2, 3);
