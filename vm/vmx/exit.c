/* SPDX-License-Identifier: BSD-2-Clause */
/* Turns the exit reason and its companions into struct vm_exit (SDM 3 28.2, appendix C): a row per reason, a function per shape of
 * the qualification. */
#include "vm/vmx/insn.h"
#include "vm/vmx/vmx.h"

#define VEC_DB 1
#define VEC_GP 13
#define DR7_GD BIT(13)

struct exit_row {
    uint8_t kind; /* enum vm_exit_kind; VM_EXIT_UNKNOWN in the gaps */
    bool insn;    /* an instruction that has not been executed: its length matters */
    void (*decode)(struct vcpu *v, uint64_t qual, struct vm_exit *e);
};

/* --- one function for each shape --- */

/* The exit takes the place of all that the exception would have done to DR6 and DR7 (28.1, table 28-1). */
static void put_debug_state(uint64_t qual)
{
    write_dr6((read_dr6() & ~GENMASK(3, 0)) | (qual & QUAL_DB));
    vmwrite(GUEST_DR7, vmread(GUEST_DR7) & ~DR7_GD);
}

/* IRET that faults has unblocked NMIs already (28.2.3). */
static void block_nmi_again(void)
{
    vmwrite(INTERRUPTIBILITY, vmread(INTERRUPTIBILITY) | BLOCKING_NMI);
}

static void decode_exception(UNUSED struct vcpu *v, uint64_t qual, struct vm_exit *e)
{
    uint32_t info = (uint32_t)vmread(EXIT_EVENT);

    if (FIELD_GET(EVENT_TYPE, info) == VM_EVENT_NMI) {
        e->kind = VM_EXIT_HOST_INTR;
        take_nmi();
        return;
    }
    e->exception.vector = (uint8_t)FIELD_GET(EVENT_VECTOR, info);
    e->exception.error = info & EVENT_ERROR_VALID ? (uint32_t)vmread(EXIT_EVENT_ERROR) : 0;
    if (e->exception.vector == VEC_DB)
        put_debug_state(qual);
    if ((info & EVENT_NMI_UNBLOCK) && !e->redo.valid)
        block_nmi_again();
}

/* The guest's CPUID shows no performance counters (SDM 2B RDPMC: #GP). The other: a machine check on the way into the guest. */
static void decode_without_event(UNUSED struct vcpu *v, UNUSED uint64_t qual, struct vm_exit *e)
{
    e->exception.vector = e->code == REASON_RDPMC ? VEC_GP : EXC_MC;
    e->exception.error = 0;
}

static void decode_cr(UNUSED struct vcpu *v, uint64_t qual, struct vm_exit *e)
{
    e->cr.num = (uint8_t)FIELD_GET(QUAL_CR_NUM, qual);
    e->cr.decoded = FIELD_GET(QUAL_CR_TYPE, qual) == 0;
    e->cr.gpr = (uint8_t)FIELD_GET(QUAL_CR_GPR, qual);
}

static void decode_io(UNUSED struct vcpu *v, uint64_t qual, struct vm_exit *e)
{
    e->io.port = (uint16_t)FIELD_GET(QUAL_IO_PORT, qual);
    e->io.size = (uint8_t)(FIELD_GET(QUAL_IO_SIZE, qual) + 1);
    e->io.in = qual & QUAL_IO_IN;
    e->io.string = qual & QUAL_IO_STR;
}

static void decode_msr(struct vcpu *v, UNUSED uint64_t qual, struct vm_exit *e)
{
    e->msr.write = e->code == REASON_WRMSR;
    e->msr.index = (uint32_t)v->gpr[RCX];
}

static void decode_ept(UNUSED struct vcpu *v, uint64_t qual, struct vm_exit *e)
{
    e->mem.addr = gpa(vmread(GUEST_PHYSICAL));
    e->mem.write = qual & QUAL_EPT_W;
    e->mem.fetch = qual & QUAL_EPT_X;
    e->mem.in_walk = (qual & (QUAL_EPT_GLA | QUAL_EPT_SELF)) == QUAL_EPT_GLA;
    if ((qual & QUAL_EPT_IRET) && !e->redo.valid)
        block_nmi_again();
}

/* --- the table --- */

/*
 * By exit reason. CR0 exits for bits other than TS and MP, CR4 and CR8 for all. The APIC write is over, and had no effect: a self-IPI of a vector below 16
 * (30.5). A task switch of 32-bit code has no row: the guest stops.
 */
