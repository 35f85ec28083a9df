/* SPDX-License-Identifier: BSD-2-Clause */
/* kernel/cpu/cpu.h with four CPUs of which the test is one; set fake_this_cpu to become another. */
#include "kernel/cpu/cpu.h"

volatile uint32_t *apic_page; /* kernel/cpu/setup.h; NULL: x2APIC mode */

static struct cpu fake_cpus[CPU_MAX];
static unsigned fake_cpu_count __attribute__((unused)) = 4;
static unsigned fake_kicks[CPU_MAX] __attribute__((unused));
static unsigned fake_idles __attribute__((unused));
static void (*fake_on_kick)(unsigned id) __attribute__((unused));
static void (*fake_on_interrupts)(void) __attribute__((unused)); /* in cpu_idle() and cpu_take_interrupts() */

static inline void fake_this_cpu(unsigned id)
{
    fake_gs = &fake_cpus[id];
}

__attribute__((constructor)) static void fake_cpus_init(void)
{
    for (unsigned i = 0; i < CPU_MAX; i++)
        fake_cpus[i] = (struct cpu){.self = &fake_cpus[i], .id = i, .apic_id = i};
    fake_this_cpu(0);
}

unsigned cpu_count(void)
{
    return fake_cpu_count;
}

struct cpu *cpu_get(unsigned id)
{
    return &fake_cpus[id];
}

void cpu_kick(unsigned id)
{
    fake_kicks[id]++;
    if (fake_on_kick)
        fake_on_kick(id);
}

bool cpu_set_apart(unsigned id)
{
    fake_cpus[id].apart = true;
    return true;
}

void cpu_lend_apic(void (*collect)(void *arg, uint8_t vector), void *arg)
{
    cpu_this()->collect = collect;
    cpu_this()->collect_arg = arg;
}

void cpu_take_apic(void)
{
    cpu_this()->collect = NULL;
}

bool cpu_nudged(void)
{
    bool was = cpu_this()->nudged;

    cpu_this()->nudged = false;
    return was;
}

void cpu_idle(void)
{
    fake_idles++;
    if (fake_on_interrupts)
        fake_on_interrupts();
}

void cpu_take_interrupts(void)
{
    if (fake_on_interrupts)
        fake_on_interrupts();
}
