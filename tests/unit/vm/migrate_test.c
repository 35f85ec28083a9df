/* SPDX-License-Identifier: BSD-2-Clause */
/* vm/migrate/: no step is taken out of its order, and whatever happens, one of source and destination is the guest's. */
#include "tests/unit/test.h"

#include "tests/unit/fake/iommu.c"
#include "tests/unit/fake/log.c"
#include "tests/unit/fake/p2m.c"
#include "tests/unit/fake/pci.c"
#include "tests/unit/fake/strlcpy.c"
#include "tests/unit/fake/time.c"

#include "vm/migrate/migrate.c"

#define ARGS  0x1000
#define ORDER 0x4000

static struct vcpu vcpu;
static struct vm iodom = {.name = "iodom", .privileged = true, .vcpu = {&vcpu}}, web = {.name = "web"};
static struct vf vf[4] = {{.label = "lan0/0"}, {.label = "lan0/1"}, {.label = "lan0/2"}, {.label = "lan1/2"}};
static struct pci_dev *mine; /* the function that the guest sees, NULL: none that works */
static bool off_cpus, clean;
static int can_move_rc, quiesce_rc, switch_rc;
static unsigned raised;

struct vf *setup_vf(uint64_t nic, uint64_t n)
{
    return nic == 0 && n < 3 ? &vf[n] : nic == 1 && n == 2 ? &vf[3] : NULL;
}

void setup_vf_place(const struct vf *f, uint32_t *nic, uint32_t *n)
{
    *nic = f == &vf[3];
    *n = *nic ? 2 : (uint32_t)(f - vf);
}

static unsigned told; /* moves that the next I/O domain hears of */

void setup_vf_moved(const struct vf *from, const struct vf *to)
{
    CHECK(from == &vf[0] && (to == &vf[2] || to == &vf[3]));
    told++;
}

bool vf_claim(struct vf *f, struct vm *vm)
{
    if (f->owner)
        return false;
    f->owner = vm;
    return true;
}

bool vf_is_clean(const struct vf *f)
{
    CHECK(f != &vf[0]);
    return clean;
}

void vf_move(struct vf *from, struct vf *to)
{
    CHECK(from->owner == &web && to->owner == &web && to->used);
    from->owner = NULL;
    from->used = false;
}

int assign_can_move(struct vm *vm, const struct pci_dev *from, struct pci_dev *to)
{
    CHECK(vm == &web && from && to != from);
    return can_move_rc;
}

int assign_quiesce(struct vm *vm, struct pci_dev *d)
{
    CHECK(vm == &web && vm->frozen && d == mine);
    if (quiesce_rc >= 0) {
        CHECK_EQ(iommu_detach(web.iommu, d->rid), 0);
        mine = NULL;
    }
    return quiesce_rc;
}

int assign_switch(struct vm *vm, const struct pci_dev *from, struct pci_dev *to, const char *label)
{
    int rc = switch_rc;

    CHECK(vm == &web && vm->frozen && from == vf[0].dev && label);
    switch_rc = 0;
    if (rc == 0)
        rc = iommu_attach(web.iommu, to->rid);
    if (rc == 0)
        mine = to;
    return rc;
}

/* --- a guest that is saved: what becomes of its records is state_test.c's --- */

static unsigned stops;
static int save_rc;
static uint8_t blob[sizeof(struct state_vf)];

void vm_stop(struct vm *vm, struct vcpu *culprit, enum vm_end end, const char *fmt, ...)
{
    CHECK(vm == &web && !culprit && end == VM_HELD && fmt);
    stops++;
    vm->state = VM_DYING;
}

int state_save(struct vm *vm, const void *record, uint32_t length)
{
    struct state_vf *s = (void *)blob;

    CHECK(vm == &web && vm->frozen && length <= MOVE_RECORD_MAX);
    if (save_rc == 0) {
        s->length = length;
        memcpy(s->record, record, length);
        vm->saved = blob;
    }
    return save_rc;
}

const struct state_vf *state_vf(const struct vm *vm)
{
    CHECK(vm->saved == blob);
    return (const void *)blob;
}

