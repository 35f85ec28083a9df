/* SPDX-License-Identifier: BSD-2-Clause */
/* The guest's code: what lies at CS:RIP, through its page tables. */
#pragma once

#include "kernel/lib/types.h"

struct vcpu;

/*
 * Bytes of the instruction at CS:RIP: at least one, at most 15, as far as they can be read; 0 if none. Remembers the page of the last fetch.
 * Page tables (none, 32-bit, PAE, 4 level; APM 2 chapter 5) are read from guest RAM only; rights and reserved bits have been the CPU's business.
 */
unsigned guest_fetch(struct vcpu *v, uint8_t buf[15]);

/* Width of the code that runs: 16, 32 or 64; what insn_decode() wants. */
unsigned guest_bits(const struct vcpu *v);
