/* SPDX-License-Identifier: BSD-2-Clause */
#include "vm/migrate/migrate.h"

#include "kernel/console/log.h"
#include "kernel/lib/string.h"
#include "kernel/mm/paging.h"
#include "kernel/pci/regs.h"
#include "vm/assign/assign.h"
#include "vm/assign/vf.h"
#include "vm/emul/lapic.h"
#include "vm/migrate/state.h"
#include "vm/setup.h"

#define FROZEN_LIMIT_NS NS_PER_S
#define LEAVE_NS        (10 * NS_PER_S)
#define VECTOR_FIRST    32

enum { SOURCE, DESTINATION };

/* Lock: before a VM's vpci. */
static struct {
    struct spinlock lock;
    struct vm *vm;    /* the guest; NULL: no move is under way */
    struct vf *vf[2]; /* the destination may be NULL */
    enum move_state state[2];
    struct iommu_domain *staging; /* while there is a destination */
    unsigned pages;               /* of it */
    uint64_t frozen_ns;           /* when the guest was asked to stand still, 0: it was not */
    uint64_t spent_ns;            /* that it stood still for the same order before */
    struct timer limit;           /* never cancelled: it takes the lock */
    struct vm *caller;            /* of the step that is taken now, and what it says */
    struct move args;
    uint8_t record[MOVE_RECORD_MAX];
    uint32_t record_length;
    struct move_order order;
    const struct vm *whose; /* guest the order is about */
    bool ordered;           /* and not fetched yet */
    uint64_t leave_ns;      /* when it was fetched, 0: what it leads to has been done */
    struct vm *loading;     /* a guest that ORDER_LOAD is about, until it goes on */
    bool patient;           /* the operator wants the guest to stand still */
    struct vm *listener;    /* the I/O domain, if it takes orders */
    uint8_t vector;
} m = {.state = {MOVE_RUNNING, MOVE_STOP}};

static void set_states(enum move_state source, enum move_state destination)
{
    m.state[SOURCE] = source;
    m.state[DESTINATION] = destination;
}

static void too_long(struct timer *t);

static void arm_limit(uint64_t ns)
{
    if (!m.limit.fn)
        timer_init(&m.limit, too_long);
    timer_arm(&m.limit, time_ns() + ns);
}

/* --- orders --- */

static void post(enum move_op op, const struct vf *from, const struct vf *to, const struct vm *guest)
{
    m.order =
        (struct move_order){.version = MOVE_VERSION, .size = sizeof(m.order), .op = op, .to = MOVE_ALONE};
    setup_vf_place(from, &m.order.nic, &m.order.from);
    if (to)
        setup_vf_place(to, &m.order.to_nic, &m.order.to);
    strlcpy(m.order.guest, guest->name, sizeof(m.order.guest));
    m.whose = guest;
    m.ordered = true;
    m.leave_ns = 0;
    if (m.listener)
        lapic_raise(m.listener->vcpu[0], m.vector, false);
}

int migrate_order(enum move_op op, const struct vf *from, const struct vf *to)
{
    spin_guard(&m.lock);

    if (!m.listener)
        return -ENODEV;
    if (m.ordered || m.leave_ns || m.loading)
        return -EBUSY;
    if (!from->used || !from->owner) /* it may just have been moved away from */
        return -ENOENT;
    post(op, from, to, from->owner);
    return 0;
}

int migrate_fetch(struct vm *caller, gpa_t to, uint64_t vector)
{
    spin_guard(&m.lock);

    if (vector < VECTOR_FIRST || vector > UINT8_MAX)
        return -EINVAL;
    m.listener = caller;
    m.vector = (uint8_t)vector;
    m.leave_ns = 0; /* it has done with the last one */
    if (!m.ordered)
        return 0;
    if (p2m_write(&caller->p2m, to, &m.order, sizeof(m.order)) != 0)
        return -EFAULT;
    m.ordered = false;
    m.leave_ns = time_ns();
    m.spent_ns = 0;
    return 1;
}

