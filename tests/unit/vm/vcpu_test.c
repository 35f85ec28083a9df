/* SPDX-License-Identifier: BSD-2-Clause */
/* vm/vcpu.c: requests against every state, INIT and SIPI, what is injected when, #DF, instruction lengths. */
#include "tests/unit/test.h"

#include "tests/unit/fake/cpu.c"
#include "tests/unit/fake/heap.c"
#include "tests/unit/fake/hvm.c"
#include "tests/unit/fake/log.c"
#include "tests/unit/fake/time.c"

#include "vm/emul/decode.c"
#include "vm/vcpu.c"

static struct boot_guest cfg = {.vcpus = 2};
static struct vm vm = {.name = "test", .cfg = &cfg, .nvcpus = 2};
static struct vcpu *v;

static unsigned woken, entered, stops, syncs, lapic_resets;
static int pending = -1;
static unsigned in_service; /* vector that the CPU has delivered */
static uint8_t code[15];
static unsigned code_len;

void sched_vcpu_init(struct vcpu *x)
{
    list_init(&x->runq);
}

void sched_wake(struct vcpu *x)
{
    (void)x;
    woken++;
}

static bool must_yield;

bool sched_must_yield(const struct vcpu *x)
{
    (void)x;
    return must_yield;
}

static enum vcpu_state prepared;

enum vcpu_state vm_prepare(struct vcpu *x)
{
    (void)x;
    return prepared;
}

void vm_vcpu_enter(struct vcpu *x)
{
    (void)x;
    entered++;
}

void vm_stop(struct vm *m, struct vcpu *culprit, enum vm_end end, const char *fmt, ...)
{
    (void)m, (void)fmt;
    CHECK_EQ(end, VM_CRASH);
    stops++;
    vcpu_request(culprit, VCPU_REQ_STOP);
}

int lapic_create(struct vcpu *x)
{
    (void)x;
    return 0;
}

void lapic_reset(struct vcpu *x)
{
    (void)x;
    lapic_resets++;
}

int lapic_pending(struct vcpu *x)
{
    (void)x;
    return pending;
}

void lapic_queue(struct vcpu *x, uint8_t vector)
{
    (void)x;
    CHECK_EQ(vector, pending);
    pending = -1;
}

void lapic_unqueue(struct vcpu *x, uint8_t vector, bool delivered)
{
    (void)x;
    if (delivered)
        in_service = vector;
    else
        pending = vector;
}

static unsigned lends, take_backs;

void lapic_lend(struct vcpu *x)
{
    CHECK(x->own_cpu);
    x->lent = true;
    lends++;
}

static bool can_delegate;
static unsigned recalls;

bool lapic_delegate(struct vcpu *x)
{
    CHECK(!x->queued && !x->delegated && !x->halted);
    x->delegated = can_delegate;
    return can_delegate;
}

void lapic_take_back(struct vcpu *x)
{
    recalls += x->delegated;
    x->delegated = false;
    take_backs += x->lent;
    x->lent = false;
}

void lapic_pv_eoi_sync(struct vcpu *x)
{
    x->pv_eoi_armed = false;
    syncs++;
}

/* What the tests need of it: the width by the fake's CS alone. */
unsigned guest_bits(const struct vcpu *x)
{
    uint16_t attr = fake_hvm.seg[SEG_CS].attr;

    (void)x;
    return attr & BIT32(9) ? 64 : attr & BIT32(10) ? 32 : 16;
}

unsigned guest_fetch(struct vcpu *x, uint8_t buf[15])
{
    (void)x;
    memcpy(buf, code, code_len);
    return code_len;
}

static void setup(unsigned id)
{
    if (v)
        heap_free(v, sizeof(*v));
    fake_hvm.can_intr = fake_hvm.can_nmi = true;
    fake_hvm.window = fake_hvm.can_queue = fake_hvm.delivers = false;
    fake_hvm.queued = 0;
    in_service = 0;
    fake_hvm.flushes = 0;
    pending = -1;
    must_yield = false;
    woken = entered = stops = syncs = 0;
    memset(fake_kicks, 0, sizeof(fake_kicks));
    CHECK_EQ(vcpu_create(&vm, id), 0);
    v = vm.vcpu[id];
    fake_hvm_long_mode();
}

