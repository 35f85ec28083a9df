/* SPDX-License-Identifier: BSD-2-Clause */
#include "vm/vm.h"
#include "kernel/cpu/cpu.h"
#include "kernel/lib/bits.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"
#include "kernel/mm/heap.h"
#include "kernel/mm/paging.h"
#include "vm/assign/assign.h"
#include "vm/emul/cpuid.h"
#include "vm/emul/emul.h"
#include "vm/emul/tables.h"
#include "vm/loader.h"
#include "vm/sched.h"
#include "vm/setup.h"
#include "vm/vcpu.h"
#include <stdarg.h>

#define COMPLAINTS_BURST   20
#define COMPLAINTS_PER_SEC 5
#define NEWS_BURST         10
#define NEWS_PER_SEC       1
#define LINE_MAX           280

static struct vm *vms, **vms_tail = &vms;
static struct spinlock vms_lock = SPINLOCK_INIT;

struct vm *vm_first(void)
{
    return __atomic_load_n(&vms, __ATOMIC_ACQUIRE);
}

struct vm *vm_find(const char *name)
{
    struct vm *vm = vm_first();

    while (vm && strcmp(vm->name, name) != 0)
        vm = vm->next;
    return vm;
}

static void vms_add(struct vm *vm)
{
    static unsigned ids;

    spin_lock(&vms_lock);
    vm->id = ids++;
    __atomic_store_n(vms_tail, vm, __ATOMIC_RELEASE);
    vms_tail = &vm->next;
    spin_unlock(&vms_lock);
}

/* --- what a guest can make the log say --- */

static void say(struct vm *vm, struct ratelimit *budget, enum log_level level, const char *fmt, va_list ap)
{
    char line[LINE_MAX];
    uint32_t dropped;
    bool ok;

    spin_lock(&vm->leaf_lock);
    ok = ratelimit_ok(budget);
    dropped = budget->dropped;
    if (ok)
        budget->dropped = 0;
    spin_unlock(&vm->leaf_lock);
    if (!ok)
        return;
    vsnprintf(line, sizeof(line), fmt, ap);
    if (dropped > 0)
        log_warn("[%s] (%u lines dropped)", vm->name, dropped);
    log_print(level, "[%s] %s", vm->name, line);
}

void vm_complain(struct vm *vm, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    say(vm, &vm->complaints, LOG_WARN, fmt, ap);
    va_end(ap);
}

static void tell(struct vm *vm, const char *fmt, ...) PRINTF(2, 3);

static void tell(struct vm *vm, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    say(vm, &vm->news, LOG_INFO, fmt, ap);
    va_end(ap);
}

/* --- building --- */

static int map_for_devices(gpa_t at, hpa_t target, uint64_t size, void *arg)
{
    return iommu_map(arg, iova(at.a), target, size, IOMMU_R | IOMMU_W);
}

/* The address space of the VM's functions: its RAM at the guest's own addresses. */
static int iommu_create(struct vm *vm)
{
    if (!vm->privileged && vm->cfg->nvfs == 0)
        return 0;
    vm->iommu = iommu_domain_create(vm->name);
    return vm->iommu ? p2m_for_each_ram(&vm->p2m, map_for_devices, vm->iommu) : -ENOMEM;
}

static void iommu_destroy(struct vm *vm)
{
    if (vm->iommu && iommu_domain_destroy(vm->iommu) != 0)
        log_error("[%s] its IOMMU domain is still in use and stays", vm->name);
    vm->iommu = NULL;
}

static int memory_create(struct vm *vm)
{
    int err = p2m_init(&vm->p2m, vm->cfg->memory);

    if (err)
        return err;
    err = iommu_create(vm);
    if (err) {
        iommu_destroy(vm);
        p2m_destroy(&vm->p2m);
        return err;
    }
    cpuid_init();
    return 0;
}

static void memory_destroy(struct vm *vm)
{
    iommu_destroy(vm);
    p2m_destroy(&vm->p2m);
}

static void devices_destroy(struct vm *vm)
{
    vpci_destroy(vm);
    uart_destroy(vm);
    ioapic_destroy(vm);
}

