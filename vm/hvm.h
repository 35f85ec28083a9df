/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The seam between neutral code and the CPU vendor's back end: hvm_init() chooses one, and neutral code calls
 * hvm->...().
 */
#pragma once

#include "boot/bootinfo.h"
#include "kernel/lib/types.h"
#include "kernel/mm/radix.h"
#include "vm/exit.h"

struct cpustate;
struct vcpu;
struct vm;

/* Of a local APIC, a bit for each vector as in its registers. */
struct vm_interrupts {
    uint32_t requested[8], in_service[8];
};

/*
 * What a back end does: OP(result, name, parameters), a function <back end>_<name> of each. Those without a word here do what they are called.
 *
 * cpu_on: this CPU, once: switch virtualisation on. Negative errno.
 * p2m_init: an empty nested page table. -ENOMEM.
 * vcpu_create: v->hw; the state is undefined until reset(). -ENOMEM.
 * reset: architectural state after power-up (APM 2 table 14-1): real mode, reset vector; v->gpr, rip and rflags too.
 * load, put: make the vCPU current on this CPU (FPU, VMCS) and the reverse.
 * run: enters the guest with v->gpr/rip/rflags and v->inject, returns at the next exit with *e filled. Interrupts are off on both sides; a physical
 *   interrupt has been handed to its handler when it returns.
 * can_take_intr, can_take_nmi: an external interrupt, an NMI could be injected now (IF, shadow, nothing queued).
 * want_window: asks for VM_EXIT_WINDOW as soon as can_take_intr() becomes true.
 * queue_intr: leaves an interrupt to the CPU, which delivers it as soon as can_take_intr() becomes true; false: now or never, and it is not now, so a
 *   window must be asked for. Takes the place of a window. intr_delivered, after the next exit: takes it back, and says whether it was delivered.
 * delegate: where hvm_cpu.delegates, for a vCPU whose APIC is in x2APIC mode: leaves these interrupts to the CPU, which delivers them by their priority
 *   and REG_CR8, ends them, and takes what the guest sends itself, all without an exit. All are edge interrupts; no window is asked for meanwhile, and
 *   nothing queued. Between exits. recall: what has become of them; the CPU has none any more.
 * flush: drops cached nested translations of the vCPU before its next entry.
 * cpustate: what of the vCPU, which is on no CPU, both back ends switch alike.
 * lend_apic: the vCPU's CPU lends it its local APIC (vm/emul/lapic.h), or no longer: physical interrupts go to the guest, HLT halts the CPU, CR8 and
 *   the registers that boot/permissions.c names are the CPU's own. Only an NMI still ends the guest (VM_EXIT_HOST_INTR). Between exits, own CPU. False: the
 *   back end cannot do it, and nothing has changed.
 */
#define HVM_OPS(OP)                                                                                          \
    OP(MUST_USE int, cpu_on, (void))                                                                         \
    OP(MUST_USE int, p2m_init, (struct radix * t))                                                           \
    OP(MUST_USE int, vcpu_create, (struct vcpu * v))                                                         \
    OP(void, reset, (struct vcpu * v))                                                                       \
    OP(void, load, (struct vcpu * v))                                                                        \
    OP(void, put, (struct vcpu * v))                                                                         \
    OP(void, run, (struct vcpu * v, struct vm_exit * e))                                                     \
    OP(uint64_t, reg, (const struct vcpu *v, enum vm_reg r))                                                 \
    OP(void, set_reg, (struct vcpu * v, enum vm_reg r, uint64_t val))                                        \
    OP(struct vm_segment, segment, (const struct vcpu *v, enum vm_seg s))                                    \
    OP(void, set_segment, (struct vcpu * v, enum vm_seg s, const struct vm_segment *seg))                    \
    OP(bool, can_take_intr, (const struct vcpu *v))                                                          \
    OP(bool, can_take_nmi, (const struct vcpu *v))                                                           \
    OP(void, want_window, (struct vcpu * v, bool on))                                                        \
    OP(bool, queue_intr, (struct vcpu * v, uint8_t vector))                                                  \
    OP(bool, intr_delivered, (struct vcpu * v))                                                              \
    OP(void, delegate, (struct vcpu * v, const struct vm_interrupts *i))                                     \
    OP(void, recall, (struct vcpu * v, struct vm_interrupts * i))                                            \
    OP(void, clear_shadow, (struct vcpu * v))                                                                \
    OP(void, flush, (struct vcpu * v))                                                                       \
    OP(struct cpustate *, cpustate, (struct vcpu * v))                                                       \
    OP(bool, lend_apic, (struct vcpu * v, bool lend))

struct hvm_ops {
    const char *name;
#define HVM_OP(result, op, parameters) result(*op) parameters;
    HVM_OPS(HVM_OP)
#undef HVM_OP
};

/* The back end of this machine, and what its processors have. */
extern const struct hvm_ops *hvm;
extern struct boot_cpu hvm_cpu;

/* Chooses it, as boot/ has found; boot CPU. */
void hvm_init(const struct boot_cpu *cpu);
