/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a bare test guest has: main(), one CPU in long mode with the first 4 GiB mapped one to one, COM1,
 * exceptions that can be survived, PCI configuration by ports 0xcf8/0xcfc. A guest asks one question and
 * prints the answer in lines that begin with its name.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct frame {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
    uint64_t vector, error, rip, cs, rflags, rsp, ss;
};

struct cpuid_regs {
    uint32_t eax, ebx, ecx, edx;
};

/* Each guest has one; when it returns, the guest powers itself off. With `wait=1` on the command line it starts at a key on COM1. */
int main(const char *cmdline);

/* start.S and lib.c between themselves. */
_Noreturn void guest_start(const void *start_info);
void vector_entry(struct frame *f);

/* The first module that it was started with, if it has that size at least, or NULL. */
const void *start_module(size_t size);

/* Formats: %d %u %x %lx %lu %s %c, with 0 and a width. */
__attribute__((format(printf, 1, 2))) void print(const char *fmt, ...);
/* What comes on COM1 up to the end of a line; the part that has no room is dropped. */
void read_line(char *line, size_t size);
_Noreturn void power_off(void);
_Noreturn void reset(void);

/* The value of KEY=VALUE on the command line, or a default. */
uint64_t option(const char *cmdline, const char *key, uint64_t otherwise);
const char *option_text(const char *cmdline, const char *key);
uint64_t number(const char *text, const char **end);

/*
 * try() runs fn(arg) and returns -1 if it came to its end, else the vector of the exception that ended it.
 * Not nestable.
 */
int try(void (*fn)(void *arg), void *arg);

/* Interrupt handlers: called with interrupts off. Vectors from 32 on. */
void on_vector(unsigned vector, void (*fn)(void));

/* A timer tick every 10 ms, where there is an x2APIC (otherwise false); idle() sleeps until the next one. */
bool ticks_on(void);
void idle(void);

/* Milliseconds by the TSC, which a guest's restart does not set back. */
uint64_t time_ms(void);
void pause_ms(uint64_t ms);

/* The next of a sequence of pseudo-random numbers (xorshift, G. Marsaglia 2003); *state is the seed, not 0. */
uint64_t random64(uint64_t *state);

bool memory_equal(const void *a, const void *b, size_t n);
void *memset(void *d, int c, size_t n);
void *memcpy(void *d, const void *s, size_t n);

uint32_t pci_read(unsigned bdf, unsigned off, unsigned size);
void pci_write(unsigned bdf, unsigned off, unsigned size, uint32_t v);

#define HYPERCALL_UNKNOWN (-38) /* -ENOSYS */
/* VMMCALL; HYPERCALL_UNKNOWN where the instruction is not there either. */
int64_t hypercall(uint64_t nr, uint64_t a, uint64_t b, uint64_t c);

static inline struct cpuid_regs cpuid(uint32_t leaf, uint32_t sub)
{
    struct cpuid_regs r;
    __asm__ volatile("cpuid"
                     : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
                     : "a"(leaf), "c"(sub)
                     : "memory");
    return r;
}

static inline uint64_t rdtsc(void)
{
    uint32_t lo, hi;
    __asm__ volatile("lfence; rdtsc; lfence" : "=a"(lo), "=d"(hi)::"memory");
    return (uint64_t)hi << 32 | lo;
}

static inline uint64_t rdmsr(uint32_t msr)
{
    uint32_t lo, hi;
    __asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr) : "memory");
    return (uint64_t)hi << 32 | lo;
}

static inline void wrmsr(uint32_t msr, uint64_t v)
{
    __asm__ volatile("wrmsr" ::"c"(msr), "a"((uint32_t)v), "d"((uint32_t)(v >> 32)) : "memory");
}

#define PORT(letter, type)                                                                                   \
    static inline type in##letter(uint16_t port)                                                             \
    {                                                                                                        \
        type v;                                                                                              \
        __asm__ volatile("in" #letter " %1, %0" : "=a"(v) : "Nd"(port) : "memory");                          \
        return v;                                                                                            \
    }                                                                                                        \
    static inline void out##letter(uint16_t port, type v)                                                    \
    {                                                                                                        \
        __asm__ volatile("out" #letter " %0, %1" ::"a"(v), "Nd"(port) : "memory");                           \
    }
PORT(b, uint8_t)
PORT(w, uint16_t)
PORT(l, uint32_t)

static inline uint32_t mmio_read(uint64_t address)
{
    return *(volatile uint32_t *)address;
}

static inline void mmio_write(uint64_t address, uint32_t v)
{
    *(volatile uint32_t *)address = v;
}
