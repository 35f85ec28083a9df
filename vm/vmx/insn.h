/* SPDX-License-Identifier: BSD-2-Clause */
/* Instructions that only this back end uses (SDM 3 chapter 31); unit tests replace this header. */
#ifndef VM_VMX_INSN_H
#define VM_VMX_INSN_H

#include "kernel/lib/types.h"

/* The three that take the address of a region: true if they succeeded. */
#define VMX_REGION_INSN(name)                                                                                \
    static inline bool name(hpa_t region)                                                                    \
    {                                                                                                        \
        bool ok;                                                                                             \
        __asm__ volatile(#name " %1" : "=@cca"(ok) : "m"(region.a) : "memory");                              \
        return ok;                                                                                           \
    }
VMX_REGION_INSN(vmxon)
VMX_REGION_INSN(vmclear)
VMX_REGION_INSN(vmptrld)
#undef VMX_REGION_INSN

/* Of the current VMCS. A field that the CPU does not have reads as 0, and the write does nothing. */
static inline uint64_t vmread(uint64_t field)
{
    uint64_t v = 0;

    __asm__ volatile("vmread %1, %0" : "+r"(v) : "r"(field) : "cc");
    return v;
}

static inline void vmwrite(uint64_t field, uint64_t v)
{
    __asm__ volatile("vmwrite %1, %0" : : "r"(field), "r"(v) : "cc", "memory");
}

/* Drops what this CPU has cached under an EPT pointer, for all VPIDs (31.3 INVEPT type 1). */
static inline void invept(uint64_t eptp)
{
    const uint64_t descriptor[2] = {eptp, 0};

    __asm__ volatile("invept %0, %1" : : "m"(descriptor), "r"((uint64_t)1) : "cc", "memory");
}

static inline uint64_t read_dr6(void)
{
    uint64_t v;

    __asm__ volatile("mov %%db6, %0" : "=r"(v));
    return v;
}

static inline void write_dr6(uint64_t v)
{
    __asm__ volatile("mov %0, %%db6" : : "r"(v));
}

/* Runs the handler of an NMI that ended the guest; its IRET lets the next one in (29.5.5). */
static inline void take_nmi(void)
{
    __asm__ volatile("int $2" : : : "memory");
}

struct vmx_descriptors {
    uint16_t limit;
    uint64_t base;
} __attribute__((packed));

#define VMX_TABLE_BASE(table, insn)                                                                          \
    static inline uint64_t read_##table##_base(void)                                                         \
    {                                                                                                        \
        struct vmx_descriptors d;                                                                            \
        __asm__ volatile(insn " %0" : "=m"(d));                                                              \
        return d.base;                                                                                       \
    }
VMX_TABLE_BASE(gdt, "sgdt")
VMX_TABLE_BASE(idt, "sidt")
#undef VMX_TABLE_BASE

#endif
