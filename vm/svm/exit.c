/* SPDX-License-Identifier: BSD-2-Clause */
/* Turns EXITCODE and its companions into struct vm_exit (APM 2 appendix C): a row per code, a function per
 * shape of EXITINFO. */
#include "vm/svm/svm.h"

struct exit_row {
    uint8_t known; /* 0 in the gaps of the table */
    uint8_t kind;  /* enum vm_exit_kind */
    bool insn;     /* an instruction that has not been executed: its length matters */
    void (*decode)(struct vcpu *v, const struct vmcb_control *c, struct vm_exit *e);
};

static void decode_cr(struct vcpu *v, const struct vmcb_control *c, struct vm_exit *e)
{
    (void)v;
    e->cr.write = c->exit_code >= EXIT_CR_WRITE(0);
    e->cr.num = c->exit_code == EXIT_CR0_SEL_WRITE ? 0 : c->exit_code & 0xf;
    e->cr.decoded = svm_features.decode_assists && (c->exit_info1 & CR_INFO_MOV);
    e->cr.gpr = (uint8_t)FIELD_GET(CR_INFO_GPR, c->exit_info1);
}

static void decode_exception(struct vcpu *v, const struct vmcb_control *c, struct vm_exit *e)
{
    (void)v;
    e->exception.vector = (uint8_t)(c->exit_code - EXIT_EXC(0));
    e->exception.error = (uint32_t)c->exit_info1;
    e->exception.addr = c->exit_info2;
}

/* The guest's CPUID shows no performance counters, so there is none to read (APM 3 RDPMC: #GP). */
static void decode_rdpmc(struct vcpu *v, const struct vmcb_control *c, struct vm_exit *e)
{
    (void)v;
    (void)c;
    e->exception.vector = VEC_GP;
    e->exception.error = 0;
    e->exception.addr = 0;
}

static void decode_io(struct vcpu *v, const struct vmcb_control *c, struct vm_exit *e)
{
    uint64_t len = c->exit_info2 - v->rip;

    e->io.port = (uint16_t)FIELD_GET(IO_INFO_PORT, c->exit_info1);
    e->io.size = (uint8_t)FIELD_GET(IO_INFO_SIZE, c->exit_info1);
    e->io.in = c->exit_info1 & IO_INFO_IN;
    e->io.string = c->exit_info1 & IO_INFO_STR;
    e->io.rep = c->exit_info1 & IO_INFO_REP;
    e->len = len <= 15 ? (uint8_t)len : 0;
}

static void decode_msr(struct vcpu *v, const struct vmcb_control *c, struct vm_exit *e)
{
    e->msr.index = (uint32_t)v->gpr[RCX];
    e->msr.write = c->exit_info1 & MSR_INFO_WRITE;
}

static void decode_npf(const struct vmcb_control *c, struct vm_exit *e)
{
    e->mem.addr = gpa(c->exit_info2);
    e->mem.write = c->exit_info1 & NPF_W;
    e->mem.fetch = c->exit_info1 & NPF_ID;
    e->mem.present = c->exit_info1 & NPF_P;
    e->mem.in_walk = c->exit_info1 & NPF_TABLE;
}

/* The end of an NMI handler is near: see svm_can_take_nmi(). */
static void decode_iret(struct vcpu *v, const struct vmcb_control *c, struct vm_exit *e)
{
    (void)c;
    (void)e;
    svm_nmi_iret(v);
}

#define HOST                                                                                                 \
    {                                                                                                        \
        1, VM_EXIT_HOST_INTR, false, NULL                                                                    \
    }
#define INSN(kind)                                                                                           \
    {                                                                                                        \
        1, VM_EXIT_##kind, true, NULL                                                                        \
    }
#define INSN_F(kind, f)                                                                                      \
    {                                                                                                        \
        1, VM_EXIT_##kind, true, f                                                                           \
    }
#define EVENT(kind, f)                                                                                       \
    {                                                                                                        \
        1, VM_EXIT_##kind, false, f                                                                          \
    }

static const struct exit_row rows[] = {
    [EXIT_CR_READ(0)... EXIT_CR_READ(15)] = INSN_F(CR, decode_cr),
    [EXIT_CR_WRITE(0)... EXIT_CR_WRITE(15)] = INSN_F(CR, decode_cr),
    [EXIT_CR0_SEL_WRITE] = INSN_F(CR, decode_cr),
    [EXIT_EXC(0)... EXIT_EXC(31)] = EVENT(EXCEPTION, decode_exception),
    [EXIT_INTR] = HOST,
    [EXIT_NMI] = HOST,
    [EXIT_INIT] = HOST,
    [EXIT_VINTR] = EVENT(WINDOW, NULL),
    [EXIT_IRET] = EVENT(WINDOW, decode_iret),
    [EXIT_RDPMC] = EVENT(EXCEPTION, decode_rdpmc),
    [EXIT_CPUID] = INSN(CPUID),
    [EXIT_INVD] = INSN(WBINVD),
    [EXIT_WBINVD] = INSN(WBINVD),
    [EXIT_HLT] = INSN(HLT),
    [EXIT_IOIO] = INSN_F(IO, decode_io),
    [EXIT_MSR] = INSN_F(MSR, decode_msr),
    [EXIT_SHUTDOWN] = EVENT(SHUTDOWN, NULL),
    [EXIT_VMMCALL] = INSN(HYPERCALL),
    [EXIT_XSETBV] = INSN(XSETBV),
    [EXIT_INVLPGA] = INSN(PRIVILEGED),
    [EXIT_VMRUN] = INSN(PRIVILEGED),
    [EXIT_VMLOAD... EXIT_SKINIT] = INSN(PRIVILEGED),
    [EXIT_MONITOR... EXIT_MWAIT_ARMED] = INSN(PRIVILEGED),
    [EXIT_RDPRU] = INSN(PRIVILEGED),
};

/* Codes beyond the table. */
static void decode_rest(const struct vmcb_control *c, struct vm_exit *e)
{
    if (c->exit_code == EXIT_NPF) {
        e->kind = VM_EXIT_MEM;
        decode_npf(c, e);
    } else if ((uint32_t)c->exit_code == EXIT_INVALID) {
        e->kind = VM_EXIT_INVALID;
    } else {
        e->kind = VM_EXIT_UNKNOWN;
        e->code = c->exit_code;
    }
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
    const struct exit_row *row;

    e->len = 0;
    e->redo.valid = false;
    if (c->exit_int_info & EVENT_V)
        decode_redo(c->exit_int_info, &e->redo);
    if (c->exit_code >= ARRAY_SIZE(rows) || !rows[c->exit_code].known) {
        decode_rest(c, e);
        return;
    }
    row = &rows[c->exit_code];
    e->kind = (enum vm_exit_kind)row->kind;
    if (row->insn && svm_features.nrips && c->nrip - v->rip <= 15)
        e->len = (uint8_t)(c->nrip - v->rip);
    if (row->decode)
        row->decode(v, c, e);
}