/* The I/O domain stops guests and reads their memory for an order only, and not long after it. */
static bool has_leave(void)
{
    const struct move_order *o = &m.order;

    return m.leave_ns && time_ns() < m.leave_ns + LEAVE_NS && o->op != ORDER_DRY_RUN &&
           o->op != ORDER_RESUME && o->nic == m.args.nic && o->from == m.args.from &&
           o->to_nic == m.args.to_nic && o->to == m.args.to;
}

static void load_failed(struct vm *vm)
{
    vm_stop(vm, NULL, VM_HELD, "its VF could not be restored: it remains saved");
}

void migrate_load(struct vm *vm)
{
    const struct state_vf *record = state_vf(vm);
    spin_guard(&m.lock);

    if (!m.listener || m.ordered || m.leave_ns || m.vm) {
        load_failed(vm);
        return;
    }
    post(ORDER_LOAD, vm->home ? vm->home : vm->vf[0], vm->vf[0], vm);
    m.order.length = record->length;
    memcpy(m.order.record, record->record, sizeof(m.order.record));
    m.loading = vm;
    arm_limit(LEAVE_NS);
}

/* --- begin and end --- */

/* What was quiesced for a saved guest, as it is when that is built again: `to` alone. */
static int check_load(struct vf **from, struct vf **to)
{
    const struct vf *f = *from = *to = setup_vf(m.args.to_nic, m.args.to);

    if (!f || f->owner != m.loading || !m.loading->saved || m.loading->state != VM_RUNNING)
        return -ESRCH;
    return m.vm ? -EBUSY : assign_can_move(f->owner, f->dev, NULL);
}

/* The destination may be had by the guest that has the source. */
static int check(struct vf **from, struct vf **to)
{
    bool alone = m.args.to == MOVE_ALONE;
    const struct vf *f = *from = setup_vf(m.args.nic, m.args.from),
                    *t = *to = setup_vf(m.args.to_nic, m.args.to);

    if (m.vm)
        return -EBUSY;
    if (!f || (!alone && !t))
        return -EINVAL;
    if (!f->used || !f->owner || f->owner->state != VM_RUNNING || f->owner->saved)
        return -ESRCH;
    if (t && (t->owner || t->used))
        return -EBUSY;
    if (t && (pci_reset_finish(t->dev) != 0 || !vf_is_clean(t)))
        return -EAGAIN;
    return assign_can_move(f->owner, f->dev, t ? t->dev : NULL);
}

static int64_t just_check(void)
{
    struct vf *from, *to;

    return check(&from, &to);
}

static void drop_staging(const struct vf *t)
{
    if (iommu_domain_destroy(m.staging) != 0)
        log_error("%s: its staging domain stays", t->label);
}

static int stage(struct vf *t)
{
    int rc;

    bool had = t->owner == m.vm;

    if (!had && !vf_claim(t, m.vm))
        return -EBUSY;
    m.staging = iommu_domain_create("staging");
    m.pages = 0;
    rc = m.staging ? iommu_attach(m.staging, t->dev->rid) : -ENOMEM;
    if (rc != 0) {
        if (m.staging)
            drop_staging(t);
        t->owner = had ? m.vm : NULL;
        return rc;
    }
    t->dev->reset_ns = 0; /* from here on it is used */
    t->used = true;
    pci_write16(t->dev, PCI_COMMAND, PCI_COMMAND_MEM | PCI_COMMAND_BM);
    return 0;
}

