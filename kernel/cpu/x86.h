/* SPDX-License-Identifier: BSD-2-Clause */
/* Instructions that C has no word for. Names are the mnemonics. */
#ifndef KERNEL_CPU_X86_H
#define KERNEL_CPU_X86_H

#include "kernel/lib/types.h"

struct cpuid_regs {
    uint32_t eax, ebx, ecx, edx;
};

static inline struct cpuid_regs cpuid(uint32_t leaf, uint32_t subleaf)
{
    struct cpuid_regs r;

    __asm__ volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx) : "a"(leaf), "c"(subleaf));
    return r;
}

static inline uint64_t rdmsr(uint32_t msr)
{
    uint32_t lo, hi;

    __asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
    return (uint64_t)hi << 32 | lo;
}

static inline void wrmsr(uint32_t msr, uint64_t v)
{
    __asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)v), "d"((uint32_t)(v >> 32)) : "memory");
}

static inline uint64_t rdtsc(void)
{
    uint32_t lo, hi;

    __asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
    return (uint64_t)hi << 32 | lo;
}

#define X86_CR(n)                                                                                            \
    static inline uint64_t read_cr##n(void)                                                                  \
    {                                                                                                        \
        uint64_t v;                                                                                          \
        __asm__ volatile("mov %%cr" #n ", %0" : "=r"(v));                                                    \
        return v;                                                                                            \
    }                                                                                                        \
    static inline void write_cr##n(uint64_t v)                                                               \
    {                                                                                                        \
        __asm__ volatile("mov %0, %%cr" #n : : "r"(v) : "memory");                                           \
    }
X86_CR(0)
X86_CR(2)
X86_CR(3)
X86_CR(4)
#undef X86_CR

/* inb(), outb(), inw(), outw(), inl(), outl() */
#define X86_PORT(letter, type)                                                                               \
    static inline type in##letter(uint16_t port)                                                             \
    {                                                                                                        \
        type v;                                                                                              \
        __asm__ volatile("in" #letter " %1, %0" : "=a"(v) : "Nd"(port));                                     \
        return v;                                                                                            \
    }                                                                                                        \
    static inline void out##letter(uint16_t port, type v)                                                    \
    {                                                                                                        \
        __asm__ volatile("out" #letter " %0, %1" : : "a"(v), "Nd"(port));                                    \
    }
X86_PORT(b, uint8_t)
X86_PORT(w, uint16_t)
X86_PORT(l, uint32_t)
#undef X86_PORT

static inline void invlpg(uint64_t va)
{
    __asm__ volatile("invlpg (%0)" : : "r"(va) : "memory");
}

static inline void clflush(const void *p)
{
    __asm__ volatile("clflush (%0)" : : "r"(p) : "memory");
}

/* The first word at GS: where a CPU keeps the address of its own struct. */
static inline void *read_gs_self(void)
{
    void *self;

    __asm__("mov %%gs:0, %0" : "=r"(self));
    return self;
}

static inline void xsetbv(uint32_t reg, uint64_t v)
{
    __asm__ volatile("xsetbv" : : "c"(reg), "a"((uint32_t)v), "d"((uint32_t)(v >> 32)));
}

#endif
