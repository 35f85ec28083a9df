/* SPDX-License-Identifier: BSD-2-Clause */
#include "vm/vm.h"
#include "kernel/cpu/cpu.h"
#include "kernel/lib/string.h"
#include "kernel/mm/heap.h"
#include "vm/assign/assign.h"
#include "vm/assign/vf.h"
#include "vm/emul/emul.h"
#include "vm/loader.h"
#include "vm/migrate/migrate.h"
#include "vm/migrate/state.h"
#include "vm/sched.h"
#include "vm/setup.h"
#include "vm/vcpu.h"
#include <stdarg.h>

#define LINE_MAX 280
#define RETRY_NS (5 * NS_PER_MS)

static struct vm *vms, **vms_tail = &vms;

struct vm *vm_first(void)
{
    return __atomic_load_n(&vms, __ATOMIC_ACQUIRE);
}

/* --- what a guest can make the log say --- */

/* Takes a line from a budget of the VM, and says how many found none left before. */
static bool may_log(struct vm *vm, struct ratelimit *budget)
{
    uint32_t dropped = 0;
    bool ok;

    spin_lock(&vm->leaf_lock);
    ok = ratelimit_ok(budget);
    if (ok) {
        dropped = budget->dropped;
        budget->dropped = 0;
    }
    spin_unlock(&vm->leaf_lock);
    if (dropped > 0)
        log_warn("[%s] (%u lines dropped)", vm->name, dropped);
    return ok;
}

void vm_complain(struct vm *vm, const char *fmt, ...)
{
    char line[LINE_MAX];
    va_list ap;

    if (!may_log(vm, &vm->complaints))
        return;
    va_start(ap, fmt);
    vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    log_warn("[%s] %s", vm->name, line);
}

/* --- building --- */

int vm_iommu_open(struct vm *vm)
{
    int err = 0;

    if (!vm->iommu)
        vm->iommu = iommu_domain_create(vm->name);
    if (!vm->iommu)
        return -ENOMEM;
    for (const struct boot_block *b = vm->p2m.block; b < vm->p2m.end && !err; b++)
        err = iommu_map(vm->iommu, iova(b->at), hpa(b->base), b->size, IOMMU_R | IOMMU_W);
    return err;
}

void vm_iommu_close(struct vm *vm)
{
    if (!vm->iommu)
        return;
    for (const struct boot_block *b = vm->p2m.block; b < vm->p2m.end; b++)
        if (iommu_unmap(vm->iommu, iova(b->at), b->size) != 0)
            log_error("[%s] the IOMMU did not confirm that %#lx is unmapped", vm->name, b->at);
}

static int vcpus_create(struct vm *vm)
{
    int err = 0;

    while (vm->nvcpus < vm->cfg->vcpus && !err) {
        err = vcpu_create(vm, vm->nvcpus);
        if (!err)
            vm->nvcpus++;
    }
    return err;
}

static int build(struct vm *vm)
{
    static int (*const steps[])(struct vm * vm) = {ioapic_create, rtc_create,   vpci_create,
                                                   power_create,  vcpus_create, uart_create};
    int err = p2m_init(&vm->p2m, vm->cfg);

    for (unsigned i = 0; i < ARRAY_SIZE(steps) && !err; i++)
        err = steps[i](vm);
    return err;
}

/* The functions that a starting VM waits for may be there now. */
static void retry(struct timer *t)
{
    struct vm *vm = container_of(t, struct vm, retry);
    spin_guard(&vm->lock);

    if (vm->state == VM_STARTING)
        sched_wake(vm->vcpu[0]);
}

static bool usable(const struct boot_guest *cfg)
{
    uint64_t online = GENMASK(63, 0) >> (CPU_MAX - cpu_count());

    if (cfg->cpus != 0 && !(cfg->cpus & online))
        log_error("[%s] not started: cpus: none of them is online", cfg->name);
    else if (cfg->start.refusal[0])
        log_error("[%s] not started: %s", cfg->name, cfg->start.refusal);
    else
        return true;
    return false;
}

struct vm *vm_create(const struct boot_guest *cfg, bool privileged)
{
    struct vm *vm = usable(cfg) ? heap_alloc(sizeof(*vm)) : NULL;
    int err;