void state_drop(struct vm *vm)
{
    vm->saved = NULL;
}

void vm_freeze(struct vm *vm, bool on)
{
    vm->frozen = on;
}

bool vm_is_off_cpus(const struct vm *vm)
{
    CHECK(vm->frozen);
    return off_cpus;
}

void lapic_raise(struct vcpu *v, uint8_t vector, bool level)
{
    CHECK(v == &vcpu && vector == 0x21 && !level);
    raised++;
}

static int64_t take(enum move_step step, uint32_t to, uint64_t at, uint64_t own, uint32_t length)
{
    struct move a = {
        .version = MOVE_VERSION, .size = sizeof(a), .to = to, .length = length, .at = at, .own = own};

    CHECK_EQ(p2m_write(&iodom.p2m, gpa(ARGS), &a, sizeof(a)), 0);
    return migrate_step(&iodom, step, gpa(ARGS));
}

static int64_t go(enum move_step step)
{
    return take(step, 2, 0x8000, 0x2000, 64);
}

static struct iommu_domain *domain_of(const struct vf *f)
{
    struct fake_iommu_dev *d = fake_iommu_dev(f->dev->rid);

    return d ? d->domain : NULL;
}

static void get_order(enum move_op op)
{
    CHECK_EQ(migrate_fetch(&iodom, gpa(ORDER), 0x21), 0); /* done with the last one */
    CHECK_EQ(migrate_order(op, &vf[0], op == ORDER_MOVE || op == ORDER_DRY_RUN ? &vf[2] : NULL), 0);
    CHECK_EQ(migrate_fetch(&iodom, gpa(ORDER), 0x21), 1);
    raised = 0;
}

static void set_up(void)
{
    fake_log_reset();
    fake_iommu_dev_count = 0;
    fake_iommu_rc = fake_pci_reset_rc = can_move_rc = quiesce_rc = switch_rc = 0;
    fake_pci_resets = raised = 0;
    off_cpus = clean = true;
    CHECK_EQ(fake_p2m_init(&iodom.p2m, SIZE_2M), 0);
    CHECK_EQ(fake_p2m_init(&web.p2m, SIZE_2M), 0);
    web.iommu = iommu_domain_create("web");
    web.state = VM_RUNNING;
    web.frozen = false;
    for (unsigned i = 0; i < ARRAY_SIZE(vf); i++) {
        vf[i].dev = &fake_pci_add(rid(0, 0, (uint8_t)(0xa8 + i)), 0x8086, 0x10ca)->dev;
        vf[i].owner = i == 0 ? &web : NULL;
        vf[i].used = i == 0;
    }
    mine = vf[0].dev;
    CHECK_EQ(iommu_attach(web.iommu, mine->rid), 0);
    m.ordered = false;
    get_order(ORDER_MOVE);
}

static void tear_down(void)
{
    CHECK(!m.vm);
    CHECK_EQ(m.lock.next, m.lock.owner);
    CHECK_EQ(iommu_detach(web.iommu, mine->rid), 0);
    CHECK_EQ(iommu_domain_destroy(web.iommu), 0);
    CHECK_EQ(fake_iommu_domains_out, 0); /* no staging domain is left */
    fake_pci_free_all();
    fake_p2m_destroy(&iodom.p2m);
    fake_p2m_destroy(&web.p2m);
}

/* The guest runs, with exactly this VF; the others are nobody's. */
static void check_runs_with(unsigned n)
{
    CHECK(!m.vm && !web.frozen);
    CHECK(mine == vf[n].dev && domain_of(&vf[n]) == web.iommu);
    for (unsigned i = 0; i < ARRAY_SIZE(vf); i++) {
        CHECK_EQ(vf[i].owner == &web, i == n);
        CHECK_EQ(vf[i].used, i == n);
        CHECK(i == n || !domain_of(&vf[i]));
    }
}

/* As far as `last`, the steps as they should be. */
static void advance(enum move_step last)
{
    static const enum move_step order[] = {MOVE_BEGIN, MOVE_MAP,    MOVE_FREEZE, MOVE_QUIESCE,
                                           MOVE_READ,  MOVE_RECORD, MOVE_SWITCH, MOVE_RESUME};

    for (unsigned i = 0; i < ARRAY_SIZE(order) && order[i] <= last; i++)
        CHECK(go(order[i]) >= 0);
}

