/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of this back end share. */
#pragma once

#include "kernel/lib/types.h"
#include "vm/cpustate.h"
#include "vm/hvm.h"
#include "vm/vcpu.h"
#include "vm/vm.h"
#include "vm/vmx/regs.h"

struct vcpu_hw {
    hpa_t vmcs;
    hpa_t virtual_apic; /* its task priority; requests and what is in service while they are delegated */
    uint64_t eptp;
    bool launched; /* since its VMCS was last cleared */
    bool flush;    /* drop nested translations before the next entry */
    bool queued;   /* `vector` goes in at the next entry */
    uint8_t vector;
    uint32_t proc; /* primary controls as they are, window bits included */
    unsigned
        cpu; /* whose descriptors the host state has, and where translations may be cached; CPU_MAX: none */
    struct cpustate state;
    uint64_t cr2, dr6, msr[5]; /* while the vCPU is on no CPU; vmx_switched_msrs */
};

extern const struct hvm_ops vmx_ops;

/* vm/hvm.h says what each does. */
#define VMX_OP(result, op, parameters) result vmx_##op parameters;
HVM_OPS(VMX_OP)
#undef VMX_OP

/* MSRs that a guest has (boot/permissions.c) and the VMCS has not; the host uses none of them. */
extern const uint32_t vmx_switched_msrs[5];

/* vmcs.c */
/* Makes the vCPU's VMCS current until it is cleared: then it is on no CPU. */
void vmcs_load(const struct vcpu *v);
void vmcs_clear(const struct vcpu *v);
/* Fields of the current one, both included. */
void vmcs_zero(uint64_t first, uint64_t last);
/* Makes it current to the end of the block, for a vCPU that is held here or nowhere. */
#define vmcs_guard(v)                                                                                        \
    __attribute__((cleanup(vmcs_guard_end))) UNUSED const struct vcpu *vmcs_guarded = vmcs_guard_begin(v)
const struct vcpu *vmcs_guard_begin(const struct vcpu *v);
void vmcs_guard_end(const struct vcpu **v);

/* exit.c */
void vmx_decode_exit(struct vcpu *v, struct vm_exit *e);
/* What VMLAUNCH or VMRESUME said when it did not enter at all. */
void vmx_decode_refusal(struct vm_exit *e);

/* inject.c */
void vmx_write_event(struct vcpu *v);

/* entry.S: into the guest and back. All general registers but RSP go through `gpr`. False: the CPU did not enter. */
bool vmx_enter(uint64_t gpr[GPRS], bool launched);
/* Where an exit comes back. */
extern const char vmx_exit[];
