/* SPDX-License-Identifier: BSD-2-Clause */
/* Does a control register take what it must not: bits that no CPU has, combinations that would make VMRUN fail, features that CPUID does not
 * show? (AMD APM 2 3.1, Intel SDM 1 13.3.) All must be #GP. */
#include "tests/guest/attack/attack.h"

#define CR0_PE      1ull
#define CR0_NW      (1ull << 29)
#define CR0_CD      (1ull << 30)
#define CR0_PG      (1ull << 31)
#define CR4_OSFXSR  (1ull << 9)
#define CR4_OSXSAVE (1ull << 18)
#define CR4_HIDDEN                                                                                           \
    (0xffffffffff800000ull | 1u << 12 | 1u << 13 | 1u << 14 | 1u << 17 |                                     \
     1u << 22) /* LA57 VMXE SMXE PCIDE PKE CET ... */
#define ECX_XSAVE (1u << 26)

#define ACCESSOR(n)                                                                                          \
    static uint64_t read_cr##n(void)                                                                         \
    {                                                                                                        \
        uint64_t v;                                                                                          \
        __asm__ volatile("mov %%cr" #n ", %0" : "=r"(v));                                                    \
        return v;                                                                                            \
    }                                                                                                        \
    static void write_cr##n(void *v)                                                                         \
    {                                                                                                        \
        __asm__ volatile("mov %0, %%cr" #n ::"r"(*(uint64_t *)v) : "memory");                                \
    }
ACCESSOR(0)
ACCESSOR(4)

static void write_cr8(void *v)
{
    __asm__ volatile("mov %0, %%cr8" ::"r"(*(uint64_t *)v) : "memory");
}

struct xcr {
    uint32_t number;
    uint64_t v;
};

static void write_xcr(void *arg)
{
    const struct xcr *x = arg;

    __asm__ volatile("xsetbv" ::"c"(x->number), "a"((uint32_t)x->v), "d"((uint32_t)(x->v >> 32)) : "memory");
}

static bool cr_taken(void (*write)(void *v), uint64_t v)
{
    return try(write, &v) != VEC_GP;
}

static bool xcr_taken(uint32_t number, uint64_t v)
{
    return try(write_xcr, &(struct xcr){number, v}) != VEC_GP;
}

static verdict xcr0(struct kit *k)
{
    static const uint64_t bad[] = {0, 2, 4, 5, 1 | 1ull << 5, 1 | 1ull << 9, 1 | 1ull << 62, ~0ull};
    uint64_t cr4 = read_cr4() | CR4_OSFXSR | CR4_OSXSAVE;
    verdict v = BLOCKED;

    if (!(cpuid(1, 0).ecx & ECX_XSAVE) || try(write_cr4, &cr4) >= 0)
        return BLOCKED;
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (xcr_taken(0, bad[i]))
            v = "XCR0";
    if (xcr_taken(1 + (uint32_t)(kit_random(k) >> 32), 1))
        v = "XCR1 and beyond";
    return v;
}

verdict attack_control(struct kit *k)
{
    uint64_t cr0 = read_cr0(), cr4 = read_cr4();
    verdict v = xcr0(k);

    if ((cr_taken(write_cr0, cr0 | 1ull << 32) || cr_taken(write_cr0, cr0 | 1ull << 63)) && read_cr0() != cr0)
        v = "CR0 beyond 32 bits";
    if (cr_taken(write_cr0, cr0 & ~CR0_PE) || cr_taken(write_cr0, (cr0 & ~CR0_CD) | CR0_NW))
        v = "CR0 with a bad combination";
    for (unsigned bit = 0; bit < 64; bit++)
        if ((CR4_HIDDEN >> bit & 1) && cr_taken(write_cr4, cr4 | 1ull << bit))
            v = "CR4";
    if (cr_taken(write_cr8, 16) || cr_taken(write_cr8, ~0ull))
        v = "CR8";
    return v;
}
