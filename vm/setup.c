/* SPDX-License-Identifier: BSD-2-Clause */
#include "vm/setup.h"

#include "kernel/acpi/acpi.h"
#include "kernel/cpu/cpu.h"
#include "kernel/cpu/time.h"
#include "kernel/mm/frame.h"
#include "kernel/mm/paging.h"
#include "vm/abi/iodom.h"
#include "vm/assign/assign.h"
#include "vm/assign/vf.h"
#include "vm/migrate/migrate.h"
#include "vm/migrate/state.h"
#include "vm/vm.h"

#define NIC_UP_LIMIT_NS (30 * NS_PER_S)
#define WATCH_MS        20
#define PATIENCE_START  1500 /* calls of watch() */

static struct {
    const struct boot_config *cfg;
    struct boot_guest iodom; /* what the I/O domain is built from */
    struct iodom_info *info; /* what it is told at each start */
    struct vm *iodom_vm;
    uint32_t patience; /* calls of watch() that it may still be silent, atomic */
    struct pci_dev *pf[BOOT_NICS_MAX];
    struct vf *vf[BOOT_NICS_MAX]; /* pf->is->num_vfs of them */
    bool complete;                /* every guest has been built, or has failed to be */
    struct ratelimit calls;       /* log lines that the I/O domain's hypercalls can cause */
    struct spinlock lock;
    struct timer late, watch;
} setup = {.calls = RATELIMIT_INIT(20, 2)};

/* --- NICs and their VFs --- */

/* Its VFs are reset all at once, so that the guests that get them later do not wait one after the other. NULL
 * if it failed. */
static struct pci_dev *nic_enable(const struct boot_nic *n, struct vf **vfs)
{
    char first[PCI_NAME_LEN], last[PCI_NAME_LEN], at[PCI_NAME_LEN];
    struct pci_dev *pf = pci_find((rid_t){n->rid});
    int rc;

    pci_name((rid_t){n->rid}, at);
    if (!pf)
        log_error("%s: there is no function %s", n->name, at);
    if (!pf || n->vfs == 0)
        return pf;
    rc = pf->is->num_vfs == n->vfs ? 0 : -EIO; /* boot/ has said why */
    if (rc == 0)
        rc = (*vfs = vf_add(pf, n->name)) ? 0 : -ENOMEM;
    if (rc != 0) {
        log_error("%s: %u VFs cannot be enabled (error %d)", n->name, n->vfs, -rc);
        return NULL;
    }
    log_info("%s: %s %04x:%04x, %u VFs at %s to %s", n->name, at, pf->is->vendor, pf->is->device, n->vfs,
             pci_name(pf->vf[0].rid, first), pci_name(pf->vf[n->vfs - 1].rid, last));
    for (unsigned i = 0; i < pf->is->num_vfs; i++)
        if (pci_reset_start(&pf->vf[i]) != 0)
            log_warn("%s: VF %u has no function-level reset", n->name, i);
    return pf;
}

/* --- whole functions --- */

/* NULL if boot/ has not found that it can be reset. */
static struct pci_dev *function_dev(const struct boot_function *fn)
{
    struct pci_dev *d = pci_find((rid_t){fn->rid});

    return d && d->is->reset.bits ? d : NULL;
}

/* All at once, too. That they can be isolated is what boot/ has found. */
static void functions_reset(const struct boot_guest *g)
{
    for (const struct boot_function *fn = g->function; fn < g->function + g->nfunctions; fn++) {
        struct pci_dev *d = function_dev(fn);
        char name[PCI_NAME_LEN];

        if (d && pci_reset_start(d) != 0)
            log_error("%s: cannot be reset", pci_name(d->rid, name));
    }
}

/* --- the I/O domain --- */

/* Those that no guest has to itself, but for the first, which polls the console and writes the log; that one if it is the last. */
static uint64_t iodom_cpus(void)
{
    uint64_t cpus = (GENMASK(63, 0) >> (CPU_MAX - cpu_count())) & ~BIT(0);

    for (uint32_t g = 0; g < setup.cfg->nguests; g++)
        if (setup.cfg->guest[g].own_cpus)
            cpus &= ~setup.cfg->guest[g].cpus;
    return cpus != 0 ? cpus : BIT(0);
}

/* NIC i of the information is PCI slot i + 1, so NICs that failed are left out and do not take a number. */
static void iodom_start(const struct bootinfo *bi)
{
    struct iodom_info *info = hpa_to_ptr(hpa(bi->iodom_info));

    setup.info = info;
    info->tsc_khz = time_tsc_khz();
    info->nnics = 0;
    for (uint32_t i = 0; i < setup.cfg->nnics; i++)
        if (setup.pf[i])
            info->nic[info->nnics++] = info->nic[i];
    setup.iodom = bi->iodom;
    setup.iodom.cpus = iodom_cpus();
    setup.iodom_vm = vm_create(&setup.iodom, true);
    if (setup.iodom_vm && vm_start(setup.iodom_vm) != 0)
        log_error("iodomain: cannot be started");
}