static int64_t begin(void)
{
    bool load = m.order.op == ORDER_LOAD && m.loading;
    struct vf *from, *to;
    int rc = (load ? check_load : check)(&from, &to);

    if (rc == 0 && !has_leave())
        rc = -EACCES;
    if (rc != 0)
        return rc;
    m.vm = from->owner;
    m.patient = m.order.op == ORDER_QUIESCE;
    m.frozen_ns = load ? time_ns() : 0;
    if (load)
        rc = MIN(assign_quiesce(m.vm, from->dev), 0);
    if (rc == 0 && to)
        rc = stage(to);
    if (rc != 0) {
        m.vm = NULL;
        return rc;
    }
    m.vf[SOURCE] = from;
    m.vf[DESTINATION] = to;
    m.record_length = 0;
    if (load)
        arm_limit(FROZEN_LIMIT_NS);
    set_states(load ? MOVE_STOP_COPY : MOVE_RUNNING, to ? MOVE_RESUMING : MOVE_ERROR);
    return 0;
}

/* Nobody's any more; cleaned before anybody gets it. */
static void reset(const struct vf *f)
{
    if (pci_reset_start(f->dev) != 0)
        log_error("%s: cannot be reset", f->label);
}

static void unstage(struct vf *t)
{
    pci_write16(t->dev, PCI_COMMAND, PCI_COMMAND_MEM);
    if (m.state[DESTINATION] == MOVE_RESUMING && iommu_detach(m.staging, t->dev->rid) != 0)
        log_error("%s: the IOMMU did not confirm that it left the staging domain", t->label);
    drop_staging(t);
}

static void discard(struct vf *t)
{
    __atomic_store_n(&t->used, false, __ATOMIC_SEQ_CST);
    reset(t);
    __atomic_store_n(&t->owner, NULL, __ATOMIC_SEQ_CST);
}

static int64_t undo(void)
{
    struct vf *from = m.vf[SOURCE], *to = m.vf[DESTINATION];

    if (to)
        unstage(to);
    if (m.state[SOURCE] == MOVE_STOP_COPY && assign_switch(m.vm, from->dev, from->dev, from->label) != 0)
        log_error("%s: cannot be given back to %s", from->label, m.vm->name);
    if (to && to != from)
        discard(to);
    m.vf[DESTINATION] = NULL;
    set_states(MOVE_STOP, MOVE_STOP);
    return 0;
}

static int64_t resume(void)
{
    uint64_t still = m.frozen_ns ? time_ns() - m.frozen_ns : 0;
    struct vf *from = m.vf[SOURCE];
    const struct vf *to = m.vf[DESTINATION];

    m.frozen_ns = 0;
    m.spent_ns += still;
    if (m.vm->saved)
        load_failed(m.vm);
    else if (m.vm == m.loading)
        log_info("[%s] resumed with %s", m.vm->name, from->label);
    if (m.vm == m.loading)
        m.loading = NULL;
    vm_freeze(m.vm, false);
    if (to == from)
        drop_staging(to);
    if (to && to != from) {
        log_info("[%s] moved from %s to %s: stood still for %lu us", m.vm->name, from->label, to->label,
                 still / NS_PER_US);
        drop_staging(to);
        reset(from);
        __atomic_store_n(&from->owner, NULL, __ATOMIC_SEQ_CST); /* nobody else's before */
    }
    m.vm = NULL;
    set_states(MOVE_RUNNING, MOVE_STOP);
    return (int64_t)still;
}

/*
 * The I/O domain cannot be waited for. Its next step finds no move; the order says what it, or the next one, has to mend: nothing while the guest ran, and if that
 * was to mend something already, the same once more.
 */
static void end_alone(void)
{
    const struct vm *guest = m.vm;
    const struct vf *runs;
    bool mend = m.frozen_ns != 0 && m.order.op != ORDER_WAKE && !guest->saved;

    if (m.state[DESTINATION] != MOVE_STOP)
        (void)undo();
    runs = m.vf[m.vf[DESTINATION] ? DESTINATION : SOURCE];
    (void)resume();
    if (!mend)
        return;
    if (m.ordered)
        log_warn("[%s] the operator's last order is dropped: its VF comes first", m.whose->name);
    post(ORDER_WAKE, runs, NULL, guest);
    m.order.length = runs == m.vf[DESTINATION] ? m.record_length : 0;
    memcpy(m.order.record, m.record, m.order.length);
}

