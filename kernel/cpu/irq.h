/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interrupt vectors of the hypervisor. A (cpu, vector) pair has one handler, called with interrupts off and
 * no lock held, after which the kernel signals EOI. Fixed vectors are in 0xe0..0xff; the rest is given out
 * for devices.
 */
#pragma once

#include "kernel/lib/types.h"

#define VECTOR_TIMER    0xe0
#define VECTOR_KICK     0xe1
#define VECTOR_SPURIOUS 0xff

typedef void irq_handler_t(void *arg);

/*
 * A free device vector on `cpu` with its handler. Returns the vector (0x20..0xdf) or -ENOSPC. Own lock, any
 * CPU.
 */
MUST_USE int irq_alloc(unsigned cpu, irq_handler_t *handler, void *arg);

/*
 * Gives a vector back. The caller has stopped the source first (interrupt-remapping entry cleared and its
 * completion awaited); an interrupt that arrives later is counted and dropped.
 * When this returns, the handler is not running on another CPU: the caller holds no lock that the handler
 * takes.
 */
void irq_free(unsigned cpu, unsigned vector);
