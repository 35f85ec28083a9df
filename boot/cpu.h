/* SPDX-License-Identifier: BSD-2-Clause */
/* The processor that this runs on; all of a machine are taken to be alike. */
#pragma once

#include "boot/check.h"

/* Fills in what `f` says of the processor, f->machine.processor included: what the hypervisor's back ends switch on, what moves with a vCPU, and
 * what guests see and may set. */
void cpu_look(struct boot_facts *f);

/* Its local APIC id: 32 bits of it from CPUID leaf 0Bh where there is one, otherwise 8 (SDM 2A CPUID). */
uint32_t cpu_apic_id(void);

/* Fills in what a guest sees of CPUID; its vCPUs are known. After cpu_look(). */
void cpu_show(struct boot_guest *g);
