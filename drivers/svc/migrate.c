/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Moves guests from VF to VF on the operator's order: the order of the protocol's steps, half of which are the NIC driver's (drivers/net/vf/vf.h) and half the
 * hypervisor's (vm/abi/migrate.h). Each order ends with one line that says what came of it: `migrate: ` and key=value.
 */
#include "vm/abi/migrate.h"
#include "drivers/net/nic.h"
#include "drivers/net/vf/vf.h"
#include "drivers/svc/phase.h"
#include "drivers/svc/svc.h"
#include "drivers/sys/sys.h"
#include "vm/abi/hypercall.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define FREEZE_LIMIT_NS (200 * NS_PER_MS)
#define TRIES           8 /* of a guest that is in the middle of something */
#define TRY_AGAIN_NS    (5 * NS_PER_MS)
#define CLEAN_LIMIT_NS  (500 * NS_PER_MS) /* of a destination that was let go of; its reset takes 100 ms */
#define DRAINS          4
#define USUAL_ACCESSES  47 /* of a move, while the guest stands still */
#define USUAL_CALLS     12
#define ANNOUNCEMENTS   4                /* after the one of the move itself */
#define ANNOUNCE_NS     (50 * NS_PER_MS) /* until the first; each time twice as long */

static const char *const op_name[] = {
    [ORDER_MOVE] = "move",     [ORDER_DRY_RUN] = "dry-run", [ORDER_QUIESCE] = "quiesce",
    [ORDER_RESUME] = "resume", [ORDER_WAKE] = "wake",       [ORDER_SAVE] = "save",
    [ORDER_LOAD] = "load"};

const char *const phase_name[PHASES] = {"begin",  "stage", "park",   "freeze", "stop",   "quiesce", "save",
                                        "replay", "load",  "switch", "start",  "resume", "finish"};

static struct {
    struct nic *const *nics;
    unsigned count;
    unsigned irq;
    bool asked;           /* for orders, so that interrupts come for the next ones */
    struct nic *quiesced; /* by ORDER_QUIESCE, until ORDER_RESUME */
    struct nic *nic, *to; /* of source and destination */
    struct move args;
    struct move_order order;
    uint64_t ns[PHASES];
    unsigned hypercalls, accesses;
    long blackout_ns, exits;
    bool pending, drained; /* as MOVE_QUIESCE said */
    unsigned id;           /* of the order, from 1 */
    struct {
        const struct vf_ops *ops; /* NULL: nothing is to be announced */
        unsigned id, n;
        uint64_t due;
    } news;
} m = {.news.due = UINT64_MAX};

static long step(enum move_step s)
{
    m.hypercalls++;
    return hypercall(HC_MOVE, s, (uint64_t)(uintptr_t)&m.args, 0);
}

static int host_map(uint64_t iova, void *page)
{
    m.args.at = iova;
    m.args.own = (uint64_t)(uintptr_t)page;
    return (int)step(MOVE_MAP);
}

static int host_copy(enum move_step s, uint64_t at, uint64_t own, uint32_t length)
{
    m.args.at = at;
    m.args.own = own;
    m.args.length = length;
    return (int)step(s);
}

static int host_read(uint64_t at, void *own, uint32_t length)
{
    return host_copy(MOVE_READ, at, (uint64_t)(uintptr_t)own, length);
}

static int host_write(uint64_t at, const void *own, uint32_t length)
{
    return host_copy(MOVE_WRITE, at, (uint64_t)(uintptr_t)own, length);
}

static const struct vf_host host = {host_map, host_read, host_write};

/* --- the phases: 0, or negative errno --- */

static const struct vf_ops *ops(void)
{
    return m.nic->ops->vf;
}

/* The network hears of a move to another NIC several times: a frame may be lost. */
static void news_begin(void)
{
    m.news.ops = ops();
    m.news.id = m.id;
    m.news.n = 0;
    m.news.due = clock_ns() + ANNOUNCE_NS;
}

static void news_go_on(void)
{
    bool last = ++m.news.n == ANNOUNCEMENTS;
    unsigned late = m.news.ops->announce(last);

    m.news.due = last ? UINT64_MAX : clock_ns() + (ANNOUNCE_NS << m.news.n);
    if (last)
        printf("migrate: id=%u announced=%u late=%u\n", m.news.id, 1 + ANNOUNCEMENTS, late);
}

static int begin(void)
{
    return (int)step(MOVE_BEGIN);
}

static int stage(void)
{
    return ops()->stage(m.nic, m.order.from, m.to, m.args.to == MOVE_ALONE ? m.order.from : m.order.to,
                        &host);
}

static int park(void)
{
    ops()->park(m.nic);
    return 0;
}