    if (!vm)
        return NULL;
    strlcpy(vm->name, cfg->name, sizeof(vm->name));
    vm->cfg = cfg;
    vm->privileged = privileged;
    timer_init(&vm->retry, retry);
    vm->complaints = (struct ratelimit)RATELIMIT_INIT(20, 5);
    vm->news = (struct ratelimit)RATELIMIT_INIT(10, 1);
    err = build(vm);
    if (err) {
        log_error("[%s] not started: error %d", vm->name, -err);
        return NULL;
    }
    __atomic_store_n(vms_tail, vm, __ATOMIC_RELEASE);
    vms_tail = &vm->next;
    log_info("[%s] %lu MiB, %u vCPU%s", vm->name, (cfg->memory >> 20), vm->nvcpus,
             vm->nvcpus == 1 ? "" : "s");
    return vm;
}

/* --- life: vm_start(), vm_stop(), last_left() and vm_prepare() are the only ones that change `state` --- */

/* The caller holds the lock. */
static void enter(struct vcpu *v)
{
    v->vm->running++;
    sched_wake(v);
}

void vm_vcpu_enter(struct vcpu *v)
{
    spin_guard(&v->vm->lock);

    if (v->vm->state == VM_RUNNING && __atomic_load_n(&v->state, __ATOMIC_SEQ_CST) == VCPU_OFF)
        enter(v);
}

int vm_start(struct vm *vm)
{
    spin_guard(&vm->lock);

    if (vm->state != VM_STOPPED)
        return -EBUSY;
    vm->end = VM_HELD;
    vm->ncrashes = 0;
    vm->state = VM_STARTING;
    enter(vm->vcpu[0]);
    return 0;
}

int vm_resume(struct vm *vm, struct vf *to)
{
    spin_guard(&vm->lock);

    if (vm->state != VM_SAVED)
        return -EBUSY;
    if (to && to != vm->vf[0]) {
        if (!vf_claim(to, vm))
            return -EEXIST;
        to->on_fault = vm->vf[0]->on_fault;
        vm->home = vm->vf[0];
        vm->vf[0] = to;
    }
    vm->end = VM_HELD;
    vm->state = VM_STARTING;
    enter(vm->vcpu[0]);
    return 0;
}

int vm_forget(struct vm *vm)
{
    spin_guard(&vm->lock);

    if (vm->state != VM_SAVED)
        return -EBUSY;
    state_drop(vm);
    vm->state = VM_STOPPED;
    return 0;
}

/*
 * The lock is held until every vCPU has been asked, so the VM cannot be restarted meanwhile. If all are
 * VCPU_OFF, vCPU 0 goes through its CPU once more, because stopping ends there.
 */
static bool ask_to_stop(struct vm *vm, enum vm_end end, const char *fmt, va_list ap)
{
    spin_guard(&vm->lock);

    if (vm->state != VM_RUNNING && vm->state != VM_STARTING)
        return false;
    vm->state = VM_DYING;
    vm->end = end;
    vsnprintf(vm->stop_reason, sizeof(vm->stop_reason), fmt, ap);
    for (unsigned i = 0; i < vm->nvcpus; i++)
        vcpu_request(vm->vcpu[i], VCPU_REQ_STOP);
    if (vm->running == 0)
        enter(vm->vcpu[0]);
    return true;
}

void vm_stop(struct vm *vm, struct vcpu *culprit, enum vm_end end, const char *fmt, ...)
{
    va_list ap;
    bool runs;

    va_start(ap, fmt);
    runs = ask_to_stop(vm, end, fmt, ap);
    va_end(ap);
    if (runs && (end >= VM_CRASH || end == VM_HELD || may_log(vm, &vm->news)))
        log_print(end >= VM_CRASH ? LOG_ERROR : LOG_INFO, "[%s] stops: %s", vm->name, vm->stop_reason);
    if (runs && culprit)
        vcpu_log(culprit);
}

