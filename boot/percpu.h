/* SPDX-License-Identifier: BSD-2-Clause */
/* What a processor of the hypervisor's has for itself beside its stacks: one page of tables that hardware points at. Knows no EFI type. */
#pragma once

#include <stdint.h>

/* Task state, SDM 3A 7.7: only the interrupt stacks are used. */
struct percpu_tss {
    uint32_t reserved0;
    uint64_t rsp[3];
    uint64_t reserved1;
    uint64_t ist[7];
    uint64_t reserved2;
    uint16_t reserved3, iomap;
} __attribute__((packed));
_Static_assert(sizeof(struct percpu_tss) == 104, "SDM 3A figure 7-11");

/* The first three are where trampoline.S looks. */
struct percpu {
    uint16_t limit; /* what LGDT loads (SDM 3A figure 2-6) */
    uint64_t base;
    uint64_t stack; /* the end of its main stack */
    uint8_t pad[6];
    uint64_t gdt[5]; /* null, code, data, TSS in two */
    struct percpu_tss tss;
} __attribute__((packed));

/* Fills the page of one processor; `at` is the page's address as the hypervisor sees it. */
void percpu_fill(struct percpu *p, uint64_t at, unsigned cpu);