/* The guest's processors leave it; meanwhile frames come. */
static int stand_still(void)
{
    uint64_t end = clock_ns() + FREEZE_LIMIT_NS;
    int err;

    while ((err = (int)step(MOVE_FREEZE)) == -EAGAIN && clock_ns() < end)
        ops()->poll(m.nic);
    return err == -EAGAIN ? -ETIMEDOUT : err;
}

/* The guest's time to stand still begins. */
static int freeze(void)
{
    m.exits = hypercall(HC_CYCLES, 0, 0, 0);
    m.accesses = ops()->accesses();
    m.hypercalls = 0;
    return stand_still();
}

static int stop(void)
{
    return ops()->stop(m.nic);
}

static int quiesce(void)
{
    long rc = step(MOVE_QUIESCE);

    m.drained = rc >= 0;
    m.pending = rc == 1;
    return rc < 0 ? (int)rc : 0;
}

static int save(void)
{
    return ops()->save(m.nic);
}

static int replay(void)
{
    ops()->poll(m.nic);
    return ops()->replay(m.nic);
}

/* What comes meanwhile is put in its place, too; a few times, for then it is less than one frame. */
static int load(void)
{
    unsigned before;
    int err;

    for (unsigned i = 0; i < DRAINS; i++) {
        err = ops()->load(m.nic);
        before = ops()->figures(m.nic)->replayed;
        if (!err)
            err = replay();
        if (err || ops()->figures(m.nic)->replayed == before)
            return err;
    }
    return ops()->load(m.nic);
}

static int hand_over(void)
{
    uint32_t length;
    uint64_t at;
    const void *record = ops()->record(m.nic, &length), *ring;
    int err = host_copy(MOVE_RECORD, 0, (uint64_t)(uintptr_t)record, length);

    if (err)
        return err;
    ring = ops()->ring(m.nic, &at, &length);
    return host_copy(MOVE_SWITCH, at, (uint64_t)(uintptr_t)ring, length);
}

static int start(void)
{
    ops()->start(m.nic);
    return 0;
}

static int resume(void)
{
    m.accesses = ops()->accesses() - m.accesses;
    m.blackout_ns = step(MOVE_RESUME);
    m.exits = hypercall(HC_CYCLES, 0, 0, 0) - m.exits - 1;
    return m.blackout_ns < 0 ? (int)m.blackout_ns : 0;
}

static int finish(void)
{
    ops()->finish(m.nic);
    if (m.to != m.nic)
        news_begin();
    return 0;
}

static int (*const phase_fn[PHASES])(void) = {
    [BEGIN] = begin,     [STAGE] = stage,   [PARK] = park,     [FREEZE] = freeze, [STOP] = stop,
    [QUIESCE] = quiesce, [SAVE] = save,     [REPLAY] = replay, [LOAD] = load,     [SWITCH] = hand_over,
    [START] = start,     [RESUME] = resume, [FINISH] = finish,
};

static int run(enum phase from, enum phase to, enum phase *failed)
{
    int err = 0;

    for (enum phase p = from; p <= to && !err; p++) {
        uint64_t began = clock_ns();

        (void)hypercall(HC_ALIVE, ALIVE_LIMIT_MS, 0, 0); /* the event loop waits for us */
        m.hypercalls++;
        err = phase_fn[p]();
        m.ns[p] = clock_ns() - began;
        *failed = p;
    }
    return err;
}

/* Everything back to the source, and the guest goes on there. The abort is refused if the hypervisor has done so itself: then the order to wake the VF follows. */
static void undo(void)
{
    ops()->undo(m.nic, step(MOVE_ABORT) == 0);
    m.blackout_ns = step(MOVE_RESUME);
}

/* --- what is said --- */

static const char *reason(int err)
{
    static const struct {
        int err;
        const char *text;
    } reasons[] = {
        {-EBUSY, "vf-in-use"},          {-EAGAIN, "not-now"},
        {-ENODEV, "model-differs"},     {-ESRCH, "guest-not-running"},
        {-EPERM, "in-quarantine"},      {-EACCES, "not-ordered"},
        {-ETIMEDOUT, "waited-in-vain"}, {-ENOMEM, "no-memory"},
        {-EINVAL, "not-allowed"},       {-EIO, "device"},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(reasons); i++)
        if (reasons[i].err == err)
            return reasons[i].text;
    return "error";
}

static void say(const char *result, const char *why)
{
    printf("migrate: id=%u op=%s result=%s guest=%s from=%s/%u to=", m.id, op_name[m.order.op], result,
           m.order.guest, m.nic->name, (unsigned)m.order.from);
    if (m.order.to == MOVE_ALONE)
        printf("-");
    else
        printf("%s/%u", m.to->name, (unsigned)m.order.to);
    printf(why ? " reason=%s\n" : "\n", why);
}

