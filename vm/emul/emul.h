/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The other trapped things, one per file. Each *_create() registers its regions with the VM; errors -ENOMEM,
 * -ENOSPC: the VM is given up then.
 */
#pragma once

#include "kernel/lib/types.h"
#include "vm/exit.h"

struct vcpu;
struct vm;

/* ioapic.c: 82093AA, 24 pins at GPA_IOAPIC. */
MUST_USE int ioapic_create(struct vm *vm);
/* As after power-up, for a VM that restarts; the devices' lines stay as they are. */
void ioapic_reset(struct vm *vm);
void ioapic_set_irq(struct vm *vm, unsigned pin, bool level); /* any CPU */
void ioapic_eoi(struct vm *vm, uint8_t vector);               /* called by the local APIC */

/* uart.c: 16550A at 0x3f8, IRQ 4, connected to the VM's console channel (kernel/console/console.h). */
MUST_USE int uart_create(struct vm *vm);

/* rtc.c: MC146818 time and date at 0x70/0x71, no alarms. */
MUST_USE int rtc_create(struct vm *vm);

/* power.c: ACPI sleep control and reset register (hardware-reduced ACPI), port 0xcf9, keyboard controller
 * reset command. */
MUST_USE int power_create(struct vm *vm);

/* cpuid.c: the guest's CPUID (allow-list). Reads RAX, RCX; writes RAX..RDX. */
enum then emul_cpuid(struct vcpu *v, const struct vm_exit *e);

/* msr.c: reads and writes by the allow-list. 0, or -EINVAL: the caller injects #GP. *val is undefined after a write. */
MUST_USE int msr_access(struct vcpu *v, uint32_t msr, bool write, uint64_t *val);
/* Each byte a memory type: UC, WC, WT, WP, WB, UC- (SDM 3A 12.12.2). */
bool pat_is_valid(uint64_t val);

/* pvclock.c: KVM's paravirtual clock (MSRs 0x4b564d00/01; Linux Documentation/virt/kvm/x86/msr.rst). 0, or -EINVAL. */
MUST_USE int pvclock_msr_write(struct vcpu *v, uint32_t msr, uint64_t val);
void pvclock_update(struct vcpu *v); /* after the TSC offset changed, or the vCPU resumed */

/* cr.c: MOV to CR0, CR4, CR8, and LMSW of a register. */
enum then emul_cr(struct vcpu *v, const struct vm_exit *e);
bool xcr0_is_valid(uint64_t val); /* what goes together in XCR0 (SDM 1 13.3) */
enum then emul_xsetbv(struct vcpu *v, const struct vm_exit *e);

/* io.c: IN and OUT. INS and OUTS are refused with #GP. */
enum then emul_io(struct vcpu *v, const struct vm_exit *e);

/*
 * io.c: decodes the instruction at RIP and performs its access to a trapped address. False: not an instruction that the decoder knows, or no
 * region has the address; nothing of it was done then.
 */
MUST_USE bool emul_mmio(struct vcpu *v, const struct vm_exit *e);
