/* SPDX-License-Identifier: BSD-2-Clause */
#include "vm/setup.h"

#include "kernel/acpi/acpi.h"
#include "kernel/cpu/cpu.h"
#include "kernel/cpu/time.h"
#include "kernel/lib/string.h"
#include "kernel/mm/frame.h"
#include "kernel/mm/paging.h"
#include "vm/abi/iodom.h"
#include "vm/assign/assign.h"
#include "vm/loader.h"
#include "vm/vm.h"

#define NIC_UP_LIMIT_NS (30 * NS_PER_S)

static struct {
    const struct boot_config *cfg;
    struct boot_guest iodom; /* what the I/O domain is built from */
    struct pci_dev *pf[BOOT_NICS_MAX];
    struct vm *guest[BOOT_GUESTS_MAX];
    uint32_t ready;         /* bit per NIC: its PF answers mailboxes */
    bool complete;          /* every guest has been built, or has failed to be */
    struct ratelimit calls; /* log lines that the I/O domain's hypercalls can cause */
    struct spinlock lock;
    struct timer late;
} setup = {.calls = RATELIMIT_INIT(20, 2)};

/* --- NICs and their VFs --- */

/* Its VFs are reset all at once, so that the guests that get them later do not wait one after the other. NULL
 * if it failed. */
static struct pci_dev *nic_enable(const struct boot_nic *n)
{
    char first[PCI_NAME_LEN], last[PCI_NAME_LEN], at[PCI_NAME_LEN];
    struct pci_dev *pf = pci_find((rid_t){n->rid});
    int rc;

    pci_name((rid_t){n->rid}, at);
    if (!pf)
        log_error("%s: there is no function %s", n->name, at);
    if (!pf || n->vfs == 0)
        return pf;
    rc = pci_sriov_enable(pf, n->vfs, n->vf_bar);
    if (rc != 0) {
        log_error("%s: %u VFs cannot be enabled (error %d)", n->name, n->vfs, -rc);
        return NULL;
    }
    log_info("%s: %s %04x:%04x, %u VFs at %s to %s", n->name, at, pf->vendor, pf->device, n->vfs,
             pci_name(pf->vf[0]->rid, first), pci_name(pf->vf[n->vfs - 1]->rid, last));
    for (unsigned i = 0; i < pf->num_vfs; i++)
        if (pci_reset_start(pf->vf[i]) != 0)
            log_warn("%s: VF %u has no function-level reset", n->name, i);
    return pf;
}

/* --- whole functions --- */

/* NULL if functions_reset() has refused it. */
static struct pci_dev *function_dev(const struct boot_function *fn)
{
    struct pci_dev *d = pci_find((rid_t){fn->rid});

    return d && d->reset ? d : NULL;
}

/* All at once, too. That they can be isolated is what boot/ has found. */
static void functions_reset(const struct boot_guest *g)
{
    for (const struct boot_function *fn = g->function; fn < g->function + g->nfunctions; fn++) {
        struct pci_dev *d = pci_find((rid_t){fn->rid});
        char name[PCI_NAME_LEN];

        if (!d || d->header_type != 0 || d->is_vf || d->num_vfs)
            continue;
        d->reset = fn->reset;
        if (pci_reset_start(d) != 0)
            log_error("%s: cannot be reset", pci_name(d->rid, name));
    }
}

/* --- the I/O domain --- */

/* NIC i of the information is PCI slot i + 1, so NICs that failed are left out and do not take a number. */
static void iodom_start(const struct bootinfo *bi)
{
    struct iodom_info *info = hpa_to_ptr(hpa(bi->iodom_info));
    struct vm *vm;

    info->tsc_khz = time_tsc_khz();
    info->nnics = 0;
    for (uint32_t i = 0; i < setup.cfg->nnics; i++)
        if (setup.pf[i])
            info->nic[info->nnics++] = info->nic[i];
    setup.iodom = bi->iodom;
    setup.iodom.cpus = cpu_count() > 1 ? ~BIT(0) : 0; /* the first CPU polls the console and writes the log */
    vm = vm_create(&setup.iodom, true);
    if (vm && setup_assign(vm) == 0 && vm_start(vm) != 0)
        log_error("iodom: cannot be started");
}

/* --- guests --- */

static struct pci_dev *vf_dev(const struct boot_vf *vf)
{
    struct pci_dev *pf = setup.pf[vf->nic];

    return pf && vf->index < pf->num_vfs ? pf->vf[vf->index] : NULL;
}

bool setup_can_assign(const struct vm *vm)
{
    bool ready = true;

    for (uint32_t i = 0; i < vm->cfg->nvfs; i++) {
        struct pci_dev *d = vf_dev(&vm->cfg->vf[i]);

        ready &= !d || !assign_must_wait(d);
    }
    for (uint32_t i = 0; i < vm->cfg->nfunctions; i++) {
        struct pci_dev *d = function_dev(&vm->cfg->function[i]);

        ready &= !d || !assign_must_wait(d);
    }
    return ready;
}

static int assign_to_guest(struct vm *vm, struct pci_dev *d, const char *label)
{
    int rc;

    if (!d) {
        log_error("%s: %s does not exist", vm->name, label);
        return -ENODEV;
    }
    rc = assign_function(vm, d, label);
    if (rc == 0 && !setup.complete) /* of restarts there may be many */
        log_info("%s: has %s", vm->name, label);
    return rc;
}