static void say_figures(void)
{
    const struct vf_figures *f = ops()->figures(m.nic);
    unsigned given = f->replayed + f->looped;

    printf("migrate: id=%u blackout_ns=%ld accesses=%u hypercalls=%u exits=%ld parked=%u replayed=%u "
           "looped=%u lost=%u duplicated=%u\n",
           m.id, m.blackout_ns, m.accesses, m.hypercalls, m.exits, f->parked, f->replayed, f->looped,
           f->overflowed, given > f->parked ? given - f->parked : 0);
    printf("migrate: id=%u polls=%u pending=%u bus_master=%s drained=%u rx_head=%u,%u rx_tail=%u "
           "tx_head=%u,%u tx_tail=%u\n",
           m.id, f->polls, m.pending, m.drained ? "off" : "on", m.drained, f->rx_head[0], f->rx_head[1],
           f->rx_tail, f->tx_head[0], f->tx_head[1], f->tx_tail);
    printf("migrate: id=%u", m.id);
    for (enum phase p = BEGIN; p < PHASES; p++)
        printf(" %s_us=%llu", phase_name[p], (unsigned long long)(m.ns[p] / NS_PER_US));
    printf("\n");
}

/* The guest was in the middle of something, so it goes on for a while; and the destination comes out of its reset, and is cleaned. */
static void wait_for_both(void)
{
    uint64_t began = clock_ns();

    while (clock_ns() < began + TRY_AGAIN_NS ||
           (clock_ns() < began + CLEAN_LIMIT_NS && step(MOVE_CHECK) == -EAGAIN)) {
        (void)m.nic->ops->poll(m.nic);
        (void)m.to->ops->poll(m.to);
    }
}

static int try(enum phase last, enum phase *at)
{
    int err = run(BEGIN, last, at);

    if (err && *at > BEGIN && *at < RESUME)
        undo();
    else if (err && *at == RESUME) /* the hypervisor did not wait: the guest goes on, with the destination */
        ops()->finish(m.nic);
    if (err == -EAGAIN)
        wait_for_both();
    return err;
}

static void do_move(enum phase last)
{
    enum phase at = BEGIN;
    int err = -EAGAIN;

    for (unsigned i = 0; i < TRIES && err == -EAGAIN; i++) {
        memset(m.ns, 0, sizeof(m.ns));
        m.blackout_ns = 0;
        m.drained = m.pending = false;
        err = try(last, &at);
    }
    m.quiesced = !err && last == SAVE ? m.nic : NULL;
    say(err ? "failed" : "done", err ? reason(err) : NULL);
    if (err)
        printf("migrate: id=%u step=%s\n", m.id, phase_name[at]);
    say_figures();
}

static void do_resume(void)
{
    m.nic = m.quiesced;
    undo();
    m.quiesced = NULL;
    say("done", NULL);
    say_figures();
}

/* What stage() and its like would take to do is outside of the time that the guest stands still. */
static void do_dry_run(void)
{
    uint64_t began = clock_ns(), per_access, per_call;
    unsigned accesses = ops()->accesses();

    (void)ops()->refuses(m.nic, m.order.from, m.to, m.order.to);
    per_access = (clock_ns() - began) / (ops()->accesses() - accesses + 1);
    began = clock_ns();
    (void)hypercall(HC_VERSION, 0, 0, 0);
    per_call = clock_ns() - began;
    say("possible", NULL);
    printf("migrate: id=%u predicted_ns=%llu\n", m.id,
           (unsigned long long)(USUAL_ACCESSES * per_access + USUAL_CALLS * per_call));
}

static int wake(void)
{
    int err = (int)step(MOVE_BEGIN);

    if (err)
        return err;
    err = stand_still();
    if (!err)
        err = ops()->wake(m.nic, m.order.from, m.order.record, m.order.length);
    if (step(MOVE_ABORT) != 0 && !err)
        err = -ETIMEDOUT; /* the hypervisor did not wait: the guest may have been in our way */
    (void)step(MOVE_RESUME);
    return err;
}

/* A guest that is in a reset of its VF, or does not stand still, is waited for: nobody else does this. */
static void do_wake(void)
{
    int err = -EAGAIN;

    for (unsigned i = 0; i < TRIES && (err == -EAGAIN || err == -ETIMEDOUT); i++)
        err = wake();
    say(err ? "failed" : "done", err ? reason(err) : NULL);
}

/* --- a guest that is saved, and comes back --- */

/* Nothing is parked: the guest is away for as long as the operator likes. */
static int quiet(void)
{
    static const enum phase phases[] = {STAGE, FREEZE, STOP, QUIESCE, SAVE};
    enum phase at;
    int err = 0;

    for (unsigned i = 0; i < sizeof(phases) / sizeof(phases[0]) && !err; i++)
        err = run(phases[i], phases[i], &at);
    return err;
}