TEST(a_move)
{
    set_up();
    CHECK_EQ(go(MOVE_CHECK), 0);
    CHECK(!m.vm);
    CHECK_EQ(go(MOVE_BEGIN), 0);
    CHECK(domain_of(&vf[2]) == m.staging && domain_of(&vf[0]) == web.iommu);
    CHECK_EQ(go(MOVE_MAP), 0);
    CHECK(fake_iommu_lookup(m.staging, iova(0x8000)) != NULL);
    off_cpus = false;
    CHECK_EQ(go(MOVE_FREEZE), -EAGAIN);
    CHECK_EQ(go(MOVE_QUIESCE), -EINVAL);
    off_cpus = true;
    CHECK_EQ(go(MOVE_FREEZE), 0);
    CHECK_EQ(go(MOVE_FREEZE), 0);
    CHECK_EQ(go(MOVE_READ), -EINVAL);
    quiesce_rc = 1;
    CHECK_EQ(go(MOVE_QUIESCE), 1);
    fake_time_advance(1000);
    told = 0;
    CHECK_EQ(go(MOVE_SWITCH), 0);
    CHECK(web.frozen && mine == vf[2].dev && told == 1);
    CHECK(go(MOVE_RESUME) >= 1000);
    check_runs_with(2);
    CHECK_EQ(fake_pci_resets, 1); /* the source's */
    tear_down();
}

static int64_t go_across(enum move_step step, uint32_t nic)
{
    struct move a = {.version = MOVE_VERSION,
                     .size = sizeof(a),
                     .to_nic = nic,
                     .to = 2,
                     .length = 64,
                     .at = 0x8000,
                     .own = 0x2000};

    CHECK_EQ(p2m_write(&iodom.p2m, gpa(ARGS), &a, sizeof(a)), 0);
    return migrate_step(&iodom, step, gpa(ARGS));
}

TEST(a_move_to_another_nic)
{
    struct move_order o;

    set_up();
    CHECK_EQ(go_across(MOVE_BEGIN, 1), -EACCES); /* the order was for another VF */
    CHECK_EQ(migrate_fetch(&iodom, gpa(ORDER), 0x21), 0);
    CHECK_EQ(migrate_order(ORDER_MOVE, &vf[0], &vf[3]), 0);
    CHECK_EQ(migrate_fetch(&iodom, gpa(ORDER), 0x21), 1);
    CHECK_EQ(p2m_read(&iodom.p2m, gpa(ORDER), &o, sizeof(o)), 0);
    CHECK(o.nic == 0 && o.from == 0 && o.to_nic == 1 && o.to == 2);
    CHECK_EQ(go_across(MOVE_CHECK, 2), -EINVAL);
    CHECK_EQ(go_across(MOVE_BEGIN, 0), -EACCES);
    CHECK_EQ(go_across(MOVE_BEGIN, 1), 0);
    CHECK(domain_of(&vf[3]) == m.staging && domain_of(&vf[0]) == web.iommu);
    for (enum move_step s = MOVE_FREEZE; s <= MOVE_SWITCH; s++)
        CHECK(s == MOVE_READ || s == MOVE_WRITE || go_across(s, 1) == 0);
    CHECK(go_across(MOVE_RESUME, 1) >= 0);
    check_runs_with(3);
    tear_down();
}

