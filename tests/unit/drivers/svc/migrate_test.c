/* SPDX-License-Identifier: BSD-2-Clause */
/* drivers/svc/migrate.c: an order's steps in their order, and what becomes of one that fails, against a model of the hypervisor's side. */
#include "tests/unit/test.h"

#include <stdarg.h>

static char said[16384];
static size_t said_used;

static void say_it(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#define printf say_it
#include "drivers/svc/migrate.c"
#undef printf

static void say_it(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    said_used += (size_t)vsnprintf(said + said_used, sizeof(said) - said_used, fmt, ap);
    va_end(ap);
}

#define RESET_NS (100 * NS_PER_MS)

static uint64_t now;
static struct nic nics[2], *const all[2] = {&nics[0], &nics[1]};

/* --- the hypervisor's side --- */

static struct {
    bool ordered, under_way, frozen, switched, cleaned;
    uint64_t in_reset_until; /* the destination */
    unsigned begun;
    struct move_order order;
} hv;

static bool never_clean;
static unsigned busy; /* how often the guest is in the middle of something */

/* Whose driver must have looked at the destination before it is clean. */
static const struct nic *destination(void)
{
    return &nics[hv.order.to_nic];
}

static long check_both(void)
{
    return now < hv.in_reset_until || !hv.cleaned ? -EAGAIN : 0;
}

static long move_step(enum move_step s)
{
    switch (s) {
    case MOVE_CHECK:
        CHECK(!hv.under_way);
        return check_both();
    case MOVE_BEGIN:
        CHECK(!hv.under_way);
        if (check_both() != 0)
            return -EAGAIN;
        hv.begun++;
        hv.under_way = true;
        return 0;
    case MOVE_FREEZE:
        hv.frozen = true;
        return 0;
    case MOVE_SWITCH:
        CHECK(hv.frozen);
        hv.switched = true;
        return 0;
    case MOVE_ABORT:
        CHECK(hv.under_way && !hv.switched);
        hv.in_reset_until = now + RESET_NS;
        hv.cleaned = false;
        return 0;
    case MOVE_RESUME:
        hv.under_way = hv.frozen = false;
        return 1000;
    default:
        return 0;
    }
}

long hypercall(unsigned nr, uint64_t a, uint64_t b, uint64_t c)
{
    (void)b, (void)c;
    now += NS_PER_US;
    if (nr == HC_MOVE)
        return move_step((enum move_step)a);
    if (nr != HC_ORDER || !hv.ordered)
        return 0;
    hv.ordered = false;
    memcpy((void *)(uintptr_t)a, &hv.order, sizeof(hv.order));
    return 1;
}

uint64_t clock_ns(void)
{
    return now += NS_PER_US;
}

int irq_alloc(void)
{
    return 3;
}

bool irq_take(unsigned irq)
{
    CHECK_EQ(irq, 3);
    return true;
}

/* --- the NIC's driver --- */

static bool nic_poll(struct nic *nic)
{
    hv.cleaned |= nic == destination() && hv.in_reset_until != 0 && !never_clean;
    return false;
}

static const char *refuses(struct nic *nic, unsigned from, struct nic *dest, unsigned to)
{
    (void)nic, (void)from, (void)dest, (void)to;
    return NULL;
}

static int stage_vf(struct nic *nic, unsigned from, struct nic *dest, unsigned to, const struct vf_host *h)
{
    (void)nic, (void)from, (void)to, (void)h;
    CHECK(dest == destination());
    return 0;
}

static int stop_vf(struct nic *nic)
{
    (void)nic;
    CHECK(hv.frozen);
    if (!busy)
        return 0;
    busy--;
    return -EAGAIN;
}

static int ok(struct nic *nic)
{
    (void)nic;
    return 0;
}

static void nothing(struct nic *nic)
{
    (void)nic;
}

static void undo_vf(struct nic *nic, bool still)
{
    (void)nic;
    CHECK(still);
}

static const void *bytes(struct nic *nic, uint64_t *at, uint32_t *length)
{
    (void)nic;
    *at = *length = 0;
    return nics;
}

static const void *record(struct nic *nic, uint32_t *length)
{
    (void)nic;
    *length = 0;
    return nics;
}

static const struct vf_figures *figures(struct nic *nic)
{
    static const struct vf_figures none;

    (void)nic;
    return &none;
}

static unsigned accesses(void)
{
    return 0;
}

static unsigned announce(bool last)
{
    (void)last;
    return 0;
}

static const struct vf_ops vf_ops = {
    .announce = announce,
    .refuses = refuses,
    .stage = stage_vf,
    .park = nothing,
    .poll = nothing,
    .stop = stop_vf,
    .save = ok,
    .replay = ok,
    .ring = bytes,
    .load = ok,
    .start = nothing,
    .finish = nothing,
    .undo = undo_vf,
    .record = record,
    .figures = figures,
    .accesses = accesses,
};
static const struct nic_ops nic_ops = {.poll = nic_poll, .vf = &vf_ops};

static void carry_out(uint32_t to_nic)
{
    memset(&hv, 0, sizeof(hv));
    memset(said, 0, sizeof(said));
    said_used = 0;
    hv.cleaned = hv.ordered = true;
    hv.order = (struct move_order){.op = ORDER_MOVE, .from = 0, .to = 3, .to_nic = to_nic, .guest = "web"};
    for (unsigned i = 0; i < ARRAY_SIZE(nics); i++)
        nics[i] = (struct nic){.ops = &nic_ops, .name = i ? "lan1" : "lan0", .channels = 4};
    CHECK_EQ(migrate_start(all, ARRAY_SIZE(all)), 0);
    (void)migrate_poll();
    CHECK(!hv.under_way && !hv.frozen);
}

TEST(a_move)
{
    carry_out(0);
    CHECK(strstr(said, "result=done guest=web from=lan0/0 to=lan0/3") && hv.switched);
    CHECK_EQ(hv.begun, 1);
}

/* Each time the destination goes through its reset, and somebody must clean it. */
TEST(a_guest_in_the_middle_of_something_is_moved_later)
{
    for (uint32_t to_nic = 0; to_nic < 2; to_nic++) {
        busy = 3;
        carry_out(to_nic);
        CHECK(strstr(said, "result=done") && hv.switched);
        CHECK_EQ(hv.begun, 4);
    }
}

TEST(but_not_for_ever)
{
    busy = UINT32_MAX;
    carry_out(0);
    CHECK(strstr(said, "result=failed") && strstr(said, "reason=not-now") && strstr(said, "step=stop"));
    CHECK_EQ(hv.begun, TRIES);
    busy = 0;
}

TEST(nor_for_a_destination_that_does_not_come_clean)
{
    uint64_t began = now;

    busy = 1;
    never_clean = true;
    carry_out(0);
    CHECK(strstr(said, "result=failed") && strstr(said, "step=begin"));
    CHECK(now - began < (TRIES + 1) * CLEAN_LIMIT_NS);
    never_clean = false;
    busy = 0;
}

TEST_MAIN()
