/* SPDX-License-Identifier: BSD-2-Clause */
/* Stands in for kernel/cpu/x86.h on the host (given with -include): privileged instructions become hooks and variables. */
#define KERNEL_CPU_X86_H

#include "kernel/lib/types.h"

struct cpuid_regs {
    uint32_t eax, ebx, ecx, edx;
};

/* Tests set these; the defaults do nothing. */
static struct cpuid_regs (*fake_cpuid)(uint32_t leaf, uint32_t subleaf) __attribute__((unused));
static uint64_t (*fake_rdmsr)(uint32_t msr) __attribute__((unused));
static void (*fake_wrmsr)(uint32_t msr, uint64_t v) __attribute__((unused));
static uint32_t (*fake_in)(uint16_t port, unsigned size) __attribute__((unused));
static void (*fake_out)(uint16_t port, unsigned size, uint32_t v) __attribute__((unused));
static uint64_t fake_tsc __attribute__((unused)), fake_cr[5] __attribute__((unused));
static void *fake_gs __attribute__((unused));
static unsigned long fake_clflushes __attribute__((unused));

static inline struct cpuid_regs cpuid(uint32_t leaf, uint32_t subleaf)
{
    return fake_cpuid ? fake_cpuid(leaf, subleaf) : (struct cpuid_regs){0, 0, 0, 0};
}

static inline uint64_t rdmsr(uint32_t msr)
{
    return fake_rdmsr ? fake_rdmsr(msr) : 0;
}

static inline void wrmsr(uint32_t msr, uint64_t v)
{
    if (fake_wrmsr)
        fake_wrmsr(msr, v);
}

static inline uint64_t rdtsc(void)
{
    return fake_tsc;
}

#define FAKE_CR(n)                                                                                           \
    static inline uint64_t read_cr##n(void)                                                                  \
    {                                                                                                        \
        return fake_cr[n];                                                                                   \
    }                                                                                                        \
    static inline void write_cr##n(uint64_t v)                                                               \
    {                                                                                                        \
        fake_cr[n] = v;                                                                                      \
    }
FAKE_CR(0)
FAKE_CR(2)
FAKE_CR(3)
FAKE_CR(4)

#define FAKE_PORT(letter, type)                                                                              \
    static inline type in##letter(uint16_t port)                                                             \
    {                                                                                                        \
        return (type)(fake_in ? fake_in(port, sizeof(type)) : ~0u);                                          \
    }                                                                                                        \
    static inline void out##letter(uint16_t port, type v)                                                    \
    {                                                                                                        \
        if (fake_out)                                                                                        \
            fake_out(port, sizeof(type), v);                                                                 \
    }
FAKE_PORT(b, uint8_t)
FAKE_PORT(w, uint16_t)
FAKE_PORT(l, uint32_t)

static inline void invlpg(uint64_t va)
{
    (void)va;
}

static inline void cpu_cli(void)
{
}

static inline void xsetbv(uint32_t reg, uint64_t v)
{
    (void)reg;
    (void)v;
}

static inline void *read_gs_self(void)
{
    return fake_gs;
}

static inline void clflush(const void *p)
{
    (void)p;
    fake_clflushes++;
}