/* What is refused changes nothing: the move goes on after it as if it had not been tried. */
TEST(no_step_out_of_its_order)
{
    static const enum move_step points[] = {MOVE_CHECK, MOVE_BEGIN, MOVE_FREEZE, MOVE_QUIESCE, MOVE_SWITCH};
    static const uint32_t may[] = {
        /* before it began; then after each of the points */
        IS(MOVE_CHECK) | IS(MOVE_BEGIN), IS(MOVE_MAP) | IS(MOVE_FREEZE) | IS(MOVE_ABORT),
        IS(MOVE_MAP) | IS(MOVE_FREEZE) | IS(MOVE_QUIESCE) | IS(MOVE_ABORT),
        IS(MOVE_MAP) | IS(MOVE_READ) | IS(MOVE_WRITE) | IS(MOVE_RECORD) | IS(MOVE_SWITCH) | IS(MOVE_ABORT),
        IS(MOVE_RESUME)};

    for (unsigned p = 0; p < ARRAY_SIZE(points); p++) {
        set_up();
        advance(points[p]);
        for (unsigned step = 0; step < MOVE_STEPS + 2; step++) {
            __typeof__(m) before = m;

            if (step < MOVE_STEPS && (may[p] & IS(step)))
                continue;
            CHECK(go(step) < 0);
            CHECK(m.vm == before.vm && m.state[0] == before.state[0] && m.state[1] == before.state[1]);
            CHECK(m.staging == before.staging && m.frozen_ns == before.frozen_ns);
        }
        if (points[p] == MOVE_CHECK)
            CHECK_EQ(go(MOVE_BEGIN), 0);
        if (points[p] != MOVE_SWITCH)
            CHECK_EQ(go(MOVE_ABORT), 0);
        CHECK(go(MOVE_RESUME) >= 0);
        check_runs_with(points[p] == MOVE_SWITCH ? 2 : 0);
        tear_down();
    }
}

TEST(a_destination_that_cannot_be_had)
{
    set_up();
    CHECK_EQ(take(MOVE_BEGIN, 3, 0, 0, 0), -EINVAL);
    clean = false;
    CHECK_EQ(go(MOVE_BEGIN), -EAGAIN);
    clean = true;
    vf[2].owner = &web;
    CHECK_EQ(go(MOVE_BEGIN), -EBUSY);
    vf[2].owner = NULL;
    can_move_rc = -ENODEV;
    CHECK_EQ(go(MOVE_BEGIN), -ENODEV);
    can_move_rc = 0;
    fake_iommu_rc = -ENOMEM;
    CHECK_EQ(go(MOVE_BEGIN), -ENOMEM);
    fake_iommu_rc = 0;
    web.state = VM_STARTING;
    CHECK_EQ(go(MOVE_BEGIN), -ESRCH);
    web.state = VM_RUNNING;
    check_runs_with(0);
    CHECK_EQ(go(MOVE_BEGIN), 0);
    CHECK_EQ(go(MOVE_BEGIN), -EBUSY);
    CHECK_EQ(go(MOVE_ABORT), 0);
    CHECK(go(MOVE_RESUME) >= 0);
    tear_down();
}

TEST(hostile_arguments)
{
    struct move a = {.version = MOVE_VERSION + 1, .size = sizeof(a)};

    set_up();
    CHECK_EQ(migrate_step(&iodom, MOVE_CHECK, gpa(SIZE_2M - 4)), -EFAULT);
    CHECK_EQ(migrate_step(&iodom, ~0ull, gpa(ARGS)), -EFAULT);
    CHECK_EQ(p2m_write(&iodom.p2m, gpa(ARGS), &a, sizeof(a)), 0);
    CHECK_EQ(migrate_step(&iodom, MOVE_CHECK, gpa(ARGS)), -EINVAL);
    advance(MOVE_BEGIN);
    CHECK_EQ(take(MOVE_MAP, 2, 0x8000, 0x2001, 0), -EFAULT);
    CHECK_EQ(take(MOVE_MAP, 2, 0x8000, SIZE_2M, 0), -EFAULT);
    for (unsigned i = 0; i < MOVE_PAGES_MAX; i++)
        CHECK_EQ(take(MOVE_MAP, 2, 0x8000 + i * PAGE_SIZE, 0x2000, 0), 0);
    CHECK_EQ(take(MOVE_MAP, 2, 0x800000, 0x2000, 0), -ENOSPC);
    CHECK_EQ(go(MOVE_FREEZE) | go(MOVE_QUIESCE), 0);
    CHECK_EQ(take(MOVE_READ, 2, SIZE_2M - 8, 0x2000, 64), -EFAULT);
    CHECK_EQ(take(MOVE_READ, 2, 0, SIZE_2M - 8, 64), -EFAULT);
    CHECK_EQ(take(MOVE_WRITE, 2, ~0ull, 0x2000, 64), -EFAULT);
    CHECK_EQ(take(MOVE_WRITE, 2, 0, 0x2000, MOVE_COPY_MAX + 1), -EFAULT);
    CHECK_EQ(take(MOVE_RECORD, 2, 0, 0x2000, MOVE_RECORD_MAX + 1), -EFAULT);
    CHECK_EQ(take(MOVE_RECORD, 2, 0, SIZE_2M - 8, 64), -EFAULT);
    CHECK_EQ(take(MOVE_SWITCH, 2, SIZE_2M - 8, 0x2000, 64), -EFAULT);
    CHECK_EQ(take(MOVE_SWITCH, 2, 0, SIZE_2M - 8, 64), -EFAULT);
    CHECK_EQ(take(MOVE_SWITCH, 2, 0, 0x2000, MOVE_COPY_MAX + 1), -EFAULT);
    CHECK(mine == NULL);
    CHECK_EQ(go(MOVE_ABORT), 0);
    CHECK(go(MOVE_RESUME) >= 0);
    check_runs_with(0);
    CHECK_EQ(migrate_fetch(&iodom, gpa(ORDER), 31), -EINVAL);
    CHECK_EQ(migrate_fetch(&iodom, gpa(ORDER), 256), -EINVAL);
    tear_down();
}

