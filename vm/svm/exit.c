/* SPDX-License-Identifier: BSD-2-Clause */
/* Turns EXITCODE and its companions into struct vm_exit (APM 2 appendix C): a row per code, a function per
 * shape of EXITINFO. */
#include "vm/svm/svm.h"

struct exit_row {
    uint8_t kind; /* enum vm_exit_kind; VM_EXIT_UNKNOWN in the gaps */
    bool insn;    /* an instruction that has not been executed: its length matters */
    void (*decode)(struct vcpu *v, const struct vmcb_control *c, struct vm_exit *e);
};

static void decode_cr(UNUSED struct vcpu *v, const struct vmcb_control *c, struct vm_exit *e)
{
    e->cr.num = c->exit_code == EXIT_CR0_SEL_WRITE ? 0 : c->exit_code & 0xf;
    e->cr.decoded = hvm_cpu.svm.decode_assists && (c->exit_info1 & CR_INFO_MOV);
    e->cr.gpr = (uint8_t)FIELD_GET(CR_INFO_GPR, c->exit_info1);
}

/* The guest's CPUID shows no performance counters, so there is none to read (APM 3 RDPMC: #GP). */
static void decode_exception(UNUSED struct vcpu *v, const struct vmcb_control *c, struct vm_exit *e)
{
    e->exception.vector = (uint8_t)(c->exit_code == EXIT_RDPMC ? VEC_GP : c->exit_code - EXIT_EXC(0));
    e->exception.error = c->exit_code == EXIT_RDPMC ? 0 : (uint32_t)c->exit_info1;
}

static void decode_io(struct vcpu *v, const struct vmcb_control *c, struct vm_exit *e)
{
    uint64_t len = c->exit_info2 - v->rip;

    e->io.port = (uint16_t)FIELD_GET(IO_INFO_PORT, c->exit_info1);
    e->io.size = (uint8_t)FIELD_GET(IO_INFO_SIZE, c->exit_info1);
    e->io.in = c->exit_info1 & IO_INFO_IN;
    e->io.string = c->exit_info1 & IO_INFO_STR;
    e->len = len <= 15 ? (uint8_t)len : 0;
}

static void decode_msr(struct vcpu *v, const struct vmcb_control *c, struct vm_exit *e)
{
    e->msr.index = (uint32_t)v->gpr[RCX];
    e->msr.write = c->exit_info1 & MSR_INFO_WRITE;
}

static void decode_npf(UNUSED struct vcpu *v, const struct vmcb_control *c, struct vm_exit *e)
{
    e->mem.addr = gpa(c->exit_info2);
    e->mem.write = c->exit_info1 & NPF_W;
    e->mem.fetch = c->exit_info1 & NPF_ID;
    e->mem.in_walk = c->exit_info1 & NPF_TABLE;
}

/* The end of an NMI handler is near: see svm_can_take_nmi(). */
static void decode_iret(struct vcpu *v, UNUSED const struct vmcb_control *c, UNUSED struct vm_exit *e)
{
    svm_nmi_iret(v);
}

/*
 * By exit code. CR0 exits for bits other than TS and MP, CR4 and CR8 for all; reads of control registers need
 * no exit, and with nested paging the CPU switches tasks itself. #DB and #AC are here because a guest can make
 * their delivery endless, and the CPU would never take an interrupt again.
 */
