/* SPDX-License-Identifier: BSD-2-Clause */
/* vm/assign/vf.c: whose a VF is, and that it is assigned only when it was found clean after its last reset. */
#include "tests/unit/test.h"

#include "tests/unit/fake/heap.c"
#include "tests/unit/fake/log.c"
#include "tests/unit/fake/pci.c"
#include "tests/unit/fake/time.c"

#include "vm/assign/vf.c"

static const struct boot_guest cautious = {.on_fault = BOOT_FAULT_STOP}, other;
static struct vm web, db;
static struct pci_dev *pf;
static unsigned assigned;
static int assign_rc;

int assign_function(struct vm *vm, struct pci_dev *d, const char *label, enum boot_on_fault on_fault)
{
    CHECK_EQ(on_fault, vm->cfg->on_fault);
    CHECK(vm->vf[assigned]->dev == d);
    CHECK(vm->vf[assigned]->used);
    CHECK(!strncmp(label, "lan0/", 5));
    if (!assign_rc) {
        assigned++;
        d->reset_ns = 0;
    }
    return assign_rc;
}

/* A PF with three VFs in their first reset, whose driver answers; `web` has the first two. */
static void set_up(void)
{
    first = NULL;
    last = &first;
    web = (struct vm){.name = "web", .cfg = &cautious};
    db = (struct vm){.name = "db", .cfg = &other};
    assigned = 0;
    assign_rc = fake_pci_reset_rc = 0;
    fake_pci_resets = 0;
    fake_log_reset();
    fake_time_advance(100 * NS_PER_S);
    pf = &fake_pci_add(rid(0, 0, 0x28), 0x8086, 0x10c9)->dev;
    fake_pci_add_vfs(pf, 3);
    CHECK(vf_add(pf, "lan0") == vf_find("lan0/0"));
    for (struct vf *f = vf_first(); f; f = f->next) {
        CHECK_EQ(pci_reset_start(f->dev), 0);
        f->dev->reset_ns = time_ns();
        f->dev->resets = 1;
        f->up_ns = time_ns();
    }
    CHECK_EQ(vf_give(vf_find("lan0/0"), &web), 0);
    CHECK_EQ(vf_give(vf_find("lan0/1"), &web), 0);
}

/* As setup_assign() does it. */
static int try_start(struct vm *vm)
{
    int rc = vf_check_all(vm);

    return rc ? rc : vf_assign_all(vm);
}

static void tear_down(void)
{
    heap_free(first, 3 * sizeof(*first));
    fake_pci_free_all();
    CHECK_EQ(fake_heap_out, 0);
}

static void all_clean(void)
{
    for (struct vf *f = vf_first(); f; f = f->next)
        CHECK_EQ(vf_set_clean(f, vf_reset_number(f)), 0);
}

TEST(names)
{
    set_up();
    CHECK(vf_find("lan0/2")->dev == &pf->vf[2]);
    CHECK(vf_find("lan0/3") == NULL && vf_find("") == NULL && vf_find("lan0/") == NULL);
    tear_down();
}

TEST(giving_and_taking)
{
    struct vf *f;

    set_up();
    f = vf_find("lan0/0");
    CHECK_EQ(vf_give(f, &db), -EEXIST);
    web.state = VM_STARTING;
    CHECK_EQ(vf_take(f), -EBUSY);
    CHECK_EQ(vf_give(vf_find("lan0/2"), &web), -EBUSY);
    web.state = VM_STOPPED;
    f->dev->faults.held = true;
    CHECK_EQ(vf_take(f), 0);
    CHECK(!f->dev->faults.held); /* no trace of it for the next owner */
    CHECK(web.nvfs == 1 && web.vf[0] == vf_find("lan0/1") && f->owner == NULL);
    CHECK_EQ(vf_take(f), -EBUSY);
    CHECK_EQ(vf_give(f, &db), 0);
    CHECK(db.nvfs == 1 && db.vf[0] == f && f->owner == &db);
    web.nvfs = BOOT_GUEST_VFS;
    CHECK_EQ(vf_give(vf_find("lan0/2"), &web), -ENOSPC);
    tear_down();
}