static void too_long(UNUSED struct timer *t)
{
    spin_guard(&m.lock);

    if (m.loading && m.loading->saved && !m.vm)
        load_failed(m.loading);
    if (!m.vm || !m.frozen_ns || m.patient || time_ns() + m.spent_ns < m.frozen_ns + FROZEN_LIMIT_NS)
        return;
    log_error("[%s] stood still for too long: its move to another VF is ended", m.vm->name);
    end_alone();
}

void migrate_end(const struct vm *vm)
{
    spin_guard(&m.lock);

    if (vm == m.listener)
        m.listener = NULL;
    if (vm == m.loading)
        m.loading = NULL;
    if (m.vm && (vm->privileged || vm == m.vm))
        end_alone();
    if (vm->privileged && m.leave_ns && m.order.op == ORDER_WAKE)
        m.ordered = true; /* the next one begins it anew */
    if (vm == m.whose) {  /* its VFs are reset: nothing is to be moved or mended */
        m.ordered = false;
        m.leave_ns = 0;
    }
}

/* --- the steps between --- */

static int64_t map(void)
{
    void *page = p2m_ram(&m.caller->p2m, gpa(m.args.own), PAGE_SIZE);
    int rc;

    if (!page || !IS_ALIGNED(m.args.own | m.args.at, PAGE_SIZE))
        return -EFAULT;
    if (m.pages == MOVE_PAGES_MAX)
        return -ENOSPC;
    rc = iommu_map(m.staging, iova(m.args.at), ptr_to_hpa(page), PAGE_SIZE, IOMMU_R | IOMMU_W);
    m.pages += rc == 0;
    return rc;
}

static int64_t freeze(void)
{
    if (!m.frozen_ns) {
        if (m.spent_ns >= FROZEN_LIMIT_NS)
            return -EACCES;
        m.frozen_ns = time_ns();
        arm_limit(FROZEN_LIMIT_NS - m.spent_ns);
        vm_freeze(m.vm, true);
    }
    if (!vm_is_off_cpus(m.vm))
        return -EAGAIN;
    m.state[SOURCE] = MOVE_STOP;
    return 0;
}

static int64_t quiesce(void)
{
    int rc = assign_quiesce(m.vm, m.vf[SOURCE]->dev);

    if (rc >= 0)
        m.state[SOURCE] = MOVE_STOP_COPY;
    return rc;
}

static int64_t read_guest(void)
{
    void *own = p2m_ram(&m.caller->p2m, gpa(m.args.own), m.args.length);

    return own && m.args.length <= MOVE_COPY_MAX ? p2m_read(&m.vm->p2m, gpa(m.args.at), own, m.args.length)
                                                 : -EFAULT;
}

static int64_t write_guest(void)
{
    const void *own = p2m_ram(&m.caller->p2m, gpa(m.args.own), m.args.length);

    return own && m.args.length <= MOVE_COPY_MAX ? p2m_write(&m.vm->p2m, gpa(m.args.at), own, m.args.length)
                                                 : -EFAULT;
}

static int64_t keep_record(void)
{
    if (m.args.length > MOVE_RECORD_MAX ||
        p2m_read(&m.caller->p2m, gpa(m.args.own), m.record, m.args.length) != 0)
        return -EFAULT;
    m.record_length = m.args.length;
    return 0;
}

/* The guest's records are taken once it has left all CPUs. */
static int64_t save(void)
{
    int rc = -EACCES;

    if (m.vm->state != VM_RUNNING)
        return -ESRCH;
    if (m.order.op == ORDER_SAVE && m.whose == m.vm && m.leave_ns)
        rc = state_save(m.vm, m.record, m.record_length);
    if (rc != 0)
        return rc;
    vm_stop(m.vm, NULL, VM_HELD, "saved");
    m.leave_ns = 0;
    (void)undo();
    (void)resume();
    return 0;
}