static int assign_vfs(struct vm *vm)
{
    char label[BOOT_NAME_MAX + 8];
    int rc = 0;

    for (uint32_t i = 0; i < vm->cfg->nvfs && rc == 0; i++) {
        const struct boot_vf *vf = &vm->cfg->vf[i];

        snprintf(label, sizeof(label), "%s/%u", setup.cfg->nic[vf->nic].name, vf->index);
        rc = assign_to_guest(vm, vf_dev(vf), label);
    }
    return rc;
}

static int assign_functions(struct vm *vm)
{
    char name[PCI_NAME_LEN];
    int rc = 0;

    for (uint32_t i = 0; i < vm->cfg->nfunctions && rc == 0; i++) {
        const struct boot_function *fn = &vm->cfg->function[i];

        rc = assign_to_guest(vm, function_dev(fn), pci_name((rid_t){fn->rid}, name));
    }
    return rc;
}

static int assign_pfs(struct vm *vm)
{
    int rc = 0;

    for (uint32_t i = 0; i < setup.cfg->nnics && rc == 0; i++)
        if (setup.pf[i])
            rc = assign_function(vm, setup.pf[i], setup.cfg->nic[i].name);
    return rc;
}

int setup_assign(struct vm *vm)
{
    int rc = vm->privileged ? assign_pfs(vm) : assign_vfs(vm);

    if (rc == 0)
        rc = assign_functions(vm);
    if (rc != 0)
        assign_release_all(vm);
    return rc;
}

/* Starts every guest whose NICs all answer. The caller holds the lock. */
static void start_ready(void)
{
    for (uint32_t g = 0; g < setup.cfg->nguests; g++) {
        struct vm *vm = setup.guest[g];

        if (!vm || (vm->cfg->nics & ~setup.ready))
            continue;
        setup.guest[g] = NULL;
        if (vm_start(vm) != 0)
            log_error("%s: cannot be started", vm->name);
    }
}

static void guests_create(void)
{
    for (uint32_t g = 0; g < setup.cfg->nguests; g++) {
        struct vm *vm = vm_create(&setup.cfg->guest[g], false);

        if (!vm || setup_assign(vm) != 0)
            continue;
        spin_lock(&setup.lock);
        setup.guest[g] = vm;
        start_ready();
        spin_unlock(&setup.lock);
    }
}

/* A guest that waits for its NIC, or crashed, is the operator's to look at; one that restarts is stopped for
 * a moment only. */
static bool all_off(void)
{
    bool any = false;

    for (uint32_t g = 0; g < setup.cfg->nguests; g++)
        if (setup.guest[g])
            return false;
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
    spin_guard(&setup.lock);

    for (uint32_t g = 0; g < setup.cfg->nguests; g++)
        for (uint32_t n = 0; setup.guest[g] && n < setup.cfg->nnics; n++)
            if (setup.cfg->guest[g].nics & ~setup.ready & (1u << n))
                log_error("%s: still waits for %s, which the I/O domain has not brought up",
                          setup.guest[g]->name, setup.cfg->nic[n].name);
}

/* Position in setup.cfg->nic of the I/O domain's NIC `nic`, or -EINVAL. */
static int nic_index(uint64_t nic)
{
    for (uint32_t i = 0; i < setup.cfg->nnics; i++)
        if (setup.pf[i] && nic-- == 0)
            return (int)i;
    return -EINVAL;
}

int setup_nic_ready(struct vm *caller, uint64_t nic)
{
    int i = nic_index(nic);
    spin_guard(&setup.lock);

    if (i < 0)
        return i;
    if (ratelimit_ok(&setup.calls))
        log_info("%s: %s is up", caller->name, setup.cfg->nic[i].name);
    setup.ready |= 1u << i;
    start_ready();
    return 0;
}

int setup_vf_status(struct vm *caller, uint64_t nic, uint64_t vf, bool ready)
{
    int i = nic_index(nic);
    spin_guard(&setup.lock);

    if (i < 0 || vf >= setup.pf[i]->num_vfs)
        return -EINVAL;
    if (ratelimit_ok(&setup.calls))
        log_debug("%s: %s/%u %s", caller->name, setup.cfg->nic[i].name, (unsigned)vf,
                  ready ? "driver ready" : "reset");
    return 0;
}

static void report_memory(void)
{
    uint64_t ram[2] = {0}, used = frame_bytes_used(); /* guests, I/O domain */

    for (const struct vm *vm = vm_first(); vm; vm = vm->next)
        ram[vm->privileged] += vm->p2m.ram_low + vm->p2m.ram_high;
    log_info("memory: hypervisor %lu KiB, I/O domain %lu KiB, guests %lu KiB",
             (used - ram[0] - ram[1]) / 1024, ram[true] / 1024, ram[false] / 1024);
}

void setup_init(const struct bootinfo *bi)
{
    setup.cfg = &bi->config;
    loader_init(bi);
    for (uint32_t i = 0; i < setup.cfg->nnics; i++)
        setup.pf[i] = nic_enable(&setup.cfg->nic[i]);
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
}
