/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory as the guest's own instructions see it: linear addresses through its page tables. */
#ifndef VM_GUESTMEM_H
#define VM_GUESTMEM_H

#include "kernel/lib/types.h"

struct vcpu;

#define ACCESS_WRITE 0x1u
#define ACCESS_FETCH 0x2u
#define ACCESS_USER  0x4u

/*
 * Walks the guest's page tables (none, 32-bit, PAE, 4 level; APM 2 chapter 5) as the CPU would, but for A/D bits and reserved ones. 0 and *out, or -EFAULT and the #PF
 * error code in *error (which may be NULL). Page tables are read from guest RAM only.
 */
MUST_USE int guest_translate(struct vcpu *v, gva_t addr, unsigned access, gpa_t *out, uint32_t *error);

/*
 * Copies between `buf` and guest RAM at a linear address, across pages: to the guest with ACCESS_WRITE. -EFAULT, *error as above (0: mapped, but
 * not RAM): pages before the one that failed are copied.
 */
MUST_USE int guest_copy(struct vcpu *v, gva_t addr, void *buf, unsigned size, unsigned access, uint32_t *error);

/* Bytes of the instruction at CS:RIP: at least one, at most 15, as far as they can be read; 0 if none. Remembers the page of the last fetch. */
unsigned guest_fetch(struct vcpu *v, uint8_t buf[15]);

/* Width of the code that runs: 16, 32 or 64; what insn_length() wants. */
unsigned guest_bits(const struct vcpu *v);

/* Forgets what guest_fetch() remembers of this vCPU, or of one that had its address before. It is not running, and has not run with this memory. */
void guest_forget(const struct vcpu *v);

#endif