static const struct exit_row rows[] = {
    [REASON_EXCEPTION] = {VM_EXIT_EXCEPTION, false, decode_exception},
    [REASON_INTR] = {VM_EXIT_HOST_INTR, false, NULL},
    [REASON_TRIPLE] = {VM_EXIT_SHUTDOWN, false, NULL},
    [REASON_INIT] = {VM_EXIT_HOST_INTR, false, NULL},
    [REASON_INTR_WINDOW] = {VM_EXIT_WINDOW, false, NULL},
    [REASON_NMI_WINDOW] = {VM_EXIT_WINDOW, false, NULL},
    [REASON_CPUID] = {VM_EXIT_CPUID, true, NULL},
    [REASON_GETSEC] = {VM_EXIT_PRIVILEGED, true, NULL},
    [REASON_HLT] = {VM_EXIT_HLT, true, NULL},
    [REASON_INVD] = {VM_EXIT_WBINVD, true, NULL},
    [REASON_RDPMC] = {VM_EXIT_EXCEPTION, false, decode_without_event},
    [REASON_VMCALL] = {VM_EXIT_HYPERCALL, true, NULL},
    [REASON_VMCLEAR... REASON_VMXON] = {VM_EXIT_PRIVILEGED, true, NULL},
    [REASON_CR] = {VM_EXIT_CR, true, decode_cr},
    [REASON_IO] = {VM_EXIT_IO, true, decode_io},
    [REASON_RDMSR] = {VM_EXIT_MSR, true, decode_msr},
    [REASON_WRMSR] = {VM_EXIT_MSR, true, decode_msr},
    [REASON_BAD_STATE] = {VM_EXIT_INVALID, false, NULL},
    [REASON_MWAIT] = {VM_EXIT_PRIVILEGED, true, NULL},
    [REASON_MONITOR] = {VM_EXIT_PRIVILEGED, true, NULL},
    [REASON_ENTRY_MC] = {VM_EXIT_EXCEPTION, false, decode_without_event},
    [REASON_EPT] = {VM_EXIT_MEM, false, decode_ept},
    [REASON_INVEPT] = {VM_EXIT_PRIVILEGED, true, NULL},
    [REASON_INVVPID] = {VM_EXIT_PRIVILEGED, true, NULL},
    [REASON_WBINVD] = {VM_EXIT_WBINVD, true, NULL},
    [REASON_XSETBV] = {VM_EXIT_XSETBV, true, NULL},
    [REASON_APIC_WRITE] = {VM_EXIT_WINDOW, false, NULL},
};

static const struct exit_row unknown = {VM_EXIT_UNKNOWN, false, NULL};

/*
 * What was being delivered (28.2.4). Software interrupts and exceptions need no help: RIP is still at the instruction, which raises
 * them again.
 */
static void decode_redo(uint32_t info, struct vm_event *ev)
{
    uint8_t type = (uint8_t)FIELD_GET(EVENT_TYPE, info);

    if (type > VM_EVENT_EXCEPTION)
        return;
    *ev = (struct vm_event){true, info & EVENT_ERROR_VALID, type, (uint8_t)FIELD_GET(EVENT_VECTOR, info), 0};
    if (ev->has_error)
        ev->error = (uint32_t)vmread(IDT_VECTORING_ERROR);
}

void vmx_decode_exit(struct vcpu *v, struct vm_exit *e)
{
    uint64_t code = vmread(EXIT_REASON);
    uint32_t reason = FIELD_GET(REASON_BASIC, (uint32_t)code), vectoring = (uint32_t)vmread(IDT_VECTORING);
    const struct exit_row *row = reason < ARRAY_SIZE(rows) ? &rows[reason] : &unknown;

    e->kind = (enum vm_exit_kind)row->kind;
    e->code = code; /* decode() puts what it knows in its place */
    e->len = row->insn ? (uint8_t)vmread(EXIT_INSN_LENGTH) : 0;
    e->redo.valid = false;
    if ((vectoring & EVENT_VALID) && row->kind != VM_EXIT_INVALID)
        decode_redo(vectoring, &e->redo);
    if (row->decode)
        row->decode(v, vmread(EXIT_QUALIFICATION), e);
}

void vmx_decode_refusal(struct vm_exit *e)
{
    e->kind = VM_EXIT_INVALID;
    e->code = vmread(INSTRUCTION_ERROR);
    e->len = 0;
    e->redo.valid = false;
}