static int devices_create(struct vm *vm)
{
    static int (*const create[])(struct vm * vm) = {ioapic_create, uart_create, rtc_create, vpci_create,
                                                    power_create};
    int err = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(create) && !err; i++)
        err = create[i](vm);
    if (err)
        devices_destroy(vm);
    return err;
}

static void vcpus_destroy(struct vm *vm)
{
    while (vm->nvcpus > 0)
        vcpu_destroy(vm->vcpu[--vm->nvcpus]);
}

static int vcpus_create(struct vm *vm)
{
    while (vm->nvcpus < vm->cfg->vcpus) {
        int err = vcpu_create(vm, vm->nvcpus);

        if (err) {
            vcpus_destroy(vm);
            return err;
        }
        vm->nvcpus++;
    }
    return 0;
}

static const void *file_ptr(const struct boot_file *f)
{
    return f->size ? hpa_to_ptr(hpa(f->base)) : NULL;
}

/* Puts the pristine image into zeroed RAM and vCPU 0 at its start. */
static int load(struct vm *vm)
{
    const struct load_image img = {.kernel = file_ptr(&vm->cfg->kernel),
                                   .kernel_size = vm->cfg->kernel.size,
                                   .initrd = file_ptr(&vm->cfg->initrd),
                                   .initrd_size = vm->cfg->initrd.size,
                                   .cmdline = vm->cfg->cmdline};
    const char *why = "cannot be loaded";
    int err = loader_load(vm, &img, &why);

    if (err) {
        log_error("[%s] not started: %s", vm->name, why);
        return err;
    }
    return tables_write(vm);
}

static int build(struct vm *vm)
{
    int err = memory_create(vm);

    if (err)
        return err;
    err = devices_create(vm);
    if (err)
        goto out_memory;
    err = vcpus_create(vm);
    if (err)
        goto out_devices;
    err = load(vm);
    if (!err)
        return 0;

    vcpus_destroy(vm);
out_devices:
    devices_destroy(vm);
out_memory:
    memory_destroy(vm);
    return err;
}

static int check(const struct boot_guest *cfg)
{
    uint64_t online = GENMASK(63, 0) >> (CPU_MAX - cpu_count());

    if (cfg->vcpus == 0 || cfg->vcpus > VM_VCPUS_MAX) {
        log_error("[%s] not started: vcpus: %u, must be 1 to %u", cfg->name, cfg->vcpus, VM_VCPUS_MAX);
        return -EINVAL;
    }
    if (cfg->cpus != 0 && !(cfg->cpus & online)) {
        log_error("[%s] not started: cpus: none of them is online", cfg->name);
        return -EINVAL;
    }
    return 0;
}

struct vm *vm_create(const struct boot_guest *cfg, bool privileged)
{
    struct vm *vm = check(cfg) == 0 ? heap_alloc(sizeof(*vm)) : NULL;
    int err;

    if (!vm)
        return NULL;
    strlcpy(vm->name, cfg->name, sizeof(vm->name));
    vm->cfg = cfg;
    vm->privileged = privileged;
    vm->complaints = (struct ratelimit)RATELIMIT_INIT(COMPLAINTS_BURST, COMPLAINTS_PER_SEC);
    vm->news = (struct ratelimit)RATELIMIT_INIT(NEWS_BURST, NEWS_PER_SEC);
    err = build(vm);
    if (err) {
        log_error("[%s] not started: error %d", vm->name, -err);
        heap_free(vm, sizeof(*vm));
        return NULL;
    }
    vms_add(vm);
    log_info("[%s] %llu MiB, %u vCPU%s", vm->name, (unsigned long long)(cfg->memory >> 20), vm->nvcpus,
             vm->nvcpus == 1 ? "" : "s");
    return vm;
}

/* --- starting and stopping --- */

void vm_vcpu_enter(struct vcpu *v)
{
    struct vm *vm = v->vm;

    spin_lock(&vm->lock);
    if (vm->state == VM_RUNNING && __atomic_load_n(&v->state, __ATOMIC_SEQ_CST) == VCPU_OFF) {
        vm->running++;
        sched_wake(v);
    }
    spin_unlock(&vm->lock);
}

