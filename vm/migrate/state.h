/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Records of a guest that stands still: all that makes its virtual machine but its memory. Little-endian, each with a type, a version and a length, one after
 * the other in the order of enum record_type, each of these once for what it is of: the machine, or a vCPU. A layout changes with its version.
 * vm/migrate/state.c knows them all.
 */
#pragma once

#include "boot/bootinfo.h"
#include "kernel/lib/types.h"
#include "vm/abi/migrate.h"

struct vm;

enum record_type {
    RECORD_MACHINE = 1,
    RECORD_VCPU,
    RECORD_XSTATE, /* an XSAVE area in the standard form (SDM 1 13.4) */
    RECORD_LAPIC,
    RECORD_IOAPIC,
    RECORD_UART,
    RECORD_FUNCTION, /* virtual PCI and MSI-X */
    RECORD_VF,       /* the NIC driver's; nothing of it is looked at here */
    RECORD_TYPES
};

#define RECORD_VERSION 1

struct record {
    uint32_t type, version;
    uint32_t index, length; /* of what follows, padded to 8 bytes */
};

struct state_machine {
    uint64_t clock; /* its time, in ticks of the TSC: stands still while it is saved */
    uint32_t tsc_khz, vcpus, rtc_index, pad;
};

struct state_vcpu {
    struct boot_vcpu cpu; /* CPL, CR8 (the local APIC has it) and the TSC's offset: 0 */
    uint64_t dr[4], tsc_aux, xcr0;
    uint64_t tsc;                                               /* is ahead of the machine's clock by this */
    uint64_t pvclock, wall_clock, pv_eoi;                       /* MSRs */
    uint8_t event_valid, event_error, event_type, event_vector; /* that is to be delivered: struct vm_event */
    uint32_t error;
    uint32_t halted, wait_sipi, nmi_pending, pad;
};

struct state_function {
    uint8_t cfg[BOOT_SHOWN_BYTES];
    uint32_t address, pad; /* 0xcf8 */
    uint32_t entry[][4];   /* of the MSI-X table */
};

struct state_vf {
    uint32_t length, pad;
    uint8_t record[MOVE_RECORD_MAX];
};

_Static_assert(sizeof(struct state_vcpu) == 8 * (GPRS + 2 + VM_REGS + 2 * VM_SEGS + 13), "no holes");

/*
 * One type of record. `bytes` is 0 where it depends on the machine. The record is what stands `at` some place once save() has been called, and load() is when it stands
 * there again, in a VM as after its reset; each may be NULL. check(): NULL, or the field that holds what it cannot.
 */
struct state_part {
    const char *name;
    uint32_t bytes;
    bool per_vcpu;
    void *(*at)(struct vm *vm, unsigned i);
    void (*save)(struct vm *vm, unsigned i, void *data);
    const char *(*check)(const struct vm *vm, unsigned i, const void *data);
    void (*load)(struct vm *vm, unsigned i, const void *data);
};

extern const struct state_part lapic_part, ioapic_part, uart_part, function_part;
uint32_t function_state_bytes(const struct vm *vm);

/*
 * state_save(): makes room for its records, vm->saved, with what the NIC's driver says of its VF. -ENOMEM; -ENODEV: it has whole functions, or not just one VF.
 * state_take(): fills them if there is room that is not filled yet. Nothing of the VM is on a CPU any more, its functions are its own still.
 * state_load(): into a VM as after its reset, which has its functions. -EINVAL, logged with record and field: nothing has changed.
 * state_drop(): it has been resumed, or is not to be. state_vf(): what was said of the VF.
 */
MUST_USE int state_save(struct vm *vm, const void *record, uint32_t length);
void state_take(struct vm *vm);
MUST_USE int state_load(struct vm *vm);
void state_drop(struct vm *vm);
const struct state_vf *state_vf(const struct vm *vm);