static void leave(struct vf *from, struct vf *to)
{
    vf_move(from, to);
    setup_vf_moved(from, to);
}

/* The VF that the guest was saved with has been reset since. */
static void leave_home(struct vf *to)
{
    struct vf *home = m.vm->home;

    leave(home, to);
    m.vm->home = NULL;
    __atomic_store_n(&home->owner, NULL, __ATOMIC_SEQ_CST);
}

static int64_t hand_over(void)
{
    struct vf *from = m.vf[SOURCE], *to = m.vf[DESTINATION];
    const void *own = p2m_ram(&m.caller->p2m, gpa(m.args.own), m.args.length);
    void *at = p2m_ram(&m.vm->p2m, gpa(m.args.at), m.args.length);
    int rc;

    if (!own || !at || m.args.length > MOVE_COPY_MAX)
        return -EFAULT;
    rc = iommu_detach(m.staging, to->dev->rid);
    if (rc != 0)
        return rc;
    m.state[DESTINATION] = MOVE_ERROR; /* it is in no domain: from here on this can be completed or aborted */
    rc = assign_switch(m.vm, from->dev, to->dev, to->label);
    if (rc != 0)
        return rc;
    memcpy(at, own, m.args.length);
    if (from != to)
        leave(from, to);
    if (m.vm->home)
        leave_home(to);
    state_drop(m.vm);
    m.leave_ns = 0;
    set_states(MOVE_STOP, MOVE_STOP);
    return 0;
}

#define IS(state) (1u << (state))
#define ANY       UINT32_MAX
#define OPEN      (IS(MOVE_RESUMING) | IS(MOVE_ERROR)) /* of the destination: not yet the guest's */

/* In which states of source and destination a step may be taken. What it leads to is its function's to say, once it has succeeded. */
static const struct {
    uint32_t source, destination;
    int64_t (*fn)(void);
} steps[MOVE_STEPS] = {
    [MOVE_CHECK] = {IS(MOVE_RUNNING), IS(MOVE_STOP), just_check},
    [MOVE_BEGIN] = {IS(MOVE_RUNNING), IS(MOVE_STOP), begin},
    [MOVE_MAP] = {ANY, IS(MOVE_RESUMING), map},
    [MOVE_FREEZE] = {IS(MOVE_RUNNING) | IS(MOVE_STOP), OPEN, freeze},
    [MOVE_QUIESCE] = {IS(MOVE_STOP), OPEN, quiesce},
    [MOVE_READ] = {IS(MOVE_STOP_COPY), OPEN, read_guest},
    [MOVE_WRITE] = {IS(MOVE_STOP_COPY), OPEN, write_guest},
    [MOVE_RECORD] = {IS(MOVE_STOP_COPY), OPEN, keep_record},
    [MOVE_SWITCH] = {IS(MOVE_STOP_COPY), IS(MOVE_RESUMING), hand_over},
    [MOVE_ABORT] = {ANY, OPEN, undo},
    [MOVE_SAVE] = {IS(MOVE_STOP_COPY), IS(MOVE_ERROR), save},
    [MOVE_RESUME] = {IS(MOVE_STOP), IS(MOVE_STOP), resume},
};

int64_t migrate_step(struct vm *caller, uint64_t step, gpa_t args)
{
    spin_guard(&m.lock);

    if (step >= MOVE_STEPS || p2m_read(&caller->p2m, args, &m.args, sizeof(m.args)) != 0)
        return -EFAULT;
    if (m.args.version != MOVE_VERSION || m.args.size != sizeof(m.args))
        return -EINVAL;
    if (!(steps[step].source & IS(m.state[SOURCE])) || !(steps[step].destination & IS(m.state[DESTINATION])))
        return step <= MOVE_BEGIN ? -EBUSY : -EINVAL;
    m.caller = caller;
    return steps[step].fn();
}
