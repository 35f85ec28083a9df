/* SPDX-License-Identifier: BSD-2-Clause */
/* vm/vm.c: building and unwinding, stopping from every state, the crash policy, trapped regions, complaints.
 */
#include "tests/unit/test.h"

#include "tests/unit/fake/cpu.c"
#include "tests/unit/fake/frame.c"
#include "tests/unit/fake/heap.c"
#include "tests/unit/fake/iommu.c"
#include "tests/unit/fake/log.c"
#include "tests/unit/fake/strlcpy.c"
#include "tests/unit/fake/time.c"

#include "kernel/mm/radix.c"
#include "vm/p2m.c"
#include "vm/svm/npt.c"
#include "vm/vcpu.h"
#include "vm/vm.c"

struct boot_cpu hvm_cpu;

/* VMs stay for good, and the sanitizer cannot see memory through an hpa_t. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

static const struct hvm_ops ops = {.p2m_init = svm_p2m_init};
const struct hvm_ops *hvm = &ops;

/* Each create step in order; the one numbered fail_at fails. */
static unsigned at_step, fail_at;
static unsigned loads, resets, assigns, releases, ioapic_resets;

static int make(void)
{
    return ++at_step == fail_at ? -ENOMEM : 0;
}

#define DEVICE(name)                                                                                         \
    int name##_create(struct vm *vm)                                                                         \
    {                                                                                                        \
        (void)vm;                                                                                            \
        return make();                                                                                       \
    }
DEVICE(ioapic)
DEVICE(uart)
DEVICE(vpci)

void ioapic_reset(struct vm *vm)
{
    CHECK_EQ(vm->state, VM_DYING);
    ioapic_resets++;
}

int rtc_create(struct vm *vm)
{
    (void)vm;
    return ++at_step == fail_at ? -ENOSPC : 0;
}

int power_create(struct vm *vm)
{
    (void)vm;
    return ++at_step == fail_at ? -ENOSPC : 0;
}

int vcpu_create(struct vm *vm, unsigned id)
{
    int err = make();

    if (!err) {
        vm->vcpu[id] = calloc(1, sizeof(struct vcpu));
        vm->vcpu[id]->vm = vm;
        vm->vcpu[id]->id = id;
    }
    return err;
}

void vcpu_reset(struct vcpu *v)
{
    v->requests = 0;
    resets++;
}

void vcpu_log(const struct vcpu *v)
{
    log_error("registers of %u", v->id);
}

void vcpu_request(struct vcpu *v, uint32_t bits)
{
    v->requests |= bits;
}

void sched_wake(struct vcpu *v)
{
    CHECK(v->state == VCPU_OFF || v->state == VCPU_BLOCKED);
    v->state = VCPU_READY;
}

/* In two steps. */
int loader_load(struct vm *vm, uint64_t *done)
{
    CHECK(done == &vm->loaded);
    if (++at_step == fail_at)
        return -EFAULT;
    loads += *done == 1;
    *done += *done < 2;
    return *done == 1;
}

static unsigned stopped_for_good;

void setup_stopped(void)
{
    stopped_for_good++;
}

static bool must_yield;
static int assign_rc;

bool sched_must_yield(const struct vcpu *v)
{
    CHECK_EQ(v->id, 0);
    return must_yield;
}

static unsigned forgiven;

void sched_forgive(struct vcpu *v)
{
    CHECK(v->vm->privileged);
    forgiven++;
}

static int load_rc;
static unsigned state_loads, drops, restored;

int state_load(struct vm *vm)
{
    CHECK(vm->saved && vm->state == VM_STARTING && vm->frozen);
    state_loads++;
    return load_rc;
}

void state_drop(struct vm *vm)
{
    vm->saved = NULL;
    drops++;
}

void migrate_load(struct vm *vm)
{
    CHECK(vm->state == VM_RUNNING && vm->frozen);
    restored++;
}

bool vf_claim(struct vf *f, struct vm *vm)
{
    if (f->owner)
        return false;
    f->owner = vm;
    return true;
}

int setup_assign(struct vm *vm)
{
    (void)vm;
    assigns++;
    return assign_rc;
}

void setup_release(struct vm *vm)
{
    (void)vm;
    releases++;
}

static struct boot_guest cfg = {
    .name = "web", .memory = SIZE_2M, .vcpus = 2, .nvfs = 1, .on_crash = BOOT_CRASH_RESTART};