/* Remembers this crash; true if it is the VM_CRASHES-th within the window. */
static bool crashes_too_often(struct vm *vm)
{
    uint64_t now = time_ns();

    vm->crash_ns[vm->ncrashes++ % VM_CRASHES] = now;
    return vm->ncrashes >= VM_CRASHES && now - vm->crash_ns[vm->ncrashes % VM_CRASHES] < VM_CRASH_WINDOW_NS;
}

static bool wants_restart(struct vm *vm)
{
    if (vm->end != VM_CRASH)
        return vm->end == VM_POWER_RESET;
    if (vm->cfg->on_crash != BOOT_CRASH_RESTART)
        return false;
    if (!crashes_too_often(vm))
        return true;
    log_error("[%s] crashed %u times within %u s: it stays down%s", vm->name, VM_CRASHES,
              (unsigned)(VM_CRASH_WINDOW_NS / NS_PER_S),
              vm->privileged ? "; running guests keep their VFs; `restart iodomain` starts it again" : "");
    return false;
}

/*
 * Nothing of a VM that is to stop is on a CPU any more: devices go back, and the policy decides. The vCPUs
 * are reset either way: a timer that goes on would take time that nobody is charged for.
 */
static void last_left(struct vm *vm)
{
    bool again;

    setup_release(vm);
    again = !vm->saved && wants_restart(vm);
    if (vm->home) {
        vm->vf[0]->dev->faults = (struct pci_faults){0}; /* nothing of it comes to the next owner */
        __atomic_store_n(&vm->vf[0]->owner, NULL, __ATOMIC_SEQ_CST);
        vm->vf[0] = vm->home;
        vm->home = NULL;
    }
    for (unsigned i = 0; i < vm->nvcpus; i++)
        vcpu_reset(vm->vcpu[i]);
    ioapic_reset(vm);
    vm->loaded = vm->gap = 0;
    if (!vm->privileged) /* the I/O domain zeroes what it needs: its control must be back soon */
        vm->zeroed = 0;
    vm->frozen = false;
    spin_lock(&vm->lock);
    vm->state = again ? VM_STARTING : vm->saved ? VM_SAVED : VM_STOPPED;
    if (again)
        enter(vm->vcpu[0]);
    spin_unlock(&vm->lock);
    if (again)
        return;
    log_info("[%s] is stopped: %s", vm->name, vm->stop_reason);
    setup_stopped();
}

void vm_vcpu_left(struct vcpu *v)
{
    struct vm *vm = v->vm;
    bool last;

    spin_lock(&vm->lock);
    vm->running--;
    last = vm->state == VM_DYING && vm->running == 0;
    spin_unlock(&vm->lock);
    if (last)
        last_left(vm);
    else if (__atomic_load_n(&v->requests, __ATOMIC_SEQ_CST) & VCPU_REQ_SIPI)
        vm_vcpu_enter(v); /* the message came before VCPU_OFF was announced, and woke nobody */
}

/* A start that failed ends like any other run: with vm_vcpu_left(). */
static enum vcpu_state start_done(struct vm *vm, int err)
{
    spin_guard(&vm->lock);

    if (vm->state != VM_STARTING)
        return VCPU_OFF;
    vm->state = err ? VM_DYING : VM_RUNNING;
    for (unsigned i = 1; i < vm->nvcpus && !err && vm->saved; i++)
        if (!vm->vcpu[i]->wait_sipi)
            enter(vm->vcpu[i]);
    if (!err)
        return VCPU_RUNNING;
    vm->end = VM_HELD;
    snprintf(vm->stop_reason, sizeof(vm->stop_reason), "it could not be started (error %d)", -err);
    return VCPU_OFF;
}

/*
 * In the VM's own time, for memory and image may be large and functions take 100 ms to come out of their
 * reset. The console's UART, the clock and the virtual PCI bus stay as they are; every driver sets them up
 * anyway. Others wait for the I/O domain: it goes on without a break, and does not pay for that with its share,
 * or it would stand behind them for as long, and be taken for hung.
 */
enum vcpu_state vm_prepare(struct vcpu *v)
{
    struct vm *vm = v->vm;
    bool saved = vm->saved;
    enum vcpu_state next;
    int err = 0;

