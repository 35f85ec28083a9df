/* SPDX-License-Identifier: BSD-2-Clause */
#include "vm/migrate/state.h"
#include "kernel/console/log.h"
#include "kernel/cpu/x86.h"
#include "kernel/lib/string.h"
#include "kernel/mm/heap.h"
#include "vm/cpustate.h"
#include "vm/emul/emul.h"
#include "vm/emul/lapic.h"
#include "vm/emul/regs.h"
#include "vm/hvm.h"
#include "vm/vm.h"

#define LOW       GENMASK(31, 0)
#define RTC_INDEX 0x7f

/* XSAVE area (SDM 1 13.4) */
#define XSAVE_MXCSR  24
#define XSAVE_BV     512
#define XSAVE_HEADER 64
#define MXCSR_VALID  GENMASK32(15, 0)

/* RFLAGS without the reserved ones (SDM 1 3.4.3) */
#define RFLAGS_VALID 0x3f7fd7ull
#define RFLAGS_ONE   BIT(1)
#define RFLAGS_VM    BIT(17)

/* --- the machine --- */

static void machine_save(struct vm *vm, UNUSED unsigned i, void *data)
{
    *(struct state_machine *)data =
        (struct state_machine){rdtsc() - vm->gap, time_tsc_khz(), vm->nvcpus, vm->rtc_index, 0};
}

static const char *machine_check(const struct vm *vm, UNUSED unsigned i, const void *data)
{
    const struct state_machine *s = data;

    return s->tsc_khz != time_tsc_khz() ? "tsc_khz"
           : s->vcpus != vm->nvcpus     ? "vcpus"
           : s->rtc_index > RTC_INDEX   ? "rtc_index"
                                        : NULL;
}

static void machine_load(struct vm *vm, UNUSED unsigned i, const void *data)
{
    const struct state_machine *s = data;

    vm->gap = rdtsc() - s->clock;
    vm->rtc_index = (uint8_t)s->rtc_index;
}

/* --- vCPUs --- */

static void vcpu_save(struct vm *vm, unsigned i, void *data)
{
    struct vcpu *v = vm->vcpu[i];
    const struct cpustate *c = hvm->cpustate(v);
    struct state_vcpu *s = data;

    for (unsigned r = 0; r < VM_REGS; r++)
        if (r != REG_CPL && r != REG_CR8 && r != REG_TSC_OFFSET)
            s->cpu.reg[r] = hvm->reg(v, (enum vm_reg)r);
    for (unsigned seg = 0; seg < VM_SEGS; seg++)
        s->cpu.segment[seg] = hvm->segment(v, (enum vm_seg)seg);
    memcpy(s->cpu.gpr, v->gpr, sizeof(v->gpr));
    s->cpu.rip = v->rip;
    s->cpu.rflags = v->rflags;
    memcpy(s->dr, c->dr, sizeof(s->dr));
    s->tsc_aux = c->tsc_aux;
    s->xcr0 = c->xcr0;
    s->tsc = v->tsc_offset + vm->gap;
    s->pvclock = v->pvclock_gpa;
    s->wall_clock = v->wallclock_gpa;
    s->pv_eoi = v->pv_eoi_gpa;
    s->event_valid = v->inject.valid;
    s->event_error = v->inject.has_error;
    s->event_type = v->inject.type;
    s->event_vector = v->inject.vector;
    s->error = v->inject.error;
    s->halted = v->halted;
    s->wait_sipi = v->wait_sipi;
    s->nmi_pending = v->nmi_pending;
}

/* 0, or RAM where it may be. */
static bool is_shared(const struct vm *vm, uint64_t msr, uint64_t bytes)
{
    return !(msr & KVM_MSR_ENABLE) || (!(msr & 2) && p2m_ram(&vm->p2m, gpa(msr & ~KVM_MSR_ENABLE), bytes));
}

static bool is_canonical(uint64_t a)
{
    return (uint64_t)((int64_t)(a << 16) >> 16) == a;
}

static bool is_segment(const struct vm_segment *s, unsigned seg)
{
    bool table = seg == SEG_GDTR || seg == SEG_IDTR;

    return is_canonical(s->base) && !(s->attr >> 12) && !(table && s->limit > UINT16_MAX);
}

static const char *registers_check(const struct boot_vcpu *s)
{
    const struct boot_limit *reg = hvm_cpu.limit;

    for (unsigned r = 0; r < VM_REGS; r++)
        if (reg[r].valid ? (s->reg[r] & ~reg[r].valid) != 0 : !is_canonical(s->reg[r]))
            return reg[r].name;
    for (unsigned seg = 0; seg < VM_SEGS; seg++)
        if (!is_segment(&s->segment[seg], seg))
            return "segment";
    return !is_canonical(s->rip)                                      ? "RIP"
           : (s->rflags & ~RFLAGS_VALID) || !(s->rflags & RFLAGS_ONE) ? "RFLAGS"
                                                                      : NULL;
}