/* One block, with something in it, of a configuration that is its VM's alone. */
static void give_ram(struct boot_guest *g)
{
    void *ram = aligned_alloc(SIZE_2M, g->memory);

    memset(ram, 0x77, g->memory);
    g->nblocks = 1;
    g->block[0] = (struct boot_block){0, ptr_to_hpa(ram).a, g->memory};
}

static struct vm *create(void)
{
    at_step = fail_at = 0;
    loads = resets = assigns = releases = ioapic_resets = 0;
    fake_log_reset();
    give_ram(&cfg);
    return vm_create(&cfg, false);
}

TEST(one_that_cannot_be_built_is_not_there)
{
    struct vm *vm;
    unsigned steps;

    vm = create();
    CHECK(vm != NULL);
    steps = at_step;
    CHECK_EQ(steps, 7); /* 5 devices, 2 vCPUs */
    for (unsigned i = 1; i <= steps; i++) {
        at_step = 0;
        fail_at = i;
        CHECK(vm_create(&cfg, false) == NULL);
        CHECK(fake_log_has("[web] not started"));
    }
    CHECK(vm_first() == vm && !vm->next);
}

TEST(the_iommu_domain_holds_the_ram)
{
    struct vm *vm = create();
    long domains = fake_iommu_domains_out;

    CHECK(vm->iommu == NULL);
    fake_iommu_rc = -ENOMEM;
    CHECK_EQ(vm_iommu_open(vm), -ENOMEM);
    fake_iommu_rc = 0;
    vm_iommu_close(vm);
    CHECK_EQ(vm_iommu_open(vm), 0);
    CHECK_EQ(fake_iommu_domains_out, domains + 1);
    CHECK(fake_iommu_lookup(vm->iommu, iova(0)) != NULL);
    CHECK(fake_iommu_lookup(vm->iommu, iova(SIZE_2M)) == NULL);
    vm_iommu_close(vm);
    CHECK(fake_iommu_lookup(vm->iommu, iova(0)) == NULL);
    CHECK_EQ(vm_iommu_open(vm), 0); /* the next start's */
    CHECK(fake_iommu_lookup(vm->iommu, iova(0)) != NULL);
    CHECK_EQ(fake_iommu_domains_out, domains + 1);
}

TEST(one_without_functions_has_nothing_to_close)
{
    vm_iommu_close(create());
}

TEST(bad_configurations)
{
    cfg.cpus = BIT(9);
    CHECK(create() == NULL);
    CHECK(fake_log_has("none of them is online"));
    cfg.cpus = 0;
    strcpy(cfg.start.refusal, "kernel is cut off");
    CHECK(create() == NULL);
    CHECK(fake_log_has("[web] not started: kernel is cut off"));
    cfg.start.refusal[0] = 0;
}

/* The vCPU leaves its CPU, as sched.c does it; a start is done at once. */
static void leave(struct vcpu *v)
{
    v->state = VCPU_OFF;
    vm_vcpu_left(v);
    if (v->vm->state == VM_STARTING)
        CHECK_EQ(vm_prepare(v->vm->vcpu[0]), VCPU_RUNNING);
}

static void start(struct vm *vm)
{
    CHECK_EQ(vm_start(vm), 0);
    CHECK_EQ(vm->state, VM_STARTING);
    CHECK_EQ(vm->vcpu[0]->state, VCPU_READY);
    CHECK_EQ(vm_prepare(vm->vcpu[0]), VCPU_RUNNING);
    CHECK_EQ(vm->state, VM_RUNNING);
}

TEST(start_and_stop)
{
    struct vm *vm = create();

    CHECK_EQ(vm->state, VM_STOPPED);
    start(vm);
    CHECK_EQ(vm_start(vm), -EBUSY);
    CHECK_EQ(vm->running, 1);
    CHECK_EQ(vm->vcpu[0]->state, VCPU_READY);
    vm_vcpu_enter(vm->vcpu[1]);
    CHECK_EQ(vm->running, 2);
    vm_vcpu_enter(vm->vcpu[1]); /* runs already */
    CHECK_EQ(vm->running, 2);
    vm_stop(vm, NULL, VM_POWER_OFF, "asked by %s", "test");
    CHECK_EQ(vm->state, VM_DYING);
    CHECK_EQ(vm->vcpu[0]->requests & vm->vcpu[1]->requests, VCPU_REQ_STOP);
    leave(vm->vcpu[0]);
    CHECK_EQ(vm->state, VM_DYING);
    vm_vcpu_enter(vm->vcpu[0]); /* too late */
    CHECK_EQ(vm->running, 1);
    leave(vm->vcpu[1]);
    CHECK_EQ(vm->state, VM_STOPPED);
    CHECK_EQ(releases, 1);
    CHECK_EQ(loads, 1);
    CHECK(fake_log_has("[web] is stopped: asked by test"));
}