TEST(copies_go_the_right_way)
{
    char text[8] = "";

    set_up();
    advance(MOVE_QUIESCE);
    CHECK_EQ(p2m_write(&web.p2m, gpa(0x5000), "guest", 6), 0);
    CHECK_EQ(take(MOVE_READ, 2, 0x5000, 0x6000, 6), 0);
    CHECK_EQ(p2m_read(&iodom.p2m, gpa(0x6000), text, 6), 0);
    CHECK(!strcmp(text, "guest"));
    CHECK_EQ(p2m_write(&iodom.p2m, gpa(0x6000), "iodom", 6), 0);
    CHECK_EQ(take(MOVE_WRITE, 2, 0x5000, 0x6000, 6), 0);
    CHECK_EQ(p2m_read(&web.p2m, gpa(0x5000), text, 6), 0);
    CHECK(!strcmp(text, "iodom"));
    CHECK_EQ(go(MOVE_ABORT), 0);
    CHECK(go(MOVE_RESUME) >= 0);
    tear_down();
}

TEST(a_switch_that_fails_leaves_the_source)
{
    char text[64] = "";

    set_up();
    advance(MOVE_QUIESCE);
    CHECK_EQ(p2m_write(&iodom.p2m, gpa(0x2000), "ring", 5), 0);
    switch_rc = -ENOMEM;
    CHECK_EQ(go(MOVE_SWITCH), -ENOMEM);
    CHECK_EQ(p2m_read(&web.p2m, gpa(0x8000), text, sizeof(text)), 0);
    CHECK(!text[0]);
    CHECK_EQ(go(MOVE_SWITCH), -EINVAL);
    CHECK_EQ(go(MOVE_ABORT), 0);
    CHECK(web.frozen && mine == vf[0].dev);
    CHECK(go(MOVE_RESUME) >= 0);
    check_runs_with(0);
    tear_down();
}

static void take_order(enum move_op op, uint32_t from, const char *record)
{
    struct move_order o;

    CHECK_EQ(migrate_fetch(&iodom, gpa(ORDER), 0x21), 1);
    CHECK_EQ(p2m_read(&iodom.p2m, gpa(ORDER), &o, sizeof(o)), 0);
    CHECK(o.version == MOVE_VERSION && o.op == op && o.from == from && !strcmp(o.guest, "web"));
    CHECK(record ? !memcmp(o.record, record, o.length) && o.length == 64 : o.length == 0);
    CHECK_EQ(migrate_fetch(&iodom, gpa(ORDER), 0x21), 0);
}

