/* SPDX-License-Identifier: BSD-2-Clause */
/* The vectors of kernel/cpu/cpu.h: vectors from one table; fake_irq_raise() calls a handler. */
#include "kernel/cpu/cpu.h"

static struct {
    irq_handler_t *handler;
    void *arg;
} fake_irqs[64][256];
static long fake_irqs_out __attribute__((unused)); /* vectors not given back */

int irq_alloc(unsigned cpu, irq_handler_t *handler, void *arg)
{
    for (int v = 0x20; v < 0xe0; v++) {
        if (!fake_irqs[cpu][v].handler) {
            fake_irqs[cpu][v].handler = handler;
            fake_irqs[cpu][v].arg = arg;
            fake_irqs_out++;
            return v;
        }
    }
    return -ENOSPC;
}

void irq_free(unsigned cpu, unsigned vector)
{
    fake_irqs_out -= fake_irqs[cpu][vector].handler != 0;
    fake_irqs[cpu][vector].handler = 0;
}

/* False if nobody has this vector. */
static inline bool fake_irq_raise(unsigned cpu, unsigned vector)
{
    if (!fake_irqs[cpu][vector].handler)
        return false;
    fake_irqs[cpu][vector].handler(fake_irqs[cpu][vector].arg);
    return true;
}