TEST(stopping_one_whose_vcpus_are_all_off)
{
    struct vm *vm = create();

    start(vm);
    leave(vm->vcpu[0]); /* INIT to itself */
    CHECK_EQ(vm->running, 0);
    CHECK_EQ(vm->state, VM_RUNNING);
    vm_stop(vm, NULL, VM_POWER_OFF, "asked");
    CHECK_EQ(vm->vcpu[0]->state, VCPU_READY); /* goes through its CPU to end there */
    leave(vm->vcpu[0]);
    CHECK_EQ(vm->state, VM_STOPPED);
}

TEST(a_late_sipi_is_not_lost)
{
    struct vm *vm = create();

    start(vm);
    vm_vcpu_enter(vm->vcpu[1]);
    vm->vcpu[1]->requests = VCPU_REQ_SIPI; /* while it was still RUNNING */
    leave(vm->vcpu[1]);
    CHECK_EQ(vm->vcpu[1]->state, VCPU_READY);
    CHECK_EQ(vm->running, 2);
}

static void crash(struct vm *vm)
{
    vm_stop(vm, vm->vcpu[0], VM_CRASH, "triple fault");
    leave(vm->vcpu[0]);
}

TEST(crash_and_restart)
{
    struct vm *vm = create();

    *(char *)p2m_ram(&vm->p2m, gpa(0x5000), 1) = 1;
    start(vm);
    crash(vm);
    CHECK(fake_log_has("error: [web] stops: triple fault"));
    CHECK(fake_log_has("registers of 0"));
    CHECK(fake_log_has("[web] restarted"));
    CHECK_EQ(vm->state, VM_RUNNING);
    CHECK_EQ(vm->vcpu[0]->state, VCPU_READY);
    CHECK_EQ(*(char *)p2m_ram(&vm->p2m, gpa(0x5000), 1), 0);
    CHECK_EQ(resets, 2);
    CHECK_EQ(loads, 2);
    CHECK_EQ(releases, 1);
    CHECK_EQ(assigns, 2);
    CHECK_EQ(vm->vcpu[0]->requests, 0);
    CHECK_EQ(ioapic_resets, 1);
}

TEST(a_restart_lets_others_have_the_cpu)
{
    struct vm *vm;

    cfg.memory = 3 * SIZE_2M;
    vm = create();
    cfg.memory = SIZE_2M;
    start(vm);
    *(char *)p2m_ram(&vm->p2m, gpa(3 * SIZE_2M - 1), 1) = 1;
    vm_stop(vm, NULL, VM_POWER_RESET, "reset by the guest");
    vm->vcpu[0]->state = VCPU_OFF;
    vm_vcpu_left(vm->vcpu[0]);
    CHECK_EQ(vm->state, VM_STARTING);
    CHECK_EQ(vm->vcpu[0]->state, VCPU_READY);
    CHECK_EQ(resets, 2);
    must_yield = true;
    for (unsigned i = 1; i <= 3; i++) {
        CHECK_EQ(vm_prepare(vm->vcpu[0]), VCPU_READY);
        CHECK_EQ(vm->zeroed, i * SIZE_2M);
    }
    CHECK_EQ(*(char *)p2m_ram(&vm->p2m, gpa(3 * SIZE_2M - 1), 1), 0);
    CHECK_EQ(loads, 1);
    vm_vcpu_enter(vm->vcpu[1]); /* nothing runs yet */
    CHECK_EQ(vm_start(vm), -EBUSY);
    CHECK_EQ(vm->running, 1);
    CHECK_EQ(vm_prepare(vm->vcpu[0]), VCPU_READY);
    CHECK_EQ(vm->loaded, 1);
    CHECK_EQ(vm_prepare(vm->vcpu[0]), VCPU_RUNNING);
    must_yield = false;
    CHECK_EQ(vm->state, VM_RUNNING);
    CHECK_EQ(loads, 2);
    CHECK_EQ(assigns, 2);
    vm_stop(vm, NULL, VM_POWER_OFF, "powered off by the guest");
    leave(vm->vcpu[0]);
    CHECK_EQ(vm->state, VM_STOPPED);
    CHECK_EQ(resets, 4); /* no timer of its goes on */
}