    while (!saved && (p2m_zero(&vm->p2m, &vm->zeroed) || (err = loader_load(vm, &vm->loaded)) > 0)) {
        cpu_take_interrupts();
        if (vm->state != VM_STARTING || (!vm->privileged && sched_must_yield(v)))
            return VCPU_READY;
    }
    if (!err)
        err = setup_assign(vm);
    if (err == -EAGAIN) {
        timer_arm(&vm->retry, time_ns() + RETRY_NS);
        return VCPU_BLOCKED;
    }
    vm->frozen = saved; /* until the VF is restored, too */
    if (!err && saved)
        err = state_load(vm);
    next = start_done(vm, err);
    if (vm->privileged)
        sched_forgive(v);
    if (saved && next == VCPU_RUNNING)
        migrate_load(vm);
    if (saved)
        return next;
    if (next == VCPU_RUNNING && (vm->end == VM_HELD || may_log(vm, &vm->news)))
        log_info("[%s] %s", vm->name, vm->end == VM_HELD ? "started" : "restarted");
    return next;
}

void vm_interrupt(struct vm *vm)
{
    for (unsigned i = 0; i < vm->nvcpus; i++) {
        const struct vcpu *v = vm->vcpu[i];

        if (__atomic_load_n(&v->state, __ATOMIC_SEQ_CST) == VCPU_RUNNING && v->cpu != cpu_id())
            cpu_kick(v->cpu);
    }
}

/* A vCPU that is blocked takes a turn for it, too, in which it sees the flag. */
void vm_freeze(struct vm *vm, bool on)
{
    __atomic_store_n(&vm->frozen, on, __ATOMIC_SEQ_CST);
    for (unsigned i = 0; i < vm->nvcpus; i++)
        vcpu_request(vm->vcpu[i], VCPU_REQ_EVENT);
}

bool vm_is_off_cpus(const struct vm *vm)
{
    bool off = true;

    for (unsigned i = 0; i < vm->nvcpus; i++) {
        enum vcpu_state state = __atomic_load_n(&vm->vcpu[i]->state, __ATOMIC_SEQ_CST);

        off &= state == VCPU_BLOCKED || state == VCPU_OFF;
    }
    return off;
}

/* --- trapped regions --- */

/* The caller holds leaf_lock. */
static struct io_region *region_at(struct vm *vm, enum io_space space, uint64_t addr)
{
    struct io_region *r = vm->io[space];

    for (; r < vm->io[space] + vm->nio[space]; r++)
        if (addr - r->base < r->size)
            return r;
    return NULL;
}

int vm_io_register(struct vm *vm, enum io_space space, uint64_t base, uint64_t size, io_fn *fn, void *dev)
{
    struct io_region *r = vm->io[space];
    spin_guard(&vm->leaf_lock);

    for (; r < vm->io[space] + vm->nio[space]; r++)
        if (r->base - base < size || base - r->base < r->size)
            return -EEXIST;
    if (vm->nio[space] == VM_IO_REGIONS)
        return -ENOSPC;
    vm->nio[space]++;
    *r = (struct io_region){base, size, fn, dev};
    return 0;
}

void vm_io_unregister(struct vm *vm, enum io_space space, uint64_t base)
{
    struct io_region *r;
    spin_guard(&vm->leaf_lock);

    r = region_at(vm, space, base);
    if (r && r->base == base)
        *r = vm->io[space][--vm->nio[space]];
}

/* A copy, or one without a function. */
static struct io_region find(struct vm *vm, enum io_space space, uint64_t addr)
{
    const struct io_region *r;
    spin_guard(&vm->leaf_lock);

    r = region_at(vm, space, addr);
    return r ? *r : (struct io_region){0};
}

bool vm_io_exists(struct vm *vm, enum io_space space, uint64_t addr)
{
    return find(vm, space, addr).fn;
}

bool vm_io(struct vcpu *v, enum io_space space, struct io_access *a)
{
    struct io_region r = find(v->vm, space, a->addr);

    if (!a->write)
        a->data = ~(uint64_t)0;
    if (!r.fn)
        return false;
    a->addr -= r.base;
    r.fn(v, r.dev, a);
    return true;
}