int vm_start(struct vm *vm)
{
    spin_lock(&vm->lock);
    if (vm->state != VM_STOPPED) {
        spin_unlock(&vm->lock);
        return -EBUSY;
    }
    vm->state = VM_RUNNING;
    vm->crashed = vm->again = false;
    spin_unlock(&vm->lock);
    vm_vcpu_enter(vm->vcpu[0]);
    return 0;
}

/*
 * The lock is held until every vCPU has been asked, so the VM cannot be restarted meanwhile. If all are
 * VCPU_OFF, vCPU 0 goes through its CPU once more, because stopping ends there.
 */
static bool ask_to_stop(struct vm *vm, bool crash, bool again, const char *reason)
{
    spin_lock(&vm->lock);
    if (vm->state != VM_RUNNING) {
        spin_unlock(&vm->lock);
        return false;
    }
    vm->state = VM_DYING;
    vm->crashed = crash;
    vm->again = again;
    strlcpy(vm->stop_reason, reason, sizeof(vm->stop_reason));
    for (unsigned i = 0; i < vm->nvcpus; i++)
        vcpu_request(vm->vcpu[i], VCPU_REQ_STOP);
    if (vm->running == 0) {
        vm->running = 1;
        sched_wake(vm->vcpu[0]);
    }
    spin_unlock(&vm->lock);
    return true;
}

void vm_stop(struct vm *vm, struct vcpu *culprit, bool crash, const char *fmt, ...)
{
    char reason[sizeof(vm->stop_reason)];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(reason, sizeof(reason), fmt, ap);
    va_end(ap);
    if (!ask_to_stop(vm, crash, false, reason))
        return;
    log_print(crash ? LOG_ERROR : LOG_INFO, "[%s] stops: %s", vm->name, reason);
    if (culprit)
        vcpu_log(culprit);
}

void vm_power(struct vm *vm, enum vm_power what)
{
    const char *reason = what == VM_POWER_RESET ? "reset by the guest" : "powered off by the guest";

    if (ask_to_stop(vm, false, what == VM_POWER_RESET, reason))
        tell(vm, "stops: %s", reason);
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
    if (!vm->crashed)
        return vm->again;
    if (vm->cfg->on_crash != BOOT_CRASH_RESTART)
        return false;
    if (!crashes_too_often(vm))
        return true;
    log_error("[%s] crashed %u times within %u s: it stays down", vm->name, VM_CRASHES,
              (unsigned)(VM_CRASH_WINDOW_NS / NS_PER_S));
    return false;
}

/* What is left to do when the RAM is zero and the functions answer: from the pristine image. */
static int rebuild(struct vm *vm)
{
    int err = load(vm);

    return err ? err : setup_assign(vm);
}

static void restarted(struct vm *vm, int err)
{
    spin_lock(&vm->lock);
    vm->state = err ? VM_STOPPED : VM_RUNNING;
    if (!err)
        vm->crashed = vm->again = false;
    spin_unlock(&vm->lock);
    if (err)
        log_error("[%s] cannot be restarted (error %d): it stays down", vm->name, -err);
    else
        tell(vm, "restarted");
}

/*
 * In the VM's own time, for memory may be large and functions take 100 ms to come out of their reset. The
 * console's UART, the clock and the virtual PCI bus stay as they are; every driver sets them up anyway.
 */
bool vm_restart(struct vcpu *v)
{
    struct vm *vm = v->vm;
    int err;

    while (p2m_zero(&vm->p2m, &vm->zeroed) || !setup_can_assign(vm)) {
        cpu_take_interrupts();
        if (sched_must_yield(v))
            return false;
    }
    err = rebuild(vm);
    restarted(vm, err);
    return err == 0;
}

static void restart(struct vm *vm)
{
    ioapic_reset(vm);
    vm->zeroed = 0;
    spin_lock(&vm->lock);
    vm->state = VM_RESTARTING;
    vm->running = 1;
    sched_wake(vm->vcpu[0]);
    spin_unlock(&vm->lock);
}