TEST(a_restart_of_the_io_domain_does_not_stop_half_way)
{
    struct vm *vm = create();

    start(vm);
    vm->privileged = true;
    *(char *)p2m_ram(&vm->p2m, gpa(0x5000), 1) = 1;
    vm_stop(vm, NULL, VM_POWER_RESET, "by the operator");
    vm->vcpu[0]->state = VCPU_OFF;
    vm_vcpu_left(vm->vcpu[0]);
    forgiven = 0;
    must_yield = true;
    CHECK_EQ(vm_prepare(vm->vcpu[0]), VCPU_RUNNING);
    must_yield = false;
    CHECK_EQ(forgiven, 1);
    CHECK_EQ(*(char *)p2m_ram(&vm->p2m, gpa(0x5000), 1), 1); /* it zeroes what it needs */
}

TEST(a_first_start_finds_zeroed_memory)
{
    struct vm *vm = create();

    *(char *)p2m_ram(&vm->p2m, gpa(0x5000), 1) = 1;
    start(vm);
    CHECK_EQ(*(char *)p2m_ram(&vm->p2m, gpa(0x5000), 1), 0);
    CHECK(fake_log_has("[web] started"));
}

/* The vCPU sleeps, and a timer wakes it. */
static void wait_for_functions(struct vm *vm)
{
    assign_rc = -EAGAIN;
    CHECK_EQ(vm_start(vm), 0);
    CHECK_EQ(vm_prepare(vm->vcpu[0]), VCPU_BLOCKED);
    vm->vcpu[0]->state = VCPU_BLOCKED;
    assign_rc = 0;
}

TEST(a_start_waits_for_its_functions)
{
    struct vm *vm = create();

    wait_for_functions(vm);
    fake_time_advance(RETRY_NS);
    CHECK_EQ(vm->vcpu[0]->state, VCPU_READY);
    CHECK_EQ(vm_prepare(vm->vcpu[0]), VCPU_RUNNING);
    CHECK_EQ(loads, 1);
    CHECK_EQ(assigns, 2);
    vm->vcpu[0]->state = VCPU_BLOCKED; /* as a guest that sleeps */
    fake_time_advance(RETRY_NS);
    CHECK_EQ(vm->vcpu[0]->state, VCPU_BLOCKED);
}

TEST(a_start_that_waits_can_be_stopped)
{
    struct vm *vm = create();

    wait_for_functions(vm);
    vm_stop(vm, NULL, VM_HELD, "stopped by the operator");
    CHECK_EQ(vm->state, VM_DYING);
    CHECK_EQ(vm->vcpu[0]->requests, VCPU_REQ_STOP);
    fake_time_advance(RETRY_NS);
    CHECK_EQ(vm->vcpu[0]->state, VCPU_BLOCKED);
    CHECK_EQ(vm_prepare(vm->vcpu[0]), VCPU_OFF); /* it was asked while it was at it */
    leave(vm->vcpu[0]);
    CHECK_EQ(vm->state, VM_STOPPED);
    CHECK_EQ(vm->end, VM_HELD);
    CHECK_EQ(releases, 1);
    start(vm);
    CHECK(fake_log_has("[web] is stopped: stopped by the operator"));
}

TEST(a_start_that_fails)
{
    struct vm *vm = create();

    start(vm);
    assign_rc = -ETIMEDOUT;
    vm_stop(vm, NULL, VM_POWER_RESET, "reset by the guest");
    vm->vcpu[0]->state = VCPU_OFF;
    vm_vcpu_left(vm->vcpu[0]);
    CHECK_EQ(vm_prepare(vm->vcpu[0]), VCPU_OFF);
    assign_rc = 0;
    leave(vm->vcpu[0]);
    CHECK_EQ(vm->running, 0);
    CHECK_EQ(vm->state, VM_STOPPED);
    CHECK_EQ(vm->end, VM_HELD); /* it did not power itself off */
    CHECK(fake_log_has("[web] is stopped: it could not be started (error 110)"));
    start(vm);
}

TEST(resets_do_not_flood_the_log)
{
    struct vm *vm = create();

    start(vm);
    fake_log_reset();
    fake_ratelimit_full = true;
    vm_stop(vm, NULL, VM_POWER_RESET, "reset by the guest");
    leave(vm->vcpu[0]);
    CHECK_EQ(vm->state, VM_RUNNING);
    CHECK_EQ(fake_log_lines, 0);
    fake_ratelimit_full = false;
}

