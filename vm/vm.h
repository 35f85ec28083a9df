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

#define VM_VCPUS_MAX BOOT_VCPUS_MAX
#define VM_NAME_MAX  BOOT_NAME_MAX

struct vcpu;
struct ioapic;
struct uart;
struct vpci;

enum vm_state {
    VM_STOPPED, /* no vCPU runs; nothing of it is scheduled */
    VM_RUNNING,
    VM_DYING,      /* asked to stop, until all its vCPUs have left their CPUs and its devices are back */
    VM_RESTARTING, /* vCPU 0 makes it anew: vm_restart() */
};

/* How a VM stops: for good, to start again, or by a fault of its own. */
enum vm_end { VM_POWER_OFF, VM_POWER_RESET, VM_CRASH };

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
    char name[VM_NAME_MAX];
    const struct boot_guest *cfg; /* what it was built from; the I/O domain has a made-up one */
    bool privileged;              /* the I/O domain */
    enum vm_state state;
    struct spinlock lock;      /* state, running, stop reason; taken before a run queue's */
    struct spinlock leaf_lock; /* io[], nio[], complaints; nothing is taken inside it */
    struct p2m p2m;
    struct iommu_domain *iommu; /* its devices' address space, or NULL if it has none */
    unsigned nvcpus;
    struct vcpu *vcpu[VM_VCPUS_MAX];
    struct io_region io[IO_SPACES][VM_IO_REGIONS];
    unsigned nio[IO_SPACES];
    struct ioapic *ioapic;
    struct uart *uart;
    struct vpci *vpci;
    uint8_t rtc_index;             /* of the cell that port 0x71 reads */
    struct ratelimit complaints;   /* log lines that this guest can cause */
    struct ratelimit news;         /* those about its resets */
    unsigned running;              /* vCPUs that are not VCPU_OFF */
    enum vm_end end;               /* of its last stop */
    uint64_t crash_ns[VM_CRASHES]; /* when it crashed last, a ring */
    unsigned ncrashes;
    uint64_t zeroed, loaded; /* while VM_RESTARTING: bytes of RAM, and of the image, that are done */
    char stop_reason[96];
    struct vm *next;
};

/* All VMs, in creation order. They are never freed while the list can be walked. */
struct vm *vm_first(void);

/*
 * Builds a VM as its configuration says: memory, platform devices, vCPUs, image loaded, nothing running. NULL
 * on failure, logged with the reason; nothing is left behind. The devices that it owns are assigned by the
 * caller (vm/assign/) before vm_start(). One caller at a time.
 */
MUST_USE struct vm *vm_create(const struct boot_guest *cfg, bool privileged);

/* Puts vCPU 0 into the run queues. -EBUSY if it runs already. */
MUST_USE int vm_start(struct vm *vm);

/*
 * Asks the VM to stop and says why in the log (with the registers of `culprit` if there is one). Safe from
 * any CPU, and from a vCPU of the VM itself, which leaves the guest at its next exit check. What follows once
 * all its vCPUs are off the CPUs is decided by `end`; after a crash, by the guest's on_crash policy.
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
 * VM_STOPPED, its devices are taken back, and its restart begins if its policy says so: the vCPU may run again
 * when it returns.
 */
void vm_vcpu_left(struct vcpu *v);

/*
 * For vcpu_run() of vCPU 0 while the VM is VM_RESTARTING: goes on with the restart until it is done or another
 * vCPU wants the CPU. False: not done, or it failed and the VM is VM_STOPPED.
 */
MUST_USE bool vm_restart(struct vcpu *v);

/* VCPU_OFF -> VCPU_READY, if the VM runs. Any CPU. */
void vm_vcpu_enter(struct vcpu *v);

/* Makes every vCPU that is in the guest leave it for a moment, so that it sees a changed map. Waits for none. */
void vm_interrupt(struct vm *vm);

/* Dispatches an access by absolute address in a->addr. False if no region has it (data is then all ones). */
bool vm_io(struct vcpu *v, enum io_space space, struct io_access *a);

/* Logs `[name] text` within the guest's budget of lines. */
void vm_complain(struct vm *vm, const char *fmt, ...) PRINTF(2, 3);