/* What the guest does: a row an entry, then a request to stop. */
static struct {
    enum vm_exit_kind kind;
    void (*during)(void);  /* while in the guest */
    void (*handler)(void); /* in the exit handler */
    struct vm_event redo;
} script[8];
static struct vm_event seen[8];
static unsigned step, steps;

static void run_script(struct vcpu *x, struct vm_exit *e)
{
    seen[step] = x->queued ? (struct vm_event){true, false, VM_EVENT_INTR, x->queued, 0} : x->inject;
    x->inject.valid = false;
    memset(e, 0, sizeof(*e));
    e->kind = step < steps ? script[step].kind : VM_EXIT_CPUID;
    e->redo = script[step].redo;
    if (step < steps && script[step].during)
        script[step].during();
    if (++step >= steps)
        vcpu_request(x, VCPU_REQ_STOP);
}

void exit_handle(struct vcpu *x, struct vm_exit *e)
{
    if (e->kind == VM_EXIT_HLT) {
        x->halted = true;
        x->recheck = true;
    }
    if (script[step - 1].handler)
        script[step - 1].handler();
}

static enum vcpu_state run(unsigned n)
{
    enum vcpu_state s;

    fake_hvm.run = run_script;
    step = 0;
    steps = n;
    v->state = VCPU_RUNNING;
    s = vcpu_run(v);
    memset(script, 0, sizeof(script));
    return s;
}

TEST(requests_reach_every_state)
{
    setup(0);
    v->state = VCPU_BLOCKED;
    vcpu_request(v, VCPU_REQ_EVENT);
    CHECK_EQ(woken, 1);
    v->state = VCPU_RUNNING;
    v->cpu = 2;
    vcpu_request(v, VCPU_REQ_EVENT);
    CHECK_EQ(fake_kicks[2], 1);
    v->cpu = 0; /* this CPU: the run loop looks by itself */
    vcpu_request(v, VCPU_REQ_EVENT);
    CHECK_EQ(fake_kicks[0], 0);
    v->state = VCPU_READY;
    vcpu_request(v, VCPU_REQ_EVENT);
    v->state = VCPU_OFF;
    vcpu_request(v, VCPU_REQ_EVENT | VCPU_REQ_INIT);
    CHECK_EQ(woken, 1);
    CHECK_EQ(entered, 0);
    vcpu_request(v, VCPU_REQ_SIPI);
    CHECK_EQ(entered, 1);
    CHECK_EQ(v->requests, VCPU_REQ_EVENT | VCPU_REQ_INIT | VCPU_REQ_SIPI);
}

TEST(stop)
{
    setup(0);
    vcpu_request(v, VCPU_REQ_STOP);
    CHECK_EQ(run(1), VCPU_OFF);
    CHECK_EQ(step, 0); /* never entered */
    CHECK_EQ(v->requests, 0);
}

TEST(what_it_needs_comes_before_the_guest)
{
    static const enum vcpu_state not_yet[] = {VCPU_READY, VCPU_BLOCKED, VCPU_OFF};

    setup(0);
    vm.state = VM_STARTING;
    for (unsigned i = 0; i < ARRAY_SIZE(not_yet); i++) {
        prepared = not_yet[i];
        CHECK_EQ(run(1), prepared);
        CHECK_EQ(step, 0);
    }
    prepared = VCPU_RUNNING;
    CHECK_EQ(run(1), VCPU_OFF); /* the script's end */
    CHECK_EQ(step, 1);
    vm.state = VM_RUNNING;
}