/* And what goes together (APM 2 3.1, 14.6). */
static const char *vcpu_check(const struct vm *vm, UNUSED unsigned i, const void *data)
{
    static const uint8_t last_vector[] = {UINT8_MAX, 0, 2, 31}; /* by the event's type */
    const struct state_vcpu *s = data;
    uint64_t cr0 = s->cpu.reg[REG_CR0], efer = s->cpu.reg[REG_EFER];
    bool is_long = (efer & EFER_LME) && (cr0 & CR0_PG);
    const char *bad = registers_check(&s->cpu);

    if (bad)
        return bad;
    return ((cr0 & CR0_PG) && !(cr0 & CR0_PE)) || ((cr0 & CR0_NW) && !(cr0 & CR0_CD)) ? "CR0"
           : is_long && !(s->cpu.reg[REG_CR4] & CR4_PAE)                              ? "CR4"
           : is_long != !!(efer & EFER_LMA)                                           ? "EFER"
           : is_long && (s->cpu.rflags & RFLAGS_VM)                                   ? "RFLAGS"
           : !pat_is_valid(s->cpu.reg[REG_PAT])                                       ? "PAT"
           : !xcr0_is_valid(s->xcr0)                                                  ? "XCR0"
           : s->tsc_aux & ~LOW                                                        ? "TSC_AUX"
           : !is_shared(vm, s->pvclock, 32)                                           ? "pvclock"
           : !is_shared(vm, s->pv_eoi, 4)                                             ? "pv_eoi"
           : s->event_valid > 1 || s->event_error > 1 || s->event_type >= ARRAY_SIZE(last_vector) ||
                   s->event_type == 1 || s->event_vector > last_vector[s->event_type]
               ? "event"
           : (s->halted | s->wait_sipi | s->nmi_pending) > 1 ? "flags"
                                                             : NULL;
}

static void vcpu_load(struct vm *vm, unsigned i, const void *data)
{
    struct vcpu *v = vm->vcpu[i];
    struct cpustate *c = hvm->cpustate(v);
    const struct state_vcpu *s = data;

    cpustate_set(v, &s->cpu, hvm);
    for (unsigned r = REG_CPL + 1; r < VM_REGS; r++)
        hvm->set_reg(v, (enum vm_reg)r, s->cpu.reg[r]);
    memcpy(c->dr, s->dr, sizeof(c->dr));
    c->tsc_aux = s->tsc_aux;
    c->xcr0 = s->xcr0;
    v->tsc_offset = s->tsc - vm->gap;
    hvm->set_reg(v, REG_TSC_OFFSET, v->tsc_offset);
    v->wallclock_gpa = s->wall_clock;
    v->pvclock_gpa = s->pvclock;
    pvclock_update(v);
    if (lapic_pv_eoi_write(v, MSR_KVM_PV_EOI, s->pv_eoi) != 0)
        panic("%s: what was checked cannot be loaded", vm->name);
    v->inject = (struct vm_event){s->event_valid, s->event_error, s->event_type, s->event_vector, s->error};
    v->halted = s->halted;
    v->wait_sipi = s->wait_sipi;
    v->nmi_pending = s->nmi_pending;
}

static void *xstate_at(struct vm *vm, unsigned i)
{
    return hvm->cpustate(vm->vcpu[i])->xstate;
}

/* What XRSTOR would refuse (SDM 1 13.8.1). */
static const char *xstate_check(UNUSED const struct vm *vm, UNUSED unsigned i, const void *data)
{
    static const uint8_t zero[XSAVE_HEADER - 8];
    const uint8_t *header = (const uint8_t *)data + XSAVE_BV;
    uint64_t states;
    uint32_t mxcsr;

    memcpy(&states, header, sizeof(states));
    memcpy(&mxcsr, (const char *)data + XSAVE_MXCSR, sizeof(mxcsr));
    return mxcsr & ~MXCSR_VALID                          ? "MXCSR"
           : states & ~hvm_cpu.xstates                   ? "XSTATE_BV"
           : memcmp(header + 8, zero, sizeof(zero)) != 0 ? "header"
                                                         : NULL;
}

/* --- all of them --- */

static const char *vf_check(UNUSED const struct vm *vm, UNUSED unsigned i, const void *data)
{
    return ((const struct state_vf *)data)->length <= MOVE_RECORD_MAX ? NULL : "length";
}