/* --- guests --- */

/* -EAGAIN: a function of the guest cannot be had yet. */
static int check(struct vm *vm)
{
    int rc = vf_check_all(vm);

    for (uint32_t i = 0; i < vm->cfg->nfunctions && rc == 0; i++) {
        struct pci_dev *d = function_dev(&vm->cfg->function[i]);

        rc = d && assign_must_wait(d) ? -EAGAIN : 0;
    }
    return rc;
}

static int assign_functions(struct vm *vm)
{
    int rc = 0;

    for (uint32_t i = 0; i < vm->cfg->nfunctions && rc == 0; i++) {
        const struct boot_function *fn = &vm->cfg->function[i];
        struct pci_dev *d = function_dev(fn);
        char name[PCI_NAME_LEN];

        pci_name((rid_t){fn->rid}, name);
        if (!d)
            log_error("%s: %s does not exist", vm->name, name);
        rc = d ? assign_function(vm, d, name, vm->cfg->on_fault) : -ENODEV;
    }
    return rc;
}

static int assign_pfs(struct vm *vm)
{
    int rc = 0;

    for (uint32_t i = 0; i < setup.cfg->nnics && rc == 0; i++)
        if (setup.pf[i])
            rc = assign_function(vm, setup.pf[i], setup.cfg->nic[i].name, BOOT_FAULT_LOG);
    return rc;
}

int setup_assign(struct vm *vm)
{
    int rc = check(vm);
    uint64_t began = time_ns();

    if (rc != 0)
        return rc;
    if (vm->privileged || vm->nvfs + vm->cfg->nfunctions > 0)
        rc = vm_iommu_open(vm);
    if (rc == 0)
        rc = vm->privileged ? assign_pfs(vm) : vf_assign_all(vm);
    if (rc == 0)
        rc = assign_functions(vm);
    if (rc != 0)
        setup_release(vm);
    log_debug("%s: functions assigned in %lu ns", vm->name, time_ns() - began);
    return rc;
}

void setup_release(struct vm *vm)
{
    uint64_t began = time_ns();

    for (struct vf *f = vm->privileged ? vf_first() : NULL; f; f = f->next)
        f->up_ns = 0;
    migrate_end(vm);
    state_take(vm);
    vf_end_use(vm);
    assign_release_all(vm);
    vm_iommu_close(vm);
    log_debug("%s: functions released in %lu ns", vm->name, time_ns() - began);
}

/* The VFs that the configuration names. */
static int give_vfs(struct vm *vm)
{
    for (const struct boot_vf *c = vm->cfg->vf; c < vm->cfg->vf + vm->cfg->nvfs; c++) {
        const struct pci_dev *pf = setup.pf[c->nic];
        struct vf *f = pf && c->index < pf->is->num_vfs ? &setup.vf[c->nic][c->index] : NULL;

        if (!f || vf_give(f, vm) != 0) {
            log_error("[%s] not started: %s/%u cannot be had", vm->name, setup.cfg->nic[c->nic].name,
                      c->index);
            return -ENODEV;
        }
        f->mac = c->mac;
        f->on_fault = (enum boot_on_fault)c->on_fault;
    }
    return 0;
}

static void guests_create(void)
{
    for (uint32_t g = 0; g < setup.cfg->nguests; g++) {
        struct vm *vm = vm_create(&setup.cfg->guest[g], false);

        if (vm && give_vfs(vm) == 0 && vm_start(vm) != 0)
            log_error("%s: cannot be started", vm->name);
    }
}

/* A guest that the operator stopped, that could not be started, or crashed, is the operator's to look at. */
static bool all_off(void)
{
    bool any = false;

    for (const struct vm *vm = vm_first(); vm; vm = vm->next) {
        if (vm->privileged)
            continue;
        if (vm->state != VM_STOPPED || vm->end != VM_POWER_OFF)
            return false;
        any = true;
    }
    return any;
}

void setup_stopped(void)
{
    spin_guard(&setup.lock);

    if (!setup.complete || !all_off())
        return;
    log_info("every guest has powered itself off: so does the machine");
    acpi_power_off();
}

/* The I/O domain has had its time: say who still waits, and for what. The wait goes on. */
static void report_late(UNUSED struct timer *t)
{
    for (const struct vf *f = vf_first(); f; f = f->next)
        if (!f->up_ns && f->owner && f->owner->state == VM_STARTING)
            log_error("%s: still waits for %s, whose NIC the I/O domain has not brought up", f->owner->name,
                      f->label);
}

