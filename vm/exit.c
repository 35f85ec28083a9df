/* SPDX-License-Identifier: BSD-2-Clause */
#include "vm/exit.h"
#include "kernel/lib/bits.h"
#include "vm/emul/emul.h"
#include "vm/hvm.h"
#include "vm/hypercall.h"
#include "vm/vcpu.h"
#include "vm/vm.h"

#define VEC_MC 18

static void on_nothing(struct vcpu *v, const struct vm_exit *e)
{
    (void)v;
    (void)e;
}

static void on_cpuid(struct vcpu *v, const struct vm_exit *e)
{
    emul_cpuid(v);
    vcpu_skip(v, e);
}

static void on_hlt(struct vcpu *v, const struct vm_exit *e)
{
    vcpu_skip(v, e);
    v->halted = true;
}

static void msr_result(struct vcpu *v, const struct vm_exit *e, int err)
{
    if (err)
        vcpu_inject_gp(v);
    else
        vcpu_skip(v, e);
}

static void on_msr(struct vcpu *v, const struct vm_exit *e)
{
    uint64_t val = v->gpr[RDX] << 32 | (uint32_t)v->gpr[RAX];
    int err;

    if (e->msr.write) {
        msr_result(v, e, msr_write(v, e->msr.index, val));
        return;
    }
    err = msr_read(v, e->msr.index, &val);
    if (!err) {
        v->gpr[RAX] = (uint32_t)val;
        v->gpr[RDX] = val >> 32;
    }
    msr_result(v, e, err);
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
 * the entry after a flush finds it. Everything else is a device's register, or nothing.
 */
static void on_mem(struct vcpu *v, const struct vm_exit *e)
{
    unsigned flags;
    uint64_t at = e->mem.addr.a;

    if (radix_lookup(&v->vm->p2m.table, at, NULL, &flags) && (!e->mem.write || (flags & RADIX_W)) &&
        (!e->mem.fetch || (flags & RADIX_X))) {
        hvm->flush(v);
        return;
    }
    if (e->mem.fetch || e->mem.in_walk || !vm_io_exists(v->vm, IO_MEM, at))
        vm_stop(v->vm, v, VM_CRASH, "%s %#llx, which is neither RAM nor a device", access_name(e),
                (unsigned long long)at);
    else if (!emul_mmio(v, e))
        vm_stop(v->vm, v, VM_CRASH, "%s the device at %#llx with an instruction that is not emulated",
                access_name(e), (unsigned long long)at);
}

static void on_hypercall(struct vcpu *v, const struct vm_exit *e)
{
    hypercall_handle(v);
    vcpu_skip(v, e);
}

/* #DB and #AC only pass through here. A machine check is the machine's: nothing can be trusted after it. */
static void on_exception(struct vcpu *v, const struct vm_exit *e)
{
    static const uint32_t with_error = BIT32(8) | GENMASK32(14, 10) | BIT32(17) | BIT32(21);

    if (e->exception.vector == VEC_MC)
        panic("machine check while %s was running", v->vm->name);
    vcpu_exception(v, e->exception.vector, with_error >> e->exception.vector & 1, e->exception.error);
}

static void on_privileged(struct vcpu *v, const struct vm_exit *e)
{
    (void)e;
    vcpu_inject_ud(v);
}

static void on_shutdown(struct vcpu *v, const struct vm_exit *e)
{
    (void)e;
    vm_stop(v->vm, v, VM_CRASH, "triple fault");
}

static void on_invalid(struct vcpu *v, const struct vm_exit *e)
{
    (void)e;
    vm_stop(v->vm, v, VM_CRASH, "the CPU refuses the state that the guest is in");
}

static void on_unknown(struct vcpu *v, const struct vm_exit *e)
{
    vm_stop(v->vm, v, VM_CRASH, "exit %#llx, which nothing handles", (unsigned long long)e->code);
}

static void on_io(struct vcpu *v, const struct vm_exit *e)
{
    emul_io(v, e);
}

/*
 * events: the handler may have changed what the vCPU can take (its APIC, its IF, HLT), so look before the
 * next entry. Interrupts that others raise set a request and need no row.
 */
static const struct {
    const char *name;
    void (*handle)(struct vcpu *v, const struct vm_exit *e);
    bool events;
} rows[VM_EXIT_KINDS] = {
    [VM_EXIT_HOST_INTR] = {"host interrupt", on_nothing, false},
    [VM_EXIT_WINDOW] = {"interrupt window", on_nothing, true},
    [VM_EXIT_CPUID] = {"CPUID", on_cpuid, false},
    [VM_EXIT_HLT] = {"HLT", on_hlt, true},
    [VM_EXIT_MSR] = {"MSR", on_msr, true},
    [VM_EXIT_IO] = {"I/O port", on_io, true},
    [VM_EXIT_MEM] = {"memory", on_mem, true},
    [VM_EXIT_CR] = {"control register", emul_cr, true},
    [VM_EXIT_HYPERCALL] = {"hypercall", on_hypercall, false},
    [VM_EXIT_XSETBV] = {"XSETBV", emul_xsetbv, false},
    [VM_EXIT_WBINVD] = {"WBINVD", vcpu_skip, false},
    [VM_EXIT_EXCEPTION] = {"exception", on_exception, false},
    [VM_EXIT_PRIVILEGED] = {"privileged instruction", on_privileged, false},
    [VM_EXIT_SHUTDOWN] = {"shutdown", on_shutdown, true},
    [VM_EXIT_INVALID] = {"invalid state", on_invalid, true},
    [VM_EXIT_UNKNOWN] = {"unknown", on_unknown, true},
};

void exit_handle(struct vcpu *v, struct vm_exit *e)
{
    v->recheck |= rows[e->kind].events;
    rows[e->kind].handle(v, e);
}

const char *exit_name(enum vm_exit_kind kind)
{
    return (unsigned)kind < VM_EXIT_KINDS ? rows[kind].name : "?";
}
