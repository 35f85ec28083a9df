/* SPDX-License-Identifier: BSD-2-Clause */
/* Local APIC of a vCPU (Intel SDM 3A chapter 11, APM 2 chapter 16): xAPIC and x2APIC, one-shot, periodic and TSC-deadline timer. */
#pragma once

#include "kernel/lib/types.h"

struct vcpu;
struct vm;

MUST_USE int lapic_create(struct vcpu *v); /* -ENOMEM, -ENOSPC */
void lapic_reset(struct vcpu *v);

/* Highest-priority vector that is pending and not held back by the priority, or -1. Own CPU. */
int lapic_pending(struct vcpu *v);

/* Raises a fixed interrupt in this vCPU's APIC, and wakes or kicks it. Any CPU. level: EOI is reported to the I/O APIC. */
void lapic_raise(struct vcpu *v, uint8_t vector, bool level);

/* Delivers an interrupt message (MSI address and data formats, SDM 3A 11.11) to whom it names in the VM. Any CPU. Bad ones are dropped. */
void lapic_message(struct vm *vm, uint64_t address, uint32_t data);

/* Vector and one vCPU that a fixed, physical or lowest-priority message would reach; false if it reaches none or several. */
bool lapic_route(struct vm *vm, uint64_t address, uint32_t data, struct vcpu **v, uint8_t *vector);

/* x2APIC registers as MSR 0x800-0x8ff, IA32_APIC_BASE and IA32_TSC_DEADLINE. 0, or -EINVAL: #GP. */
MUST_USE int lapic_msr_read(struct vcpu *v, uint32_t msr, uint64_t *val);
MUST_USE int lapic_msr_write(struct vcpu *v, uint32_t msr, uint64_t val);

/*
 * The CPU delivers an interrupt as soon as the guest can take it, and nobody looks until the next exit. lapic_queue() takes the pending one out of the
 * requests before an entry; a second one of the same vector is then a new request. lapic_unqueue() after the exit, before lapic_pv_eoi_sync(): it is
 * in service now, or requested again. Own CPU.
 */
void lapic_queue(struct vcpu *v, uint8_t vector);
void lapic_unqueue(struct vcpu *v, uint8_t vector, bool delivered);

/*
 * Paravirtual EOI (KVM's MSR 0x4b564d04; Linux Documentation/virt/kvm/x86/msr.rst): lapic_queue() may leave the EOI of an edge interrupt to a bit in guest
 * memory, v->pv_eoi_armed then being set. The run loop calls this after an exit while that flag is set, before anything looks at the APIC: an EOI
 * that the guest has signalled is done, otherwise the offer is taken back.
 */
void lapic_pv_eoi_sync(struct vcpu *v);

/*
 * A vCPU that has a CPU to itself (v->own_cpu) gets that CPU's local APIC, as long as what it does there needs no help: its interrupts, their ends and its
 * timer then cost no exit. What devices raise goes straight to its vectors (vm/assign/); what others raise comes through the emulated APIC as ever, which
 * lapic_lend() hands on. Before an entry, own CPU: lends if it can be done now, takes back if it must be, and hands on. lapic_take_back(): nothing if it
 * is neither lent nor delegated; interrupts may be taken, so no lock is held.
 */
void lapic_lend(struct vcpu *v);
void lapic_take_back(struct vcpu *v);

/* Any other vCPU's interrupts are the CPU's from one look at them to the next, where it has virtual-interrupt delivery; the rest stays emulated. Before an
 * entry, own CPU, nothing queued. False, and nothing has changed: not now, or not here. */
bool lapic_delegate(struct vcpu *v);

/* Task priority, also known as CR8 (bits 7:4). Own CPU; setting it sets REG_CR8. */
void lapic_set_tpr(struct vcpu *v, uint8_t tpr);

/* v->tsc_offset changed: the armed TSC deadline moves with it. Own CPU. */
void lapic_tsc_changed(struct vcpu *v);

/* KVM's PV EOI MSR. 0, or -EINVAL. */
MUST_USE int lapic_pv_eoi_write(struct vcpu *v, uint32_t msr, uint64_t val);

/* True if the APIC accepts interrupts at all (software-enabled). */
bool lapic_enabled(const struct vcpu *v);
