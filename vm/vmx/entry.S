/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The world switch (SDM 3 chapters 27 and 28). VM entry and exit swap RSP, RIP, RFLAGS, the segments, GDTR, IDTR, the control registers
 * but CR2, EFER, PAT and DEBUGCTL; the general registers are ours. IF is 0 on both sides: a physical interrupt ends the guest and
 * stays pending.
 */

#include "vm/entry.S"

#define HOST_RSP 0x6c14

/* bool vmx_enter(uint64_t gpr[GPRS], bool launched); */
.text
.globl vmx_enter, vmx_exit
.type vmx_enter, @function
vmx_enter:
    save_host
    push %rdi
    mov $HOST_RSP, %eax
    vmwrite %rsp, %rax
    cmp $1, %sil            /* CF: not launched yet */
    mov 0(%rdi), %rax
    load_guest
    jc 1f
    vmresume
    jmp 2f
1:  vmlaunch
2:  pop %rdi                /* only here if the CPU refused to begin */
    xor %eax, %eax
    jmp 3f
vmx_exit:
    save_guest
    mov %rax, 0(%rdi)
    mov $1, %eax
3:  return_to_host
.size vmx_enter, . - vmx_enter
