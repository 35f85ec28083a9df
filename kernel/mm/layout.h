/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The hypervisor's virtual addresses. Nothing is mapped both writable and executable.
 *
 *   0xffff8000_00000000  direct map of all RAM the firmware listed, RW NX, 1 GiB / 2 MiB / 4 KiB leaves
 *   0xffffc000_00000000  device registers, RW NX UC, given out by mmio_map() and never taken back
 *   0xffffd000_00000000  one stack set per CPU (main, NMI, #DF, #MC), a guard page below each
 *   0xffffffff_80000000  hv.elf: .text RX, .rodata R, .data/.bss RW NX
 *
 * boot/ builds all of it but for registers. The first megabyte's trampoline page is
 * identity-mapped only until the other processors have started.
 */
#pragma once

#include <stdint.h>

#define DIRECT_MAP_BASE 0xffff800000000000
#define MMIO_MAP_BASE   0xffffc00000000000
#define MMIO_MAP_END    0xffffc10000000000
#define STACKS_BASE     0xffffd00000000000
#define IMAGE_BASE      0xffffffff80000000

#define STACK_PAGES 4
#define STACK_BYTES ((uint64_t)STACK_PAGES << 12)

enum stack { STACK_MAIN, STACK_NMI, STACK_DF, STACK_MC, STACKS_PER_CPU };

/* The end of a CPU's stack, mapped or not; below its STACK_PAGES pages is the guard page. */
static inline uint64_t stack_top(unsigned cpu, enum stack which)
{
    return STACKS_BASE + ((uint64_t)cpu * STACKS_PER_CPU + which + 1) * (STACK_BYTES + 4096);
}