TEST(who_is_in_the_guest_leaves_it)
{
    struct vm *vm = create();

    memset(fake_kicks, 0, sizeof(fake_kicks));
    vm->vcpu[0]->state = VCPU_RUNNING; /* here */
    vm->vcpu[1]->state = VCPU_RUNNING;
    vm->vcpu[1]->cpu = 3;
    vm_interrupt(vm);
    CHECK_EQ(fake_kicks[0], 0);
    CHECK_EQ(fake_kicks[3], 1);
    vm->vcpu[1]->state = VCPU_BLOCKED;
    vm_interrupt(vm);
    CHECK_EQ(fake_kicks[3], 1);
}

TEST(three_crashes_in_a_minute_are_enough)
{
    struct vm *vm = create();

    start(vm);
    crash(vm);
    fake_time_advance(25 * NS_PER_S);
    crash(vm);
    CHECK_EQ(vm->state, VM_RUNNING);
    fake_time_advance(36 * NS_PER_S); /* the first is 61 s ago */
    crash(vm);
    CHECK_EQ(vm->state, VM_RUNNING);
    fake_time_advance(20 * NS_PER_S);
    crash(vm);
    CHECK_EQ(vm->state, VM_STOPPED);
    CHECK(fake_log_has("stays down"));
}

static void stop(struct vm *vm, enum vm_end end)
{
    vm_stop(vm, NULL, end, "test");
    for (unsigned i = vm->nvcpus; i-- > 0;)
        if (vm->vcpu[i]->state != VCPU_OFF)
            leave(vm->vcpu[i]);
}

/* Stops `vm` as a guest that is saved does. */
static void save(struct vm *vm)
{
    static uint8_t records[8];

    vm->saved = records;
    stop(vm, VM_HELD);
    CHECK_EQ(vm->state, VM_SAVED);
}

TEST(saved_and_resumed)
{
    struct vm *vm = create();
    struct pci_dev dev[2] = {0};
    struct vf vf[2] = {{.owner = vm, .dev = &dev[0]}, {.dev = &dev[1]}};
    unsigned loaded;

    vm->vf[0] = &vf[0];
    start(vm);
    save(vm);
    loaded = loads;
    CHECK_EQ(vm_start(vm), -EBUSY);
    vf[1].owner = vm;
    CHECK_EQ(vm_resume(vm, &vf[1]), -EEXIST);
    CHECK_EQ(vm->state, VM_SAVED);
    vf[1].owner = NULL;
    state_loads = restored = 0;
    load_rc = -EINVAL; /* it stays saved, with the VF that it had */
    CHECK_EQ(vm_resume(vm, &vf[1]), 0);
    CHECK(vm->vf[0] == &vf[1] && vf[1].owner == vm && vf[0].owner == vm);
    CHECK_EQ(vm_prepare(vm->vcpu[0]), VCPU_OFF);
    dev[1].faults.held = true;
    leave(vm->vcpu[0]);
    CHECK_EQ(vm->state, VM_SAVED);
    CHECK(vm->vf[0] == &vf[0] && vf[1].owner == NULL && vm->saved && !dev[1].faults.held);
    load_rc = 0;
    CHECK_EQ(vm_resume(vm, NULL), 0);
    CHECK_EQ(vm_prepare(vm->vcpu[0]), VCPU_RUNNING);
    CHECK(vm->state == VM_RUNNING && vm->frozen && state_loads == 2 && restored == 1);
    CHECK_EQ(loads, loaded); /* its memory is what it was */
    CHECK_EQ(vm_forget(vm), -EBUSY);
    vm->frozen = false;
    stop(vm, VM_HELD);
    CHECK_EQ(vm_forget(vm), 0);
    CHECK(vm->state == VM_STOPPED && !vm->saved);
    vm->vf[0] = NULL;
}

TEST(on_crash_stop)
{
    struct vm *vm;

    cfg.on_crash = BOOT_CRASH_STOP;
    vm = create();
    start(vm);
    crash(vm);
    CHECK_EQ(vm->state, VM_STOPPED);
    CHECK_EQ(loads, 1);
    cfg.on_crash = BOOT_CRASH_RESTART;
}

