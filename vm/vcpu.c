/* SPDX-License-Identifier: BSD-2-Clause */
#include "vm/vcpu.h"
#include "kernel/cpu/cpu.h"
#include "kernel/mm/heap.h"
#include "vm/emul/decode.h"
#include "vm/emul/lapic.h"
#include "vm/guestmem.h"
#include "vm/hvm.h"
#include "vm/sched.h"
#include "vm/vm.h"

#define VEC_DF 8

/* --- life --- */

/* The CPU of its number among those of the VM, which has as many as vCPUs. */
static void take_own_cpu(struct vcpu *v)
{
    for (unsigned i = 0; i < v->id; i++)
        v->cpus &= v->cpus - 1;
    v->cpus &= -v->cpus;
    v->own_cpu = cpu_set_apart((unsigned)__builtin_ctzll(v->cpus));
}

int vcpu_create(struct vm *vm, unsigned id)
{
    struct vcpu *v = heap_alloc(sizeof(*v));
    uint64_t online = GENMASK(63, 0) >> (CPU_MAX - cpu_count());
    int err;

    if (!v)
        return -ENOMEM;
    v->vm = vm;
    v->id = id;
    v->cpus = vm->cfg->cpus ? vm->cfg->cpus & online : online;
    if (vm->cfg->own_cpus && !(vm->cfg->cpus & ~online)) /* one that did not start leaves too few */
        take_own_cpu(v);
    sched_vcpu_init(v);
    err = hvm->vcpu_create(v);
    if (!err)
        err = lapic_create(v);
    if (err)
        return err;
    vcpu_reset(v);
    vm->vcpu[id] = v;
    return 0;
}

/* What INIT does (APM 2 14.1.3): the vCPU waits for a start-up message. */
static void init_state(struct vcpu *v)
{
    lapic_take_back(v);
    hvm->reset(v);
    lapic_reset(v);
    v->inject.valid = false;
    v->nmi_pending = false;
    v->halted = false;
    v->wait_sipi = true;
}

void vcpu_reset(struct vcpu *v)
{
    init_state(v);
    v->wait_sipi = v->id != 0;
    v->requests = 0;
    v->pvclock_gpa = v->wallclock_gpa = v->pv_eoi_gpa = 0;
    v->pv_eoi_armed = false;
    v->tsc_offset = 0;
    hvm->set_reg(v, REG_TSC_OFFSET, 0);
}

/* Start-up message (Intel SDM 3A 9.4.4): real mode at vector << 12. */
static void sipi_start(struct vcpu *v)
{
    struct vm_segment cs = hvm->segment(v, SEG_CS);

    cs.selector = (uint16_t)(v->sipi_vector << 8);
    cs.base = (uint64_t)v->sipi_vector << 12;
    hvm->set_segment(v, SEG_CS, &cs);
    v->rip = 0;
    v->wait_sipi = false;
}

/* --- requests --- */

/*
 * Order matters: the bits are set before the state is read, and sched.c announces the state before it reads
 * the bits, so one of the two sees the other. A vCPU that is READY looks before it enters the guest; one that
 * is RUNNING on this CPU is in an exit handler or an interrupt's, and looks as well.
 */
void vcpu_request(struct vcpu *v, uint32_t bits)
{
    enum vcpu_state state;

    __atomic_fetch_or(&v->requests, bits, __ATOMIC_SEQ_CST);
    state = __atomic_load_n(&v->state, __ATOMIC_SEQ_CST);
    if (state == VCPU_BLOCKED)
        sched_wake(v);
    else if (state == VCPU_RUNNING && v->cpu != cpu_id())
        cpu_kick(v->cpu);
    else if (state == VCPU_OFF && (bits & VCPU_REQ_SIPI))
        vm_vcpu_enter(v);
}

/* --- events --- */

/* Contributory exceptions (APM 2 table 8-3). */
static bool contributory(uint8_t vector)
{
    return vector == 0 || (vector >= 10 && vector <= 13);
}

/* What a second exception makes of the first, which was still being delivered (APM 2 8.2.9). */
static bool makes_double_fault(uint8_t first, uint8_t second)
{
    return (contributory(first) && contributory(second)) ||
           (first == VEC_PF && (contributory(second) || second == VEC_PF));
}

void vcpu_exception(struct vcpu *v, uint8_t vector, bool has_error, uint32_t error)
{
    struct vm_event next = {true, has_error, VM_EVENT_EXCEPTION, vector, error};

    if (v->inject.valid && v->inject.type == VM_EVENT_EXCEPTION) {
        if (v->inject.vector == VEC_DF && (contributory(vector) || vector == VEC_PF)) {
            vm_stop(v->vm, v, VM_CRASH, "triple fault (exception %u after a double fault)", vector);
            return;
        }
        if (makes_double_fault(v->inject.vector, vector))
            next = (struct vm_event){true, true, VM_EVENT_EXCEPTION, VEC_DF, 0};
    }
    v->inject = next;
}

/* NMI first (APM 2 8.5). An interrupt is left to the CPU; what it cannot be left waits for its window. */
static void deliver_pending(struct vcpu *v)
{
    int vector;

    if (v->nmi_pending && hvm->can_take_nmi(v)) {
        v->nmi_pending = false;
        v->inject = (struct vm_event){true, false, VM_EVENT_NMI, 2, 0};
        v->halted = false;
    }
    v->recheck = v->nmi_pending;              /* nothing tells when an NMI could go in: ask after each exit */
    vector = v->lent ? -1 : lapic_pending(v); /* lapic_lend() hands on what comes now at the next turn */
    if (vector >= 0 && hvm->can_take_intr(v))
        v->halted = false;
    if (!v->halted && !v->nmi_pending && lapic_delegate(v)) {
        hvm->want_window(v, false);
        return;
    }
    if (vector >= 0 && !v->halted && !v->nmi_pending && hvm->queue_intr(v, (uint8_t)vector)) {
        lapic_queue(v, (uint8_t)vector);
        v->queued = (uint8_t)vector;
        return;
    }
    hvm->want_window(v,
                     !v->lent && (v->nmi_pending || vector >= 0)); /* lapic_lend() takes it back for an NMI */
}