TEST(the_ring_is_the_guests_with_the_destination)
{
    char text[64] = "";

    set_up();
    advance(MOVE_QUIESCE);
    CHECK_EQ(p2m_write(&iodom.p2m, gpa(0x2000), "ring", 5), 0);
    CHECK_EQ(go(MOVE_RECORD), 0);
    CHECK_EQ(go(MOVE_SWITCH), 0);
    CHECK_EQ(p2m_read(&web.p2m, gpa(0x8000), text, sizeof(text)), 0);
    CHECK(!strcmp(text, "ring"));
    CHECK(go(MOVE_RESUME) >= 0);
    tear_down();
}

/* Whoever dies at whatever step: one VF is the guest's, and the next I/O domain hears which, unless the guest never stood still. */
TEST(the_io_domain_dies_after_each_step)
{
    static const enum move_step points[] = {MOVE_BEGIN, MOVE_FREEZE, MOVE_QUIESCE, MOVE_RECORD, MOVE_SWITCH};
    static const char record[64] = "what it would need";

    for (unsigned p = 0; p < ARRAY_SIZE(points); p++) {
        bool switched = points[p] == MOVE_SWITCH;

        set_up();
        CHECK_EQ(p2m_write(&iodom.p2m, gpa(0x2000), record, sizeof(record)), 0);
        CHECK(go(MOVE_BEGIN) == 0);
        for (enum move_step s = MOVE_FREEZE; s <= points[p]; s++)
            CHECK(s == MOVE_READ || s == MOVE_WRITE || go(s) == 0);
        migrate_end(&iodom);
        check_runs_with(switched ? 2 : 0);
        CHECK_EQ(migrate_order(ORDER_MOVE, &vf[0], &vf[2]), -ENODEV);
        if (points[p] == MOVE_BEGIN)
            CHECK_EQ(migrate_fetch(&iodom, gpa(ORDER), 0x21), 0);
        else
            take_order(ORDER_WAKE, switched ? 2 : 0, switched ? record : NULL);
        tear_down();
    }
}

static void wake(enum move_step last)
{
    CHECK_EQ(migrate_fetch(&iodom, gpa(ORDER), 0x21), 1);
    for (enum move_step s = MOVE_BEGIN; s <= last; s++)
        CHECK(s == MOVE_MAP || take(s, MOVE_ALONE, 0, 0, 0) == 0);
}

/* An order to wake a VF is given until one I/O domain has done with it, the record with it. */
TEST(the_next_io_domain_dies_too)
{
    static const enum move_step points[] = {MOVE_CHECK, MOVE_BEGIN, MOVE_FREEZE};
    static const char record[64] = "what it would need";

    for (unsigned p = 0; p < ARRAY_SIZE(points); p++) {
        set_up();
        CHECK_EQ(p2m_write(&iodom.p2m, gpa(0x2000), record, sizeof(record)), 0);
        advance(MOVE_QUIESCE);
        CHECK_EQ(go(MOVE_RECORD), 0);
        CHECK_EQ(go(MOVE_SWITCH), 0);
        migrate_end(&iodom);
        m.order.from = 0; /* the fake's VF 0 is the one that can be had */
        vf[0].owner = &web;
        vf[0].used = true;
        vf[2].owner = NULL;
        vf[2].used = false;
        for (unsigned deaths = 0; deaths < 2; deaths++) {
            wake(points[p]);
            CHECK_EQ(migrate_order(ORDER_QUIESCE, &vf[0], NULL), -EBUSY);
            migrate_end(&iodom);
            CHECK(!m.vm && !web.frozen);
        }
        take_order(ORDER_WAKE, 0, record);
        migrate_end(&iodom);
        CHECK_EQ(migrate_fetch(&iodom, gpa(ORDER), 0x21), 0); /* done with */
        tear_down();
    }
}

TEST(the_guest_does_not_stand_still_for_ever)
{
    set_up();
    advance(MOVE_QUIESCE);
    fake_time_advance(FROZEN_LIMIT_NS - 1);
    CHECK(web.frozen);
    fake_time_advance(2);
    too_long(&m.limit);
    check_runs_with(0);
    CHECK_EQ(raised, 1);
    take_order(ORDER_WAKE, 0, NULL);
    tear_down();
}