TEST(init_and_sipi)
{
    struct vm_segment cs;

    setup(1);
    CHECK(v->wait_sipi);
    CHECK_EQ(run(1), VCPU_OFF);
    CHECK_EQ(step, 0);
    v->sipi_vector = 0x9a;
    vcpu_request(v, VCPU_REQ_INIT | VCPU_REQ_SIPI);
    run(1);
    CHECK_EQ(step, 1);
    CHECK_EQ(v->rip, 0);
    cs = hvm->segment(v, SEG_CS);
    CHECK_EQ(cs.selector, 0x9a00);
    CHECK_EQ(cs.base, 0x9a000);
    v->rip = 0x1234;
    vcpu_request(v, VCPU_REQ_SIPI); /* the second one of the protocol: ignored */
    run(1);
    CHECK_EQ(v->rip, 0x1234);
    vcpu_request(v, VCPU_REQ_INIT);
    CHECK_EQ(run(1), VCPU_OFF);
    CHECK(v->wait_sipi);
}

TEST(an_interrupt_goes_in)
{
    setup(0);
    pending = 0x31;
    run(1);
    CHECK(seen[0].valid);
    CHECK_EQ(seen[0].type, VM_EVENT_INTR);
    CHECK_EQ(seen[0].vector, 0x31);
    CHECK_EQ(in_service, 0x31);
    CHECK(!fake_hvm.window);
}

static void open_window(void)
{
    CHECK(fake_hvm.window);
    fake_hvm.can_intr = true;
    v->recheck = true; /* as VM_EXIT_WINDOW's row does */
}

TEST(an_interrupt_waits_for_its_window)
{
    setup(0);
    pending = 0x31;
    fake_hvm.can_intr = false;
    script[0].kind = VM_EXIT_WINDOW;
    script[0].handler = open_window;
    run(2);
    CHECK(!seen[0].valid);
    CHECK_EQ(seen[1].vector, 0x31);
    CHECK(!fake_hvm.window);
}

static void allow_intr(void)
{
    fake_hvm.can_intr = true;
}

static void look_at_queue(void)
{
    CHECK_EQ(fake_hvm.queued, 0x31);
    CHECK(!fake_hvm.window);
    CHECK_EQ(v->queued, 0);
}

TEST(an_interrupt_is_left_to_the_cpu)
{
    setup(0);
    pending = 0x31;
    fake_hvm.can_intr = false;
    fake_hvm.can_queue = fake_hvm.delivers = true;
    script[0].handler = look_at_queue;
    run(2);
    CHECK_EQ(seen[0].vector, 0x31);
    CHECK(!seen[1].valid);
    CHECK_EQ(in_service, 0x31);
}

TEST(what_the_cpu_did_not_deliver_is_left_to_it_again)
{
    setup(0);
    pending = 0x31;
    fake_hvm.can_intr = false;
    fake_hvm.can_queue = true;
    run(1);
    CHECK_EQ(pending, 0x31);
    CHECK_EQ(in_service, 0);
    script[0].handler = allow_intr;
    run(2);
    CHECK_EQ(seen[0].vector, 0x31);
    CHECK_EQ(in_service, 0x31);
}

TEST(with_an_nmi_behind_it_has_a_window)
{
    setup(0);
    pending = 0x61;
    v->nmi_pending = true;
    fake_hvm.can_intr = fake_hvm.can_nmi = false;
    fake_hvm.can_queue = true;
    run(1);
    CHECK_EQ(fake_hvm.queued, 0);
    CHECK(fake_hvm.window);
}

static void count_pending_calls(void)
{
    pending = 0x40; /* without a request or a row's flag nobody may look */
}

TEST(the_hot_path_looks_at_nothing)
{
    setup(0);
    script[0].handler = count_pending_calls;
    run(3);
    CHECK(!seen[1].valid);
    CHECK(!seen[2].valid);
    CHECK_EQ(in_service, 0);
    pending = -1;
}

static void raise_by_handler(void)
{
    pending = 0x41;
    vcpu_request(v, VCPU_REQ_EVENT);
}