/*
 * The last vCPU is off its CPU: devices go back, and the policy decides. The vCPUs are reset either way: a
 * timer that goes on would take time that nobody is charged for.
 */
static void stopped(struct vm *vm)
{
    assign_release_all(vm);
    for (unsigned i = 0; i < vm->nvcpus; i++)
        vcpu_reset(vm->vcpu[i]);
    if (wants_restart(vm)) {
        restart(vm);
        return;
    }
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
    if (last)
        vm->state = VM_STOPPED;
    spin_unlock(&vm->lock);
    if (last)
        stopped(vm);
    else if (__atomic_load_n(&v->requests, __ATOMIC_SEQ_CST) & VCPU_REQ_SIPI)
        vm_vcpu_enter(v); /* the message came before VCPU_OFF was announced, and woke nobody */
}

void vm_interrupt(struct vm *vm)
{
    for (unsigned i = 0; i < vm->nvcpus; i++) {
        const struct vcpu *v = vm->vcpu[i];

        if (__atomic_load_n(&v->state, __ATOMIC_SEQ_CST) == VCPU_RUNNING && v->cpu != cpu_id())
            cpu_kick(v->cpu);
    }
}

/* --- trapped regions --- */

/* Index of the first region that ends above `addr`; regions are sorted and do not overlap. The caller holds
 * leaf_lock. */
static unsigned io_index(const struct vm *vm, enum io_space space, uint64_t addr)
{
    const struct io_region *r = vm->io[space];
    unsigned lo = 0, hi = vm->nio[space];

    while (lo < hi) {
        unsigned mid = (lo + hi) / 2;

        if (addr - r[mid].base < r[mid].size || addr < r[mid].base)
            hi = mid;
        else
            lo = mid + 1;
    }
    return lo;
}

static bool io_find(struct vm *vm, enum io_space space, uint64_t addr, struct io_region *out)
{
    unsigned i;
    bool found;

    spin_lock(&vm->leaf_lock);
    i = io_index(vm, space, addr);
    found = i < vm->nio[space] && addr >= vm->io[space][i].base;
    if (found)
        *out = vm->io[space][i];
    spin_unlock(&vm->leaf_lock);
    return found;
}

static int io_insert(struct vm *vm, enum io_space space, const struct io_region *new)
{
    struct io_region *r = vm->io[space];
    unsigned i = io_index(vm, space, new->base);

    if (i < vm->nio[space] && r[i].base - new->base < new->size)
        return -EEXIST;
    if (i < vm->nio[space] && r[i].base < new->base)
        return -EEXIST;
    if (vm->nio[space] == VM_IO_REGIONS)
        return -ENOSPC;
    memmove(&r[i + 1], &r[i], (vm->nio[space] - i) * sizeof(*r));
    r[i] = *new;
    vm->nio[space]++;
    return 0;
}

int vm_io_register(struct vm *vm, enum io_space space, uint64_t base, uint64_t size, io_fn *fn, void *dev)
{
    const struct io_region new = {base, size, fn, dev};
    int err;

    spin_lock(&vm->leaf_lock);
    err = io_insert(vm, space, &new);
    spin_unlock(&vm->leaf_lock);
    return err;
}

void vm_io_unregister(struct vm *vm, enum io_space space, uint64_t base)
{
    struct io_region *r = vm->io[space];
    unsigned i;

    spin_lock(&vm->leaf_lock);
    i = io_index(vm, space, base);
    if (i < vm->nio[space] && r[i].base == base) {
        vm->nio[space]--;
        memmove(&r[i], &r[i + 1], (vm->nio[space] - i) * sizeof(*r));
    }
    spin_unlock(&vm->leaf_lock);
}

bool vm_io_exists(struct vm *vm, enum io_space space, uint64_t addr)
{
    struct io_region r;

    return io_find(vm, space, addr, &r);
}

bool vm_io(struct vcpu *v, enum io_space space, struct io_access *a)
{
    struct io_region r;

    if (!a->write)
        a->data = ~(uint64_t)0;
    if (!io_find(v->vm, space, a->addr, &r))
        return false;
    a->addr -= r.base;
    r.fn(v, r.dev, a);
    return true;
}