/* Position in setup.cfg->nic of the I/O domain's NIC `nic`, or -EINVAL. */
static int nic_index(uint64_t nic)
{
    for (uint32_t i = 0; i < setup.cfg->nnics; i++)
        if (setup.pf[i] && nic-- == 0)
            return (int)i;
    return -EINVAL;
}

int64_t setup_nic_ready(struct vcpu *v, const uint64_t arg[3])
{
    int i = nic_index(arg[0]);
    spin_guard(&setup.lock);

    if (i < 0)
        return i;
    if (ratelimit_ok(&setup.calls))
        log_info("%s: %s is up", v->vm->name, setup.cfg->nic[i].name);
    for (unsigned n = 0; n < setup.pf[i]->is->num_vfs; n++)
        setup.vf[i][n].up_ns = time_ns();
    return 0;
}

struct vf *setup_vf(uint64_t nic, uint64_t vf)
{
    int i = nic_index(nic);

    return i >= 0 && vf < setup.pf[i]->is->num_vfs ? &setup.vf[i][vf] : NULL;
}

void setup_vf_place(const struct vf *f, uint32_t *nic, uint32_t *vf)
{
    for (*nic = 0; nic_index(*nic) >= 0; ++*nic)
        for (*vf = 0; setup_vf(*nic, *vf); ++*vf)
            if (setup_vf(*nic, *vf) == f)
                return;
}

void setup_vf_moved(const struct vf *from, const struct vf *to)
{
    uint32_t nic[2], vf[2];
    struct iodom_vf *a, *b, t;

    setup_vf_place(from, &nic[0], &vf[0]);
    setup_vf_place(to, &nic[1], &vf[1]);
    a = &setup.info->nic[nic[0]].vf[vf[0]];
    b = &setup.info->nic[nic[1]].vf[vf[1]];
    t = *a;
    *a = *b;
    *b = t;
}

int64_t setup_vf_status(UNUSED struct vcpu *v, const uint64_t arg[3])
{
    const struct vf *f = setup_vf(arg[0], arg[1]);

    if (!f || arg[2] > 1)
        return -EINVAL;
    return assign_is_held(f->dev) ? -EBUSY : (int64_t)vf_reset_number(f);
}

int64_t setup_vf_clean(UNUSED struct vcpu *v, const uint64_t arg[3])
{
    struct vf *f = setup_vf(arg[0], arg[1]);

    return f ? vf_set_clean(f, arg[2]) : -EINVAL;
}

int64_t setup_alive(UNUSED struct vcpu *v, const uint64_t arg[3])
{
    if (arg[0] == 0 || arg[0] > UINT32_MAX)
        return -EINVAL;
    __atomic_store_n(&setup.patience, (uint32_t)(arg[0] / WATCH_MS + 2), __ATOMIC_SEQ_CST);
    return 0;
}

/* Calls are counted, not time: where everything is late, these are, too. */
static void watch(struct timer *t)
{
    struct vm *vm = setup.iodom_vm;

    timer_arm(t, time_ns() + WATCH_MS * NS_PER_MS);
    if (!vm || vm->state != VM_RUNNING)
        __atomic_store_n(&setup.patience, PATIENCE_START, __ATOMIC_SEQ_CST);
    else if (__atomic_sub_fetch(&setup.patience, 1, __ATOMIC_SEQ_CST) == 0)
        vm_stop(vm, NULL, VM_CRASH, "no sign of life");
}

static void report_memory(void)
{
    uint64_t ram[2] = {0}; /* guests, I/O domain */

    for (const struct vm *vm = vm_first(); vm; vm = vm->next)
        ram[vm->privileged] += vm->p2m.ram_low + vm->p2m.ram_high;
    log_info("memory: hypervisor %lu KiB, I/O domain %lu KiB, guests %lu KiB", frame_bytes_used() / 1024,
             ram[true] / 1024, ram[false] / 1024);
}

void setup_init(const struct bootinfo *bi)
{
    setup.cfg = &bi->config;
    assign_init();
    for (uint32_t i = 0; i < setup.cfg->nnics; i++)
        setup.pf[i] = nic_enable(&setup.cfg->nic[i], &setup.vf[i]);
    for (uint32_t g = 0; g < setup.cfg->nguests; g++)
        functions_reset(&setup.cfg->guest[g]);
    if (setup.cfg->nnics)
        iodom_start(bi);
    guests_create();
    report_memory();
    setup.complete = true;
    setup_stopped(); /* in case that they were faster */
    timer_init(&setup.late, report_late);
    timer_arm(&setup.late, time_ns() + NIC_UP_LIMIT_NS);
    timer_init(&setup.watch, watch);
    timer_arm(&setup.watch, time_ns());
}