TEST(guests_power)
{
    struct vm *vm = create();

    start(vm);
    for (unsigned i = 0; i < 5; i++) { /* resets are not crashes */
        vm_stop(vm, NULL, VM_POWER_RESET, "reset by the guest");
        leave(vm->vcpu[0]);
        CHECK_EQ(vm->state, VM_RUNNING);
    }
    vm_stop(vm, NULL, VM_POWER_OFF, "powered off by the guest");
    leave(vm->vcpu[0]);
    CHECK_EQ(vm->state, VM_STOPPED);
    CHECK(fake_log_has("powered off by the guest"));
}

static struct vm io_vm;
static struct vcpu io_vcpu = {.vm = &io_vm};
static uint64_t io_off;
static const void *io_dev;

static void device(struct vcpu *v, void *dev, struct io_access *a)
{
    (void)v;
    io_dev = dev;
    io_off = a->addr;
    if (!a->write)
        a->data = a->data == ~0ull ? 0x42 : 0;
}

TEST(regions)
{
    struct io_access a = {.addr = 0x3fa, .size = 1};
    char x, y, z;

    memset(&io_vm, 0, sizeof(io_vm));
    CHECK_EQ(vm_io_register(&io_vm, IO_PORT, 0x3f8, 8, device, &x), 0);
    CHECK_EQ(vm_io_register(&io_vm, IO_PORT, 0x70, 2, device, &y), 0);
    CHECK_EQ(vm_io_register(&io_vm, IO_PORT, 0xcf8, 4, device, &z), 0);
    CHECK(vm_io(&io_vcpu, IO_PORT, &a));
    CHECK(io_dev == &x);
    CHECK_EQ(io_off, 2);
    CHECK_EQ(a.data, 0x42);
    a.addr = 0x71;
    CHECK(vm_io(&io_vcpu, IO_PORT, &a) && io_dev == &y && io_off == 1);
    for (unsigned i = 0; i < 4; i++) {
        static const uint64_t none[] = {0x6f, 0x72, 0x3f7, 0x400};

        a = (struct io_access){.addr = none[i], .size = 1};
        CHECK(!vm_io(&io_vcpu, IO_PORT, &a));
        CHECK_EQ(a.data, ~0ull);
        CHECK(!vm_io_exists(&io_vm, IO_PORT, none[i]));
    }
    CHECK(!vm_io_exists(&io_vm, IO_MEM, 0x3f8));
    CHECK(vm_io_exists(&io_vm, IO_PORT, 0xcfb));
    CHECK_EQ(vm_io_register(&io_vm, IO_PORT, 0x3ff, 1, device, NULL), -EEXIST);
    CHECK_EQ(vm_io_register(&io_vm, IO_PORT, 0x3f0, 9, device, NULL), -EEXIST);
    CHECK_EQ(vm_io_register(&io_vm, IO_PORT, 0x3f0, 8, device, NULL), 0);
    vm_io_unregister(&io_vm, IO_PORT, 0x3f8);
    CHECK(!vm_io_exists(&io_vm, IO_PORT, 0x3f8));
    vm_io_unregister(&io_vm, IO_PORT, 0x3f8); /* twice does no harm */
    vm_io_unregister(&io_vm, IO_PORT, 0x3f1); /* not a base */
    CHECK_EQ(io_vm.nio[IO_PORT], 3);
}

TEST(regions_are_bounded)
{
    memset(&io_vm, 0, sizeof(io_vm));
    for (unsigned i = VM_IO_REGIONS; i > 0; i--)
        CHECK_EQ(vm_io_register(&io_vm, IO_MEM, i * 0x1000, 0x1000, device, NULL), 0);
    CHECK_EQ(vm_io_register(&io_vm, IO_MEM, 0x100000, 0x1000, device, NULL), -ENOSPC);
    for (unsigned i = 1; i <= VM_IO_REGIONS; i++)
        CHECK(vm_io_exists(&io_vm, IO_MEM, i * 0x1000 + 0xfff));
}

TEST(complaints_are_rate_limited)
{
    struct vm *vm = create();

    fake_log_reset();
    vm_complain(vm, "MSR %#x", 0x123);
    CHECK(fake_log_has("[web] MSR 0x123"));
    fake_log_reset();
    fake_ratelimit_full = true;
    vm_complain(vm, "again");
    CHECK_EQ(fake_log_lines, 0);
    fake_ratelimit_full = false;
    vm->complaints.dropped = 3;
    vm_complain(vm, "later");
    CHECK(fake_log_has("3 lines dropped"));
    CHECK_EQ(vm->complaints.dropped, 0);
}

TEST_MAIN()