TEST(what_an_interrupt_handler_raises_goes_in_next)
{
    setup(0);
    script[0].kind = VM_EXIT_HOST_INTR;
    script[0].during = raise_by_handler;
    run(2);
    CHECK_EQ(seen[1].vector, 0x41);
}

TEST(nmi_first)
{
    setup(0);
    v->nmi_pending = true;
    run(1);
    CHECK_EQ(seen[0].type, VM_EVENT_NMI);
    CHECK_EQ(seen[0].vector, 2);
    fake_hvm.can_nmi = false;
    v->nmi_pending = true;
    run(2);
    CHECK(!seen[0].valid);
    CHECK(v->recheck); /* asked again at each exit */
    CHECK(fake_hvm.window);
}

TEST(halting)
{
    setup(0);
    script[0].kind = VM_EXIT_HLT;
    CHECK_EQ(run(8), VCPU_BLOCKED);
    CHECK_EQ(step, 1);
    CHECK_EQ(run(8), VCPU_BLOCKED); /* woken for nothing */
    CHECK_EQ(step, 0);
    pending = 0x50;
    run(1);
    CHECK_EQ(seen[0].vector, 0x50);
    CHECK(!v->halted);
    script[0].kind = VM_EXIT_HLT;
    script[0].handler = raise_by_handler; /* comes between HLT and the check */
    run(2);
    CHECK_EQ(seen[1].vector, 0x41);
}

TEST(a_guest_that_stands_still_is_not_entered)
{
    setup(0);
    v->vm->frozen = true;
    pending = 0x50;
    CHECK_EQ(run(8), VCPU_BLOCKED);
    CHECK_EQ(step, 0);
    v->requests = VCPU_REQ_STOP;
    CHECK_EQ(run(8), VCPU_OFF);
    v->vm->frozen = false;
    run(1);
    CHECK_EQ(seen[0].vector, 0x50);
}

TEST(halted_with_interrupts_off_stays)
{
    setup(0);
    v->halted = true;
    pending = 0x50;
    fake_hvm.can_intr = false;
    CHECK_EQ(run(1), VCPU_BLOCKED);
    v->nmi_pending = true;
    run(1);
    CHECK_EQ(seen[0].type, VM_EVENT_NMI);
}

TEST(a_cut_short_event_goes_in_again)
{
    setup(0);
    script[0].redo = (struct vm_event){true, false, VM_EVENT_INTR, 0x60, 0};
    run(2);
    CHECK(seen[1].valid);
    CHECK_EQ(seen[1].vector, 0x60);
}

TEST(the_slice_ends_after_host_interrupts_only)
{
    setup(0);
    must_yield = true;
    script[2].kind = VM_EXIT_HOST_INTR;
    script[0].kind = script[1].kind = VM_EXIT_CPUID;
    CHECK_EQ(run(5), VCPU_READY);
    CHECK_EQ(step, 3);
    CHECK_EQ(fake_hvm.loads - fake_hvm.puts, 0);
}

TEST(a_changed_map_flushes)
{
    setup(0);
    run(2);
    CHECK_EQ(fake_hvm.flushes, 0);
    vm.p2m.generation++;
    run(2);
    CHECK_EQ(fake_hvm.flushes, 1);
    vcpu_request(v, VCPU_REQ_FLUSH);
    run(1);
    CHECK_EQ(fake_hvm.flushes, 2);
}

TEST(paravirtual_eoi_is_synced)
{
    setup(0);
    v->pv_eoi_armed = true;
    run(2);
    CHECK_EQ(syncs, 1);
}

