/* SPDX-License-Identifier: BSD-2-Clause */
#include "vm/exit.h"
#include "vm/emul/emul.h"
#include "vm/hvm.h"
#include "vm/hypercall.h"
#include "vm/vcpu.h"
#include "vm/vm.h"

#define VEC_MC 18

static enum then on_hlt(struct vcpu *v, UNUSED const struct vm_exit *e)
{
    v->halted = true;
    return THEN_SKIP;
}

static enum then on_msr(struct vcpu *v, const struct vm_exit *e)
{
    uint64_t val = v->gpr[RDX] << 32 | (uint32_t)v->gpr[RAX];

    if (msr_access(v, e->msr.index, e->msr.write, &val))
        return THEN_GP;
    if (e->msr.write)
        return THEN_SKIP;
    v->gpr[RAX] = (uint32_t)val;
    v->gpr[RDX] = val >> 32;
    return THEN_SKIP;
}

static const char *access_name(const struct vm_exit *e)
{
    return e->mem.fetch     ? "executes at"
           : e->mem.in_walk ? "has a page table at"
           : e->mem.write   ? "writes"
                            : "reads";
}

/*
 * RAM is always mapped with all rights: a fault on it is a translation that was cached before a change, and
 * the entry after a flush finds it. Everything else is a device's register, or nothing; where an event was being delivered, it is not what
 * the instruction at RIP does.
 */
static enum then on_mem(struct vcpu *v, const struct vm_exit *e)
{
    unsigned flags;
    uint64_t at = e->mem.addr.a;

    if (radix_lookup(&v->vm->p2m.table, at, NULL, &flags) && (!e->mem.write || (flags & RADIX_W)) &&
        (!e->mem.fetch || (flags & RADIX_X))) {
        hvm->flush(v);
        return THEN_STAY;
    }
    if (e->redo.valid)
        vm_stop(v->vm, v, VM_CRASH, "delivers an event through %#lx, which is not RAM", at);
    else if (e->mem.fetch || e->mem.in_walk || !vm_io_exists(v->vm, IO_MEM, at))
        vm_stop(v->vm, v, VM_CRASH, "%s %#lx, which is neither RAM nor a device", access_name(e), at);
    else if (!emul_mmio(v, e))
        vm_stop(v->vm, v, VM_CRASH, "%s the device at %#lx with an instruction that is not emulated",
                access_name(e), at);
    return THEN_STAY;
}

/* #DB and #AC only pass through here. A machine check is the machine's: nothing can be trusted after it. */
static enum then on_exception(struct vcpu *v, const struct vm_exit *e)
{
    static const uint32_t with_error = BIT32(8) | GENMASK32(14, 10) | BIT32(17) | BIT32(21);

    if (e->exception.vector == VEC_MC)
        panic("machine check while %s was running", v->vm->name);
    vcpu_exception(v, e->exception.vector, with_error >> e->exception.vector & 1, e->exception.error);
    return THEN_STAY;
}

static enum then on_broken(struct vcpu *v, const struct vm_exit *e)
{
    vm_stop(v->vm, v, VM_CRASH,
            e->kind == VM_EXIT_SHUTDOWN  ? "triple fault"
            : e->kind == VM_EXIT_INVALID ? "the CPU refuses the state that the guest is in (code %#lx)"
                                         : "exit %#lx, which nothing handles",
            e->code);
    return THEN_STAY;
}

/*
 * then: what follows where no handler says it. events: the handler may have changed what the vCPU can take (its
 * APIC, its IF, HLT), so look before the next entry. Interrupts that others raise set a request and need no row.
 */
static const struct exit_row {
    const char *name;
    enum then (*handle)(struct vcpu *v, const struct vm_exit *e);
    enum then then;
    bool events;
} rows[VM_EXIT_KINDS] = {
    [VM_EXIT_HOST_INTR] = {"host interrupt", NULL, THEN_STAY, false},
    [VM_EXIT_WINDOW] = {"interrupt window", NULL, THEN_STAY, true},
    [VM_EXIT_CPUID] = {"CPUID", emul_cpuid, 0, false},
    [VM_EXIT_HLT] = {"HLT", on_hlt, 0, true},
    [VM_EXIT_MSR] = {"MSR", on_msr, 0, true},
    [VM_EXIT_IO] = {"I/O port", emul_io, 0, true},
    [VM_EXIT_MEM] = {"memory", on_mem, 0, true},
    [VM_EXIT_CR] = {"control register", emul_cr, 0, true},
    [VM_EXIT_HYPERCALL] = {"hypercall", hypercall_handle, 0, false},
    [VM_EXIT_XSETBV] = {"XSETBV", emul_xsetbv, 0, false},
    [VM_EXIT_WBINVD] = {"WBINVD", NULL, THEN_SKIP, false},
    [VM_EXIT_EXCEPTION] = {"exception", on_exception, 0, false},
    [VM_EXIT_PRIVILEGED] = {"privileged instruction", NULL, THEN_UD, false},
    [VM_EXIT_SHUTDOWN] = {"shutdown", on_broken, 0, true},
    [VM_EXIT_INVALID] = {"invalid state", on_broken, 0, true},
    [VM_EXIT_UNKNOWN] = {"unknown", on_broken, 0, true},
};

void exit_handle(struct vcpu *v, struct vm_exit *e)
{
    const struct exit_row *row = &rows[e->kind];
    enum then then = row->handle ? row->handle(v, e) : row->then;

    v->recheck |= row->events;
    if (then == THEN_SKIP)
        vcpu_skip(v, e);
    else if (then == THEN_GP)
        vcpu_exception(v, VEC_GP, true, 0);
    else if (then == THEN_UD)
        vcpu_exception(v, VEC_UD, false, 0);
}

const char *exit_name(enum vm_exit_kind kind)
{
    return (unsigned)kind < VM_EXIT_KINDS ? rows[kind].name : "?";
}