static const struct state_part machine = {
    "machine", sizeof(struct state_machine), false, NULL, machine_save, machine_check, machine_load};
static const struct state_part vcpu = {"vcpu",   sizeof(struct state_vcpu), true, NULL, vcpu_save, vcpu_check,
                                       vcpu_load};
static const struct state_part xstate = {"xstate", 0, true, xstate_at, NULL, xstate_check, NULL};
static const struct state_part vf = {"vf", sizeof(struct state_vf), false, NULL, NULL, vf_check, NULL};

/* By type, in the order in which they are loaded. */
static const struct state_part *const parts[RECORD_TYPES] = {
    NULL, &machine, &vcpu, &xstate, &lapic_part, &ioapic_part, &uart_part, &function_part, &vf};

static uint32_t bytes_of(const struct vm *vm, const struct state_part *p)
{
    return p->bytes ? p->bytes : p == &xstate ? hvm_cpu.xstate_size : function_state_bytes(vm);
}

enum what { SIZE, SAVE, CHECK, LOAD };

static bool is_refused(const struct vm *vm, const struct record *want, const struct record *r, uint64_t left)
{
    const struct state_part *p = parts[want->type];
    const char *bad = left < sizeof(*r) + ALIGN_UP(want->length, 8) ? "there is no more"
                      : r->type != want->type                       ? "type"
                      : r->version != want->version                 ? "version"
                      : r->index != want->index                     ? "index"
                      : r->length != want->length                   ? "length"
                                                                    : p->check(vm, want->index, r + 1);

    if (bad)
        log_error("[%s] cannot be resumed: record %s %u: %s", vm->name, p->name, want->index, bad);
    return bad;
}

static void save(struct vm *vm, const struct record *want, struct record *r)
{
    const struct state_part *p = parts[want->type];

    *r = *want;
    if (p->save)
        p->save(vm, want->index, r + 1);
    if (p->at)
        memcpy(r + 1, p->at(vm, want->index), want->length);
}

static void load(struct vm *vm, const struct record *r)
{
    const struct state_part *p = parts[r->type];

    if (p->at)
        memcpy(p->at(vm, r->index), r + 1, r->length);
    if (p->load)
        p->load(vm, r->index, r + 1);
}

/* Bytes of all records; 0: they are refused. */
static uint64_t walk(struct vm *vm, enum what what)
{
    uint64_t at = 0;

    for (uint32_t type = RECORD_MACHINE; type < RECORD_TYPES; type++) {
        const struct state_part *p = parts[type];
        struct record want = {type, RECORD_VERSION, 0, bytes_of(vm, p)};

        for (; want.index < (p->per_vcpu ? vm->nvcpus : 1); want.index++) {
            struct record *r = (void *)((uintptr_t)vm->saved + at);

            if (what == CHECK && is_refused(vm, &want, r, vm->saved_bytes - at))
                return 0;
            if (what == SAVE)
                save(vm, &want, r);
            if (what == LOAD)
                load(vm, r);
            at += sizeof(want) + ALIGN_UP(want.length, 8);
        }
    }
    return at;
}

const struct state_vf *state_vf(const struct vm *vm)
{
    return (const void *)(vm->saved + vm->saved_bytes - sizeof(struct state_vf));
}

int state_save(struct vm *vm, const void *record, uint32_t length)
{
    struct state_vf last = {.length = length};

    if (vm->nvfs != 1 || vm->cfg->nfunctions || length > sizeof(last.record))
        return -ENODEV;
    vm->saved_bytes = walk(vm, SIZE);
    vm->saved = heap_alloc(vm->saved_bytes);
    if (!vm->saved)
        return -ENOMEM;
    memcpy(last.record, record, length);
    memcpy(vm->saved + vm->saved_bytes - sizeof(last), &last, sizeof(last));
    return 0;
}

void state_take(struct vm *vm)
{
    if (vm->saved && ((const struct record *)(const void *)vm->saved)->type == 0) /* not taken yet */
        (void)walk(vm, SAVE);
}

int state_load(struct vm *vm)
{
    uint64_t bytes = walk(vm, CHECK);

    if (bytes != 0 && bytes != vm->saved_bytes)
        log_error("[%s] cannot be resumed: more than its records", vm->name);
    if (bytes == 0 || bytes != vm->saved_bytes)
        return -EINVAL;
    (void)walk(vm, LOAD);
    return 0;
}

void state_drop(struct vm *vm)
{
    heap_free(vm->saved, vm->saved_bytes);
    vm->saved = NULL;
}