/* APM 2 table 8-3 */
TEST(double_faults)
{
    static const struct {
        uint8_t first, second, result;
    } rows[] = {{13, 13, 8},  {10, 11, 8}, {14, 14, 8}, {14, 13, 8}, {0, 12, 8},
                {13, 14, 14}, {6, 13, 13}, {1, 14, 14}, {13, 6, 6},  {17, 13, 13}};

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        setup(0);
        vcpu_exception(v, rows[i].first, false, 0);
        vcpu_exception(v, rows[i].second, true, 7);
        CHECK_EQ(v->inject.vector, rows[i].result);
        CHECK_EQ(v->inject.error, rows[i].result == 8 ? 0 : 7);
        CHECK_EQ(stops, 0);
    }
    setup(0);
    vcpu_exception(v, 8, true, 0);
    vcpu_exception(v, VEC_GP, true, 0);
    CHECK_EQ(stops, 1);
    setup(0);
    v->inject =
        (struct vm_event){true, false, VM_EVENT_INTR, 13, 0}; /* an interrupt vector is no exception */
    vcpu_exception(v, VEC_GP, true, 0);
    CHECK_EQ(v->inject.vector, 13);
    CHECK_EQ(v->inject.type, VM_EVENT_EXCEPTION);
}

static uint64_t skip_over(enum vm_exit_kind kind, uint64_t rip, uint8_t len, const char *bytes, unsigned n)
{
    struct vm_exit e = {.kind = kind, .len = len};

    memcpy(code, bytes, n);
    code_len = n;
    v->rip = rip;
    vcpu_skip(v, &e);
    return v->rip;
}

TEST(lengths)
{
    setup(0);
    CHECK_EQ(skip_over(VM_EXIT_CPUID, 0x1000, 5, "", 0), 0x1005); /* the CPU said it */
    CHECK_EQ(skip_over(VM_EXIT_CPUID, 0x1000, 0, "\x0f\xa2", 2), 0x1002);
    CHECK_EQ(skip_over(VM_EXIT_CPUID, 0x1000, 0, "\x66\x0f\xa2", 3), 0x1003);
    CHECK_EQ(skip_over(VM_EXIT_CPUID, 0x1000, 0, "\xf3\x48\x0f\xa2", 4), 0x1004);
    CHECK_EQ(skip_over(VM_EXIT_HLT, 0x1000, 0, "\xf4", 1), 0x1001);
    CHECK_EQ(skip_over(VM_EXIT_MSR, 0x1000, 0, "\x0f\x30", 2), 0x1002);
    CHECK_EQ(skip_over(VM_EXIT_HYPERCALL, 0x1000, 0, "\x0f\x01\xd9", 3), 0x1003);
    CHECK_EQ(skip_over(VM_EXIT_XSETBV, 0x1000, 0, "\x0f\x01\xd1", 3), 0x1003);
    CHECK_EQ(skip_over(VM_EXIT_WBINVD, 0x1000, 0, "\x0f\x09", 2), 0x1002);
    CHECK_EQ(skip_over(VM_EXIT_CR, 0x1000, 0, "\x45\x0f\x22\xc1", 4), 0x1004); /* mov cr8, r9 */
    CHECK_EQ(skip_over(VM_EXIT_CR, 0x1000, 0, "\x0f\x01\xf0", 3), 0x1003);     /* lmsw ax */
    CHECK_EQ(skip_over(VM_EXIT_CPUID, 0x1000, 0, "", 0),
             0x1002); /* unreadable: its page went away meanwhile */
    CHECK(fake_hvm.shadow_cleared > 0);
}

TEST(rip_wraps_as_the_mode_says)
{
    setup(0);
    CHECK_EQ(skip_over(VM_EXIT_CPUID, 0xfffffffe, 0, "\x0f\xa2", 2), 0x100000000);
    fake_hvm.seg[SEG_CS].attr = 0xc9b; /* 32 bits */
    CHECK_EQ(skip_over(VM_EXIT_CPUID, 0xfffffffe, 0, "\x0f\xa2", 2), 0);
    CHECK_EQ(skip_over(VM_EXIT_CPUID, 0xfffe, 0, "\x0f\xa2", 2), 0x10000);
    fake_hvm.seg[SEG_CS].attr = 0x9b; /* 16 */
    CHECK_EQ(skip_over(VM_EXIT_CPUID, 0xfffe, 0, "\x0f\xa2", 2), 0);
}