TEST(it_does_not_stand_still_for_ever_after_an_abort_either)
{
    set_up();
    advance(MOVE_QUIESCE);
    CHECK_EQ(go(MOVE_ABORT), 0);
    fake_time_advance(FROZEN_LIMIT_NS + 1);
    too_long(&m.limit);
    check_runs_with(0);
    tear_down();
}

TEST(nothing_begins_without_an_order)
{
    set_up();
    CHECK_EQ(take(MOVE_BEGIN, 1, 0, 0, 0), -EACCES);
    CHECK_EQ(take(MOVE_BEGIN, MOVE_ALONE, 0, 0, 0), -EACCES);
    fake_time_advance(LEAVE_NS);
    CHECK_EQ(go(MOVE_BEGIN), -EACCES);
    get_order(ORDER_DRY_RUN);
    CHECK_EQ(go(MOVE_BEGIN), -EACCES);
    get_order(ORDER_RESUME);
    CHECK_EQ(take(MOVE_BEGIN, MOVE_ALONE, 0, 0, 0), -EACCES);
    get_order(ORDER_MOVE);
    CHECK_EQ(migrate_order(ORDER_QUIESCE, &vf[0], NULL), -EBUSY); /* one at a time */
    CHECK_EQ(migrate_fetch(&iodom, gpa(ORDER), 0x21), 0);
    CHECK_EQ(migrate_order(ORDER_QUIESCE, &vf[0], NULL), 0);
    CHECK_EQ(go(MOVE_BEGIN), -EACCES);
    CHECK_EQ(take(MOVE_BEGIN, MOVE_ALONE, 0, 0, 0), -EACCES); /* not fetched yet */
    CHECK(!m.vm);
    tear_down();
}

TEST(an_order_is_for_one_move)
{
    set_up();
    advance(MOVE_BEGIN);
    CHECK_EQ(go(MOVE_ABORT), 0);
    CHECK(go(MOVE_RESUME) >= 0);
    advance(MOVE_RESUME); /* the first one came to nothing */
    CHECK_EQ(m.leave_ns, 0);
    tear_down();
    set_up();
    CHECK_EQ(migrate_fetch(&iodom, gpa(ORDER), 0x21), 0);
    CHECK_EQ(go(MOVE_BEGIN), -EACCES); /* nor after the next was asked for */
    tear_down();
}

TEST(a_quiesced_vf_waits_for_the_operator)
{
    set_up();
    get_order(ORDER_QUIESCE);
    CHECK_EQ(take(MOVE_BEGIN, MOVE_ALONE, 0, 0, 0), 0);
    CHECK_EQ(go(MOVE_MAP), -EINVAL);
    CHECK_EQ(go(MOVE_FREEZE) | go(MOVE_QUIESCE), 0);
    CHECK_EQ(go(MOVE_SWITCH), -EINVAL);
    fake_time_advance(10 * FROZEN_LIMIT_NS);
    too_long(&m.limit);
    CHECK(web.frozen);
    CHECK_EQ(go(MOVE_ABORT), 0);
    CHECK(go(MOVE_RESUME) >= 0);
    check_runs_with(0);
    CHECK_EQ(fake_pci_resets, 0);
    tear_down();
}

/* There is room for one order: what has to be mended comes first, and the operator hears of it. */
TEST(an_order_that_gives_way_to_mending)
{
    set_up();
    get_order(ORDER_QUIESCE);
    CHECK_EQ(take(MOVE_BEGIN, MOVE_ALONE, 0, 0, 0), 0);
    CHECK_EQ(go(MOVE_FREEZE) | go(MOVE_QUIESCE), 0);
    CHECK_EQ(migrate_fetch(&iodom, gpa(ORDER), 0x21), 0);
    CHECK_EQ(migrate_order(ORDER_RESUME, &vf[0], NULL), 0);
    migrate_end(&iodom);
    CHECK(fake_log_has("the operator's last order is dropped"));
    take_order(ORDER_WAKE, 0, NULL);
    tear_down();
    set_up();
    advance(MOVE_QUIESCE);
    migrate_end(&iodom);
    CHECK(!fake_log_has("dropped")); /* it was the one that was carried out */
    tear_down();
}