static const struct exit_row rows[] = {
    [EXIT_CR_WRITE(4)] = {VM_EXIT_CR, true, decode_cr},
    [EXIT_CR_WRITE(8)] = {VM_EXIT_CR, true, decode_cr},
    [EXIT_EXC(1)] = {VM_EXIT_EXCEPTION, false, decode_exception},
    [EXIT_EXC(17)] = {VM_EXIT_EXCEPTION, false, decode_exception},
    [EXIT_EXC(18)] = {VM_EXIT_EXCEPTION, false, decode_exception},
    [EXIT_INTR] = {VM_EXIT_HOST_INTR, false, NULL},
    [EXIT_NMI] = {VM_EXIT_HOST_INTR, false, NULL},
    [EXIT_INIT] = {VM_EXIT_HOST_INTR, false, NULL},
    [EXIT_VINTR] = {VM_EXIT_WINDOW, false, NULL},
    [EXIT_CR0_SEL_WRITE] = {VM_EXIT_CR, true, decode_cr},
    [EXIT_RDPMC] = {VM_EXIT_EXCEPTION, false, decode_exception},
    [EXIT_CPUID] = {VM_EXIT_CPUID, true, NULL},
    [EXIT_IRET] = {VM_EXIT_WINDOW, false, decode_iret},
    [EXIT_INVD] = {VM_EXIT_WBINVD, true, NULL},
    [EXIT_HLT] = {VM_EXIT_HLT, true, NULL},
    [EXIT_INVLPGA] = {VM_EXIT_PRIVILEGED, true, NULL},
    [EXIT_IOIO] = {VM_EXIT_IO, true, decode_io},
    [EXIT_MSR] = {VM_EXIT_MSR, true, decode_msr},
    [EXIT_SHUTDOWN] = {VM_EXIT_SHUTDOWN, false, NULL},
    [EXIT_VMRUN] = {VM_EXIT_PRIVILEGED, true, NULL},
    [EXIT_VMMCALL] = {VM_EXIT_HYPERCALL, true, NULL},
    [EXIT_VMLOAD... EXIT_SKINIT] = {VM_EXIT_PRIVILEGED, true, NULL}, /* VMSAVE, STGI, CLGI */
    [EXIT_WBINVD] = {VM_EXIT_WBINVD, true, NULL},
    [EXIT_MONITOR] = {VM_EXIT_PRIVILEGED, true, NULL},
    [EXIT_MWAIT] = {VM_EXIT_PRIVILEGED, true, NULL},
    [EXIT_XSETBV] = {VM_EXIT_XSETBV, true, NULL},
    [EXIT_RDPRU] = {VM_EXIT_PRIVILEGED, true, NULL},
};

static const struct exit_row npf = {VM_EXIT_MEM, false, decode_npf}, invalid = {VM_EXIT_INVALID, false, NULL},
                             unknown = {VM_EXIT_UNKNOWN, false, NULL};

/* All that has a row; the windows are opened when they are wanted. */
void svm_init_intercepts(struct vmcb_control *c)
{
    for (unsigned code = 0; code < ARRAY_SIZE(rows); code++)
        if (rows[code].kind != VM_EXIT_UNKNOWN && rows[code].kind != VM_EXIT_WINDOW)
            c->intercept[code / 32] |= BIT32(code % 32);
}

/*
 * What EXITINTINFO says was being delivered (15.7.2). Software interrupts, INT3 and INTO need no help: RIP is
 * still at the instruction, which raises them again.
 */
static void decode_redo(uint64_t info, struct vm_event *ev)
{
    uint8_t type = (uint8_t)FIELD_GET(EVENT_TYPE, info), vector = (uint8_t)FIELD_GET(EVENT_VECTOR, info);

    if (type == VM_EVENT_SOFT || (type == VM_EVENT_EXCEPTION && (vector == 3 || vector == 4)))
        return;
    *ev = (struct vm_event){true, info & EVENT_EV, type, vector, (uint32_t)FIELD_GET(EVENT_ERROR, info)};
}

void svm_decode_exit(struct vcpu *v, struct vm_exit *e)
{
    const struct vmcb_control *c = &v->hw->vmcb->control;
    const struct exit_row *row = c->exit_code < ARRAY_SIZE(rows)          ? &rows[c->exit_code]
                                 : c->exit_code == EXIT_NPF               ? &npf
                                 : (uint32_t)c->exit_code == EXIT_INVALID ? &invalid
                                                                          : &unknown;

    e->kind = (enum vm_exit_kind)row->kind;
    e->code = c->exit_code; /* decode() puts what it knows in its place */
    e->len = 0;
    e->redo.valid = false;
    if (c->exit_int_info & EVENT_V)
        decode_redo(c->exit_int_info, &e->redo);
    if (row->insn && hvm_cpu.svm.nrips && c->nrip - v->rip <= 15)
        e->len = (uint8_t)(c->nrip - v->rip);
    if (row->decode)
        row->decode(v, c, e);
}