TEST(only_clean_vfs_are_assigned)
{
    struct vf *f;

    set_up();
    f = vf_find("lan0/1");
    fake_pci_reset_rc = -EAGAIN;
    CHECK_EQ(try_start(&web), -EAGAIN);
    fake_pci_reset_rc = 0;
    CHECK_EQ(try_start(&web), -EAGAIN);
    CHECK_EQ(vf_set_clean(vf_find("lan0/0"), 1), 0);
    CHECK_EQ(try_start(&web), -EAGAIN);
    CHECK_EQ(assigned, 0);
    CHECK(!vf_is_clean(f));
    CHECK_EQ(vf_set_clean(f, 1), 0);
    CHECK(vf_is_clean(f));
    CHECK_EQ(try_start(&web), 0);
    CHECK(f->used);
    CHECK_EQ(assigned, 2);
    CHECK_EQ(fake_pci_resets, 3);
    tear_down();
}

TEST(an_old_report_does_not_count)
{
    struct vf *f;

    set_up();
    f = vf_find("lan0/0");
    all_clean();
    CHECK_EQ(try_start(&web), 0);
    CHECK_EQ(vf_reset_number(f), 0); /* what its guest does to it is its own business */
    CHECK_EQ(vf_set_clean(f, 1), -EINVAL);
    CHECK_EQ(vf_set_clean(f, 0), -EINVAL);
    vf_end_use(&web);
    f->dev->reset_ns = time_ns();
    f->dev->resets = 2;
    CHECK_EQ(vf_set_clean(f, 1), -EINVAL);
    CHECK_EQ(vf_set_clean(f, 0), -EINVAL);
    CHECK_EQ(vf_set_clean(f, 3), -EINVAL);
    CHECK_EQ(try_start(&web), -EAGAIN);
    CHECK_EQ(vf_set_clean(f, vf_reset_number(f)), 0);
    CHECK(vf_is_clean(f));
    tear_down();
}

TEST(one_that_was_never_reset_is_not_clean)
{
    struct vf *f;

    set_up();
    f = vf_find("lan0/0");
    f->dev->resets = 0;
    CHECK_EQ(vf_set_clean(f, 0), -EINVAL);
    CHECK(!vf_is_clean(f));
    tear_down();
}

TEST(the_wait_is_bounded)
{
    set_up();
    CHECK_EQ(vf_set_clean(vf_find("lan0/0"), 1), 0);
    fake_time_advance(CLEAN_LIMIT_NS - NS_PER_MS);
    CHECK_EQ(try_start(&web), -EAGAIN);
    fake_time_advance(NS_PER_MS);
    CHECK_EQ(try_start(&web), -ETIMEDOUT);
    CHECK(fake_log_has("lan0/1: cannot be given to web: it was not found clean"));
    CHECK_EQ(assigned, 0);
    CHECK_EQ(fake_pci_resets, 3);
    /* The next attempt begins with a reset of that one. */
    CHECK(try_start(&web) != 0);
    CHECK_EQ(fake_pci_resets, 4);
    tear_down();
}

TEST(the_wait_begins_when_the_nic_is_up)
{
    set_up();
    for (struct vf *f = vf_first(); f; f = f->next)
        f->up_ns = 0;
    fake_time_advance(1000 * NS_PER_S);
    CHECK_EQ(try_start(&web), -EAGAIN);
    all_clean(); /* said before the NIC is: it is not up yet */
    CHECK_EQ(try_start(&web), -EAGAIN);
    for (struct vf *f = vf_first(); f; f = f->next)
        f->up_ns = time_ns();
    vf_find("lan0/1")->clean = 0;
    CHECK_EQ(try_start(&web), -EAGAIN);
    all_clean();
    CHECK_EQ(try_start(&web), 0);
    tear_down();
}

TEST(a_reset_without_end)
{
    set_up();
    all_clean();
    fake_pci_reset_rc = -ETIMEDOUT;
    CHECK_EQ(try_start(&web), -ETIMEDOUT);
    CHECK(fake_log_has("lan0/0: cannot be given to web"));
    CHECK_EQ(assigned, 0);
    tear_down();
}

TEST(a_reset_that_has_not_begun_yet)
{
    set_up();
    all_clean();
    vf_find("lan0/0")->dev->reset_ns =
        0; /* an assignment failed: it starts with a new reset, which waits for transactions */
    fake_pci_reset_rc = -EAGAIN;
    CHECK_EQ(try_start(&web), -EAGAIN);
    CHECK_EQ(fake_pci_resets, 4);
    CHECK_EQ(assigned, 0);
    tear_down();
}

TEST_MAIN()