static int keep(void)
{
    uint32_t length;
    const void *record = ops()->pack(m.nic, &length);
    int err = host_copy(MOVE_RECORD, 0, (uint64_t)(uintptr_t)record, length);

    return err ? err : (int)step(MOVE_SAVE);
}

static void do_save(void)
{
    int err = -EAGAIN;

    for (unsigned i = 0; i < TRIES && err == -EAGAIN; i++) {
        uint64_t again;

        err = begin();
        if (err)
            break;
        err = quiet();
        if (!err)
            err = keep();
        if (err)
            undo();
        for (again = clock_ns() + TRY_AGAIN_NS; err == -EAGAIN && clock_ns() < again;)
            (void)m.nic->ops->poll(m.nic);
    }
    say(err ? "failed" : "done", err ? reason(err) : NULL);
}

/* m.to is the NIC that the guest has its VF of now. */
static int come_back(void)
{
    struct nic *old = m.nic;
    const void *record;
    uint32_t length;
    int err = begin();

    m.nic = m.to;
    if (!err)
        err = ops()->unpack(m.to, m.order.to, m.order.record, m.order.length, &host);
    if (!err)
        err = ops()->load(m.to);
    if (!err) {
        record = ops()->record(m.to, &length);
        err = host_copy(MOVE_RECORD, 0, (uint64_t)(uintptr_t)record, length);
    }
    if (!err)
        err = host_copy(MOVE_SWITCH, 0, 0, 0);
    if (!err)
        err = ops()->go_on(old, m.order.from);
    m.nic = old;
    return err;
}

static void do_load(void)
{
    int err = m.to->ops->vf == ops() ? come_back() : -ENODEV;

    (void)hypercall(HC_ALIVE, ALIVE_LIMIT_MS, 0, 0);
    if (err)
        (void)step(MOVE_ABORT);
    m.blackout_ns = step(MOVE_RESUME);
    say(err ? "failed" : "done", err ? reason(err) : NULL);
}

static const char *refusal(void)
{
    bool alone = m.order.to == MOVE_ALONE;
    const char *why;
    int err;

    if (m.order.op == ORDER_RESUME || m.order.op == ORDER_WAKE || m.order.op == ORDER_LOAD)
        return m.order.op == ORDER_RESUME && !m.quiesced ? "not-quiesced" : NULL;
    if (m.order.from >= m.nic->channels || (!alone && m.order.to >= m.to->channels))
        return "no-such-vf";
    if (m.to->ops->vf != ops())
        return reason(-ENODEV);
    err = (int)step(MOVE_CHECK);
    why = err ? reason(err) : ops()->refuses(m.nic, m.order.from, m.to, alone ? m.order.from : m.order.to);
    return why;
}

static void do_order(void)
{
    const char *why;

    m.args = (struct move){.version = MOVE_VERSION,
                           .size = sizeof(m.args),
                           .nic = m.order.nic,
                           .from = m.order.from,
                           .to_nic = m.order.to_nic,
                           .to = m.order.to};
    why = refusal();
    if (why)
        say("refused", why);
    else if (m.order.op == ORDER_DRY_RUN)
        do_dry_run();
    else if (m.order.op == ORDER_RESUME)
        do_resume();
    else if (m.order.op == ORDER_WAKE)
        do_wake();
    else if (m.order.op == ORDER_SAVE)
        do_save();
    else if (m.order.op == ORDER_LOAD)
        do_load();
    else
        do_move(m.order.op == ORDER_MOVE ? FINISH : SAVE);
}

static struct nic *nic_of(uint32_t nic)
{
    return nic < m.count ? m.nics[nic] : NULL;
}

uint64_t migrate_poll(void)
{
    if (clock_ns() >= m.news.due)
        news_go_on();
    if (!irq_take(m.irq) && m.asked)
        return m.news.due;
    m.asked = true;
    while (hypercall(HC_ORDER, (uint64_t)(uintptr_t)&m.order, IRQ_VECTOR_BASE + m.irq, 0) == 1) {
        m.id++;
        m.nic = nic_of(m.order.nic);
        m.to = m.order.to == MOVE_ALONE ? m.nic : nic_of(m.order.to_nic);
        if (m.nic && m.to && m.nic->ops->vf && m.order.op >= ORDER_MOVE && m.order.op <= ORDER_LOAD)
            do_order();
        else
            printf("migrate: id=%u result=refused reason=no-driver\n", m.id);
    }
    return m.news.due;
}

int migrate_start(struct nic *const *nics, unsigned count)
{
    int irq = irq_alloc();

    if (irq < 0)
        return irq;
    m.nics = nics;
    m.count = count;
    m.irq = (unsigned)irq;
    return 0;
}
