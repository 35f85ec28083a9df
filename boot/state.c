/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/state.h"
#include "boot/regs.h"

#define RFLAGS_FIXED BIT(1) /* always set */
#define RIP_RESET    0xfff0

/* Descriptors of struct vm_segment: present, accessed or busy. */
#define ATTR_CODE   0x09b
#define ATTR_CODE32 0xc9b
#define ATTR_CODE64 0xa9b
#define ATTR_DATA   0x093
#define ATTR_DATA32 0xc93
#define ATTR_LDT    0x082
#define ATTR_TSS    0x08b

void state_reset(struct boot_vcpu *s, uint32_t signature)
{
    *s = (struct boot_vcpu){
        .segment =
            {
                [SEG_ES] = {0, ATTR_DATA, 0xffff, 0},
                [SEG_CS] = {0xf000, ATTR_CODE, 0xffff, 0xffff0000},
                [SEG_SS... SEG_GS] = {0, ATTR_DATA, 0xffff, 0},
                [SEG_GDTR] = {0, 0, 0xffff, 0},
                [SEG_LDTR] = {0, ATTR_LDT, 0xffff, 0},
                [SEG_IDTR] = {0, 0, 0xffff, 0},
                [SEG_TR] = {0, ATTR_TSS, 0xffff, 0},
            },
        .reg = {[REG_CR0] = CR0_CD | CR0_NW | CR0_ET, [REG_PAT] = PAT_POWER_ON},
        .gpr = {[RDX] = signature},
        .rip = RIP_RESET,
        .rflags = RFLAGS_FIXED,
    };
}

void state_start(struct boot_vcpu *s, uint64_t gdt, uint64_t cr3)
{
    for (unsigned seg = SEG_ES; seg <= SEG_GS; seg++)
        s->segment[seg] = (struct vm_segment){STATE_DS, ATTR_DATA32, UINT32_MAX, 0};
    s->segment[SEG_CS] = (struct vm_segment){STATE_CS, cr3 ? ATTR_CODE64 : ATTR_CODE32, UINT32_MAX, 0};
    s->segment[SEG_TR] = (struct vm_segment){0, ATTR_TSS, 0x67, 0};
    s->segment[SEG_LDTR] = (struct vm_segment){0, ATTR_LDT, 0, 0};
    s->segment[SEG_GDTR] = (struct vm_segment){0, 0, STATE_DS + 7, gdt};
    s->segment[SEG_IDTR] = (struct vm_segment){0, 0, 0xffff, 0};
    s->reg[REG_CR0] = CR0_ET | CR0_PE | (cr3 ? CR0_PG | CR0_NE : 0);
    s->reg[REG_CR3] = cr3;
    s->reg[REG_CR4] = cr3 ? CR4_PAE : 0;
    s->reg[REG_EFER] = cr3 ? EFER_LME | EFER_LMA : 0;
    s->reg[REG_PAT] = PAT_POWER_ON;
    s->rflags = RFLAGS_FIXED;
}

void state_limits(struct boot_limit limit[VM_REGS], const struct boot_cpu *cpu)
{
    const struct boot_limit table[VM_REGS] = {
        [REG_CR0] = {"CR0", CR0_DEFINED},
        [REG_CR2] = {"CR2", ~0ull},
        [REG_CR3] = {"CR3", GENMASK(51, 0)},
        [REG_CR4] = {"CR4", cpu->cr4_valid},
        [REG_CR8] = {"CR8", ~0ull},
        [REG_EFER] = {"EFER", cpu->efer_valid},
        [REG_PAT] = {"PAT", ~0ull},
        [REG_DEBUGCTL] = {"DEBUGCTL", DEBUGCTL_VALID},
        [REG_TSC_OFFSET] = {"TSC offset", ~0ull},
        [REG_CPL] = {"CPL", ~0ull},
        [REG_DR6] = {"DR6", UINT32_MAX},
        [REG_DR7] = {"DR7", UINT32_MAX},
        [REG_STAR] = {"STAR", ~0ull},
        [REG_LSTAR] = {"LSTAR", 0},
        [REG_CSTAR] = {"CSTAR", 0},
        [REG_SFMASK] = {"SFMASK", UINT32_MAX},
        [REG_KERNEL_GS_BASE] = {"KERNEL_GS_BASE", 0},
        [REG_SYSENTER_CS] = {"SYSENTER_CS", UINT32_MAX},
        [REG_SYSENTER_ESP] = {"SYSENTER_ESP", 0},
        [REG_SYSENTER_EIP] = {"SYSENTER_EIP", 0},
        [REG_SHADOW] = {"shadow", 1},
        [REG_NMI_BLOCKED] = {"NMI blocked", 1},
    };

    for (unsigned r = 0; r < VM_REGS; r++)
        limit[r] = table[r];
}
