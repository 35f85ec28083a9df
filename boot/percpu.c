/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/percpu.h"
#include "kernel/lib/types.h"
#include "kernel/mm/layout.h"

#define GDT_CODE64   0x00af9b000000ffff
#define GDT_DATA     0x00cf93000000ffff
#define GDT_TSS      GENMASK(47, 40) /* type and P */
#define GDT_TSS_TYPE 0x89            /* present, available 64-bit TSS */

_Static_assert(offsetof(struct percpu, stack) == 10 && offsetof(struct percpu, gdt) == 24, "trampoline.S");
_Static_assert(sizeof(struct percpu) <= PAGE_SIZE, "one page");

void percpu_fill(struct percpu *p, uint64_t at, unsigned cpu)
{
    uint64_t tss = at + offsetof(struct percpu, tss), limit = sizeof(p->tss) - 1;

    *p = (struct percpu){
        .limit = sizeof(p->gdt) - 1,
        .base = at + offsetof(struct percpu, gdt),
        .stack = stack_top(cpu, STACK_MAIN),
        .gdt = {0, GDT_CODE64, GDT_DATA,
                limit | (tss & GENMASK(23, 0)) << 16 | FIELD_PREP(GDT_TSS, GDT_TSS_TYPE) |
                    FIELD_GET(GENMASK(31, 24), tss) << 56,
                tss >> 32},
        .tss = {.iomap = sizeof(p->tss)},
    };
    for (unsigned s = STACK_NMI; s < STACKS_PER_CPU; s++)
        p->tss.ist[s - 1] = stack_top(cpu, s);
}