/* What the guest did with its interrupts while nobody looked. */
static void settle_interrupts(struct vcpu *v)
{
    if (v->queued)
        lapic_unqueue(v, v->queued, hvm->intr_delivered(v));
    v->queued = 0;
    if (v->pv_eoi_armed)
        lapic_pv_eoi_sync(v);
    v->recheck = true;
}

/* --- running --- */

/* What other CPUs asked for, then what is pending. VCPU_RUNNING: enter the guest. */
static enum vcpu_state prepare(struct vcpu *v)
{
    uint32_t requests = __atomic_exchange_n(&v->requests, 0, __ATOMIC_SEQ_CST);

    if (v->delegated)
        lapic_take_back(v);
    if (requests & VCPU_REQ_STOP)
        return VCPU_OFF;
    if (requests & VCPU_REQ_FLUSH)
        hvm->flush(v);
    if (requests & VCPU_REQ_INIT)
        init_state(v);
    if ((requests & VCPU_REQ_SIPI) && v->wait_sipi)
        sipi_start(v);
    if (v->wait_sipi)
        return VCPU_OFF;
    if (__atomic_load_n(&v->vm->frozen, __ATOMIC_SEQ_CST))
        return VCPU_BLOCKED;
    if (v->own_cpu)
        lapic_lend(v);
    deliver_pending(v);
    return v->halted ? VCPU_BLOCKED : VCPU_RUNNING;
}

/* The guest's map was changed since this vCPU's last entry. */
static void follow_p2m(struct vcpu *v)
{
    uint64_t now = __atomic_load_n(&v->vm->p2m.generation, __ATOMIC_ACQUIRE);

    if (v->p2m_generation == now)
        return;
    v->p2m_generation = now;
    hvm->flush(v);
}

/* The hot path: whatever is not needed at every exit waits for a flag. */
enum vcpu_state vcpu_run(struct vcpu *v)
{
    enum vcpu_state next;
    struct vm_exit e;

    if (v->vm->state == VM_STARTING) {
        next = vm_prepare(v);
        if (next != VCPU_RUNNING)
            return next;
    }
    hvm->load(v);
    v->recheck = true;
    for (;;) {
        if (v->recheck || __atomic_load_n(&v->requests, __ATOMIC_RELAXED)) {
            next = prepare(v);
            if (next != VCPU_RUNNING)
                break;
        }
        follow_p2m(v);
        hvm->run(v, &e);
        v->exits[e.kind]++;
        if (e.redo.valid)
            v->inject = e.redo;
        if (v->queued || v->pv_eoi_armed)
            settle_interrupts(v);
        exit_handle(v, &e);
        if (e.kind == VM_EXIT_HOST_INTR && sched_must_yield(v)) {
            next = VCPU_READY;
            break;
        }
    }
    lapic_take_back(v);
    hvm->put(v);
    return next;
}

/* --- instructions --- */

/* The exit says which instruction it was, so its opcode's length is known; prefixes are counted. */
static unsigned exit_insn_length(struct vcpu *v, enum vm_exit_kind kind)
{
    static const uint8_t opcode[VM_EXIT_KINDS] = {
        [VM_EXIT_CPUID] = 2,  [VM_EXIT_HLT] = 1,    [VM_EXIT_MSR] = 2, [VM_EXIT_HYPERCALL] = 3,
        [VM_EXIT_XSETBV] = 3, [VM_EXIT_WBINVD] = 2, [VM_EXIT_CR] = 3,
    };
    uint8_t buf[INSN_MAX];
    unsigned n = guest_fetch(v, buf);

    if (n == 0 || buf[0] == 0x0f || buf[0] == 0xf4) /* what those opcodes begin with */
        return opcode[kind];
    return opcode[kind] + insn_prefixes(buf, n, guest_bits(v));
}

void vcpu_skip(struct vcpu *v, const struct vm_exit *e)
{
    uint64_t old = v->rip;

    v->rip += e->len ? e->len : exit_insn_length(v, e->kind);
    if ((old ^ v->rip) >> 16 && guest_bits(v) != 64)
        v->rip &= guest_bits(v) == 32 ? GENMASK(31, 0) : GENMASK(15, 0); /* as the CPU wraps */
    hvm->clear_shadow(v);
}

/* --- for the log --- */

void vcpu_log(const struct vcpu *v)
{
    static const char names[GPRS][4] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                        "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};

    log_error("[%s] vCPU %u at cs:rip %04x:%016lx rflags %08lx cpl %u", v->vm->name, v->id,
              hvm->segment(v, SEG_CS).selector, v->rip, v->rflags, (unsigned)hvm->reg(v, REG_CPL));
    log_error("[%s] cr0 %08lx cr2 %016lx cr3 %016lx cr4 %08lx efer %04lx", v->vm->name, hvm->reg(v, REG_CR0),
              hvm->reg(v, REG_CR2), hvm->reg(v, REG_CR3), hvm->reg(v, REG_CR4), hvm->reg(v, REG_EFER));
    for (unsigned i = 0; i < GPRS; i += 4)
        log_error("[%s] %s %016lx %s %016lx %s %016lx %s %016lx", v->vm->name, names[i], v->gpr[i],
                  names[i + 1], v->gpr[i + 1], names[i + 2], v->gpr[i + 2], names[i + 3], v->gpr[i + 3]);
}