TEST(the_guest_stops_in_the_middle)
{
    set_up();
    advance(MOVE_QUIESCE);
    migrate_end(&web);
    check_runs_with(0);
    CHECK_EQ(go(MOVE_SWITCH), -EINVAL);
    tear_down();
}

TEST(orders)
{
    set_up();
    CHECK_EQ(migrate_fetch(&iodom, gpa(ORDER), 0x21), 0);
    CHECK_EQ(migrate_order(ORDER_MOVE, &vf[0], &vf[2]), 0);
    CHECK_EQ(raised, 1);
    CHECK_EQ(migrate_order(ORDER_MOVE, &vf[0], &vf[1]), -EBUSY);
    CHECK_EQ(migrate_fetch(&iodom, gpa(SIZE_2M - 4), 0x21), -EFAULT);
    CHECK(m.ordered);
    take_order(ORDER_MOVE, 0, NULL);
    tear_down();
}

TEST(an_order_for_a_vf_that_was_just_moved_away_from)
{
    set_up();
    advance(MOVE_RESUME);
    CHECK(!vf[0].owner && vf[2].owner == &web);
    CHECK_EQ(migrate_order(ORDER_MOVE, &vf[0], &vf[2]), -ENOENT);
    tear_down();
}

TEST(an_order_ends_with_its_guest)
{
    set_up();
    migrate_end(&web);
    CHECK_EQ(go(MOVE_BEGIN), -EACCES);
    CHECK_EQ(migrate_order(ORDER_MOVE, &vf[0], &vf[2]), 0);
    migrate_end(&web);
    CHECK_EQ(migrate_fetch(&iodom, gpa(ORDER), 0x21), 0);
    tear_down();
}

/* To where it is quiesced for its record. */
static void quiesce_to_save(void)
{
    set_up();
    get_order(ORDER_SAVE);
    CHECK_EQ(take(MOVE_BEGIN, MOVE_ALONE, 0, 0, 0), 0);
    CHECK_EQ(go(MOVE_FREEZE) | go(MOVE_QUIESCE) | go(MOVE_RECORD), 0);
}

TEST(a_guest_is_saved_by_its_own_order_and_while_it_runs)
{
    struct vm other = {.name = "db"};

    quiesce_to_save();
    web.state = VM_DYING;
    CHECK_EQ(go(MOVE_SAVE), -ESRCH);
    web.state = VM_RUNNING;
    m.whose = &other;
    CHECK_EQ(go(MOVE_SAVE), -EACCES);
    m.whose = &web;
    stops = 0;
    CHECK_EQ(go(MOVE_SAVE), 0);
    CHECK(stops > 0 && web.saved && !m.vm);
    web.saved = NULL;
    web.state = VM_RUNNING;
    tear_down();
}

TEST(a_guest_that_waits_for_its_load_is_not_moved)
{
    set_up();
    get_order(ORDER_MOVE);
    web.saved = blob;
    CHECK_EQ(go(MOVE_BEGIN), -ESRCH);
    web.saved = NULL;
    CHECK_EQ(migrate_fetch(&iodom, gpa(ORDER), 0x21), 0);
    m.loading = &web;
    CHECK_EQ(migrate_order(ORDER_MOVE, &vf[0], &vf[2]), -EBUSY);
    m.loading = NULL;
    tear_down();
}

TEST(many_short_times_are_no_longer_than_one)
{
    set_up();
    advance(MOVE_FREEZE);
    fake_time_advance(FROZEN_LIMIT_NS - NS_PER_MS);
    CHECK_EQ(go(MOVE_ABORT), 0);
    CHECK(go(MOVE_RESUME) > 0);
    clean = true;
    CHECK_EQ(go(MOVE_BEGIN), 0);
    CHECK_EQ(go(MOVE_FREEZE), 0);
    fake_time_advance(NS_PER_MS);
    too_long(&m.limit);
    CHECK(!m.vm && !web.frozen);
    tear_down();
}

TEST_MAIN()
