/* SPDX-License-Identifier: BSD-2-Clause */
#include "vm/loader.h"
#include "kernel/cpu/regs.h"
#include "kernel/mm/paging.h"
#include "vm/hvm.h"
#include "vm/vcpu.h"
#include "vm/vm.h"

#define COPY_MAX SIZE_2M

static void set_segments(struct vcpu *v, const struct boot_start *s)
{
    const struct vm_segment code = {BOOT_START_CS, s->cr3 ? 0xa9b : 0xc9b, UINT32_MAX, 0};
    const struct vm_segment data = {BOOT_START_DS, 0xc93, UINT32_MAX, 0};
    const struct vm_segment tr = {0, 0x8b, 0x67, 0}, ldtr = {0, 0x82, 0, 0};
    const struct vm_segment gdtr = {0, 0, BOOT_START_DS + 7, s->gdt};

    for (unsigned seg = SEG_ES; seg <= SEG_GS; seg++)
        hvm->set_segment(v, (enum vm_seg)seg, seg == SEG_CS ? &code : &data);
    hvm->set_segment(v, SEG_TR, &tr);
    hvm->set_segment(v, SEG_LDTR, &ldtr);
    hvm->set_segment(v, SEG_GDTR, &gdtr);
}

static void set_start(struct vcpu *v, const struct boot_start *s)
{
    hvm->reset(v);
    set_segments(v, s);
    if (s->cr3) {
        hvm->set_reg(v, REG_CR3, s->cr3);
        hvm->set_reg(v, REG_CR4, CR4_PAE);
        hvm->set_reg(v, REG_EFER, EFER_LME | EFER_LMA);
        hvm->set_reg(v, REG_CR0, CR0_PG | CR0_NE | CR0_ET | CR0_PE);
    } else {
        hvm->set_reg(v, REG_CR0, CR0_ET | CR0_PE);
    }
    for (unsigned i = 0; i < GPRS; i++)
        v->gpr[i] = 0;
    v->gpr[RAX] = s->rax;
    v->gpr[RBX] = s->rbx;
    v->gpr[RSI] = s->rsi;
    v->rip = s->entry;
    v->rflags = BIT(1); /* interrupts off; bit 1 is always set */
}

int loader_load(struct vm *vm, uint64_t *done)
{
    const struct boot_start *s = &vm->cfg->start;
    uint64_t off = *done;

    for (const struct boot_piece *p = s->piece; p < s->piece + s->npieces; p++) {
        uint64_t n;

        if (off >= p->size) {
            off -= p->size;
            continue;
        }
        n = MIN(p->size - off, COPY_MAX);
        *done += n;
        return p2m_write(&vm->p2m, gpa(p->at + off), hpa_to_ptr(hpa(p->source + off)), n) ? -EFAULT : 1;
    }
    __atomic_fetch_add(&vm->p2m.generation, 1, __ATOMIC_RELEASE); /* other code at the same addresses */
    set_start(vm->vcpu[0], s);
    return 0;
}