TEST(exits_are_counted)
{
    setup(0);
    run(3);
    CHECK_EQ(v->exits[VM_EXIT_UNKNOWN], 3); /* what an empty script row is */
}

TEST(the_mask_is_cut_to_what_is_online)
{
    cfg.cpus = 0xff;
    setup(0);
    CHECK_EQ(v->cpus, 0xf);
    cfg.cpus = 0;
    setup(0);
    CHECK_EQ(v->cpus, 0xf);
    heap_free(v, sizeof(*v));
    v = NULL;
    CHECK_EQ(fake_heap_out, 0);
}

static void ask_for_event(void)
{
    pending = 0x41;
    vcpu_request(v, VCPU_REQ_EVENT);
}

TEST(own_cpus_are_set_apart_and_their_apics_lent)
{
    cfg.cpus = BIT(1) | BIT(3);
    cfg.own_cpus = 1;
    setup(1);
    CHECK(v->own_cpu && v->cpus == BIT(3));
    CHECK(fake_cpus[3].apart && !fake_cpus[1].apart);
    v->wait_sipi = false;
    lends = take_backs = 0;
    script[0].kind = script[1].kind = VM_EXIT_HOST_INTR;
    script[0].during = ask_for_event;
    CHECK_EQ(run(2), VCPU_OFF);
    CHECK_EQ(lends, 2);    /* at first, and for the event: handing on is its business */
    CHECK(!seen[1].valid); /* an interrupt does not go in by the other way, too */
    CHECK_EQ(pending, 0x41);
    CHECK(!fake_hvm.window);
    CHECK_EQ(take_backs, 1); /* nothing of the vCPU stays on the CPU */
    cfg.own_cpus = 0;
    setup(1);
    CHECK(!v->own_cpu && v->cpus == (BIT(1) | BIT(3)));
    v->wait_sipi = false;
    CHECK_EQ(run(1), VCPU_OFF);
    CHECK_EQ(lends, 2);
    cfg.own_cpus = 1;
    cfg.cpus = BIT(1) | BIT(5); /* of four */
    setup(1);
    CHECK(!v->own_cpu && v->cpus == BIT(1));
    cfg.own_cpus = 0;
    cfg.cpus = 0;
}

static void request_event(void)
{
    vcpu_request(v, VCPU_REQ_EVENT);
}

/* From one look to the next: not at exits that change nothing, nor for a vCPU that sleeps. */
TEST(interrupts_are_delegated_between_looks)
{
    setup(0);
    can_delegate = true;
    recalls = 0;
    pending = 0x51;
    fake_hvm.window = true;
    script[0].kind = script[1].kind = VM_EXIT_CPUID;
    script[2].kind = VM_EXIT_CPUID;
    script[2].during = request_event;
    CHECK_EQ(run(4), VCPU_OFF);
    CHECK_EQ(recalls, 2);
    CHECK(!v->delegated && !v->queued && !fake_hvm.window && fake_hvm.queued == 0);
    pending = -1;
    recalls = 0;
    script[0].kind = VM_EXIT_HLT;
    CHECK_EQ(run(1), VCPU_OFF);
    CHECK_EQ(recalls, 1);
    v->nmi_pending = true; /* needs its window */
    fake_hvm.can_nmi = false;
    v->halted = false;
    recalls = 0;
    CHECK_EQ(run(1), VCPU_OFF);
    CHECK_EQ(recalls, 0);
    can_delegate = false;
}

TEST(init_takes_the_apic_back)
{
    setup(0);
    v->own_cpu = v->lent = true;
    take_backs = 0;
    vcpu_request(v, VCPU_REQ_INIT);
    CHECK_EQ(run(1), VCPU_OFF);
    CHECK_EQ(take_backs, 1);
    CHECK_EQ(step, 0);
}

TEST_MAIN()
