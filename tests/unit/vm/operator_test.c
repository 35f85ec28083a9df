/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/test.h"

#include "tests/unit/fake/acpi.c"
#include "tests/unit/fake/console.c"
#include "tests/unit/fake/log.c"

#include "iommu/fault.h"
#include "kernel/cpu/time.h"
#include "vm/assign/assign.h"

static const char *restored;
static int restore_rc;

int assign_restore(const char *label)
{
    restored = label;
    return restore_rc;
}

bool fault_get(unsigned age, struct fault_record *out)
{
    if (age >= 2)
        return false;
    *out =
        (struct fault_record){.ns = 12 * NS_PER_S + age * 7 * NS_PER_MS, .f.what = age ? "older" : "newer"};
    return true;
}

char *fault_text(const struct fault_record *r, char buf[FAULT_TEXT_MAX])
{
    strcpy(buf, r->f.what);
    return buf;
}

#include "vm/migrate/migrate.h"

static struct {
    enum move_op op;
    const struct vf *from, *to;
    unsigned n;
    int rc;
} ordered;

int migrate_order(enum move_op op, const struct vf *from, const struct vf *to)
{
    ordered.op = op;
    ordered.from = from;
    ordered.to = to;
    ordered.n++;
    return ordered.rc;
}

#include "vm/operator.c"

static struct vcpu vcpu = {.run_ns = 7 * NS_PER_MS};
static struct vm iodom = {.name = "iodomain", .state = VM_RUNNING, .privileged = true};
static struct vm web = {.name = "web", .state = VM_RUNNING, .nvcpus = 1, .vcpu = {&vcpu}, .next = &iodom};
static const uint8_t mac[6] = {2, 0, 0, 0, 0, 1};
static struct pci_dev dev = {.faults.total = 12};
static struct vf vf1 = {.label = "lan0/1", .dev = &dev},
                 vf0 = {
                     .label = "lan0/0", .dev = &dev, .owner = &web, .mac = mac, .used = true, .next = &vf1};
static unsigned starts, stops;
static enum vm_end last_end;
static int start_rc, give_rc, take_rc;
static struct vm *given;

uint64_t sched_run_ns(const struct vcpu *v)
{
    return v->run_ns;
}

static struct vm *touched;

static int resume_rc;
static const struct vf *resumed_with;

int vm_resume(struct vm *vm, struct vf *to)
{
    touched = vm;
    resumed_with = to;
    return resume_rc;
}

int vm_forget(struct vm *vm)
{
    return vm->state == VM_SAVED ? 0 : -EBUSY;
}

int vm_start(struct vm *vm)
{
    if (vm->privileged && vm->state != VM_STOPPED)
        return -EBUSY;
    touched = vm;
    starts++;
    return start_rc;
}

void vm_stop(struct vm *vm, struct vcpu *culprit, enum vm_end how, const char *fmt, ...)
{
    touched = vm;
    CHECK(!culprit && fmt);
    last_end = how;
    stops++;
}

struct vf *vf_first(void)
{
    return &vf0;
}

struct vf *vf_find(const char *label)
{
    return !strcmp(label, vf0.label) ? &vf0 : !strcmp(label, vf1.label) ? &vf1 : NULL;
}

bool vf_is_clean(const struct vf *f)
{
    return f != &vf0;
}

int vf_give(struct vf *f, struct vm *vm)
{
    CHECK(f == &vf0 || f == &vf1);
    given = vm;
    return give_rc;
}

int vf_take(struct vf *f)
{
    CHECK(f == &vf0);
    given = NULL;
    return take_rc;
}

/* What a leak shows in. */
uint64_t frame_bytes_used(void)
{
    return 3 * PAGE_SIZE;
}

unsigned irq_count(void)
{
    return 6;
}

unsigned iommu_device_count(void)
{
    return 7;
}

struct vm *vm_first(void)
{
    return &web;
}

const char *exit_name(enum vm_exit_kind kind)
{
    return kind == VM_EXIT_HLT ? "hlt" : "other";
}

static void type(const char *keys)
{
    if (!channel)
        operator_init();
    fake_console_len = 0;
    fake_console[0] = 0;
    while (*keys)
        fake_channels[0].input(NULL, *keys++);
}

static bool shown(const char *text)
{
    return strstr(fake_console, text) != NULL;
}

TEST(list_shows_each_vm)
{
    web.p2m.ram_low = 256 << 20;
    type("list\r");
    CHECK(!strncmp(fake_console, "list\r\n", 6));
    CHECK(shown("    1     256       7 running web\r\n"));
}

TEST(exits_are_counted_by_kind)
{
    vcpu.exits[VM_EXIT_HLT] = 5;
    type("exits\r");
    CHECK(shown("web: hlt 5\r\n"));
}

TEST(faults_are_shown_oldest_first)
{
    type("faults\r");
    CHECK(shown("   12.007 older\r\n   12.000 newer\r\n"));
}

TEST(a_function_is_given_back_by_name)
{
    restore_rc = 0;
    type("vf 00:06.0 restore\r");
    CHECK(restored && !strcmp(restored, "00:06.0"));
    CHECK(!shown(":06.0: "));
    restore_rc = -EINVAL;
    type("  vf   lan0/1 restore \r");
    CHECK(shown("lan0/1: not in quarantine, or in no guest that runs (error 22)"));
    restored = NULL;
    type("vf lan0/1 resore\r");
    type("vf lan0/1 restore now\r");
    CHECK(!restored);
}

TEST(moves_are_ordered_by_guest_or_vf)
{
    ordered.n = 0;
    ordered.rc = 0;
    type("move web lan0/1\r");
    CHECK(ordered.n == 1 && ordered.op == ORDER_MOVE && ordered.from == &vf0 && ordered.to == &vf1);
    type("move lan0/0 lan0/1 --dry-run\r");
    CHECK(ordered.n == 2 && ordered.op == ORDER_DRY_RUN && ordered.from == &vf0 && ordered.to == &vf1);
    type("quiesce lan0/0\r");
    CHECK(ordered.n == 3 && ordered.op == ORDER_QUIESCE && ordered.from == &vf0 && !ordered.to);
    type("resume lan0/0\r");
    CHECK(ordered.n == 4 && ordered.op == ORDER_RESUME && ordered.from == &vf0);
}

TEST(what_cannot_be_ordered_is_said)
{
    ordered.n = 0;
    type("move web lan0/7\r");
    CHECK(shown("lan0/7: no such VF"));
    type("move db lan0/1\r");
    CHECK(shown("db: neither a VF nor a guest that has just one"));
    type("move web lan0/1 --wet\r");
    CHECK(shown("--wet: only --dry-run may follow"));
    type("move lan0/1 lan0/0\r");
    CHECK(shown("lan0/1: no guest that runs has it"));
    type("quiesce lan0/1\r");
    CHECK(shown("lan0/1: nobody has it"));
    CHECK_EQ(ordered.n, 0);
    ordered.rc = -ENODEV;
    type("move web lan0/1\r");
    CHECK(shown("lan0/0: the I/O domain does not answer"));
    ordered.rc = -EBUSY;
    type("move web lan0/1\r");
    CHECK(shown("lan0/0: the last order has not been taken yet"));
}

TEST(unknown_commands_and_long_lines_do_no_harm)
{
    char keys[200];

    type("lsit\r");
    CHECK(shown("lsit: no such command; `help` lists them"));
    memset(keys, 'x', sizeof(keys) - 2);
    keys[sizeof(keys) - 2] = '\r';
    keys[sizeof(keys) - 1] = 0;
    type(keys);
    CHECK(shown("no such command"));
    type("\x1b[A\r");
    CHECK(shown("[A: no such command"));
    type("\r");
    CHECK(!shown("no such command"));
}

TEST(a_key_can_be_taken_back)
{
    type("\x7flisx\x7ft\r");
    CHECK(shown("running web"));
}

TEST(help_names_every_command)
{
    type("help\r");
    for (unsigned i = 0; i < ARRAY_SIZE(commands); i++)
        CHECK(shown(commands[i].name));
}

TEST(guests_are_started_and_stopped)
{
    type("start web\r");
    CHECK_EQ(starts, 1);
    CHECK_EQ(strcmp(fake_console, "start web\r\nlastmile> "), 0);
    start_rc = -EBUSY;
    type("start web\r");
    CHECK(shown("web: is running already\r\n"));
    type("stop web\r");
    CHECK(stops == 1 && last_end == VM_HELD);
    type("  restart   web \r");
    CHECK(stops == 2 && last_end == VM_POWER_RESET);
    web.state = VM_STOPPED;
    type("stop web\r");
    CHECK(shown("web: is stopped already\r\n"));
    CHECK_EQ(stops, 2);
    web.state = VM_STARTING;
    type("stop web\r");
    CHECK_EQ(stops, 3);
    web.state = VM_RUNNING;
    start_rc = 0;
}

TEST(the_io_domain_can_be_restarted)
{
    starts = stops = 0;
    type("restart iodomain\r");
    CHECK(stops == 1 && touched == &iodom && last_end == VM_POWER_RESET);
    iodom.state = VM_STOPPED; /* left down after its crashes */
    type("restart iodomain\r");
    CHECK(starts == 1 && stops == 1 && touched == &iodom);
    iodom.state = VM_DYING;
    type("restart iodomain\r");
    CHECK(shown("iodomain: is stopping already\r\n"));
    CHECK_EQ(starts + stops, 2);
    iodom.state = VM_RUNNING;
}

TEST(only_guests_that_are_there)
{
    static const char *const keys[] = {"start db\r", "stop iodomain\r", "start iodomain\r", "restart web2\r"};

    starts = stops = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(keys); i++) {
        type(keys[i]);
        CHECK(shown("no such guest; `list` names them\r\n"));
    }
    CHECK_EQ(starts + stops, 0);
}

TEST(the_number_of_words_is_checked)
{
    static const char *const keys[] = {"start\r",
                                       "stop web now\r",
                                       "list all of them that there are in there\r",
                                       "vf lan0/0\r",
                                       "vf lan0/0 attach\r",
                                       "vf lan0/0 detach web\r",
                                       "vf lan0/0 give web\r",
                                       "vf lan0/0 attach web web\r"};

    starts = stops = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(keys); i++) {
        type(keys[i]);
        CHECK(shown(": other words must follow; `help` lists them\r\n"));
    }
    type("    \r");
    CHECK(!shown("no such") && !shown("must follow"));
    CHECK_EQ(starts + stops, 0);
}

TEST(vfs_are_listed)
{
    type("vf\r");
    CHECK(shown("used 02:00:00:00:00:01 lan0/0 web 12\r\nclean 00:00:00:00:00:00 lan0/1 - 12\r\n"));
}

TEST(vfs_are_attached_and_detached)
{
    type("vf lan0/1 attach web\r");
    CHECK(given == &web);
    type("vf lan0/0 detach\r");
    CHECK(given == NULL);
    CHECK(!shown(": "));
    take_rc = give_rc = -EBUSY;
    type("vf lan0/0 detach\r");
    CHECK(shown("web: must be stopped\r\n"));
    type("vf lan0/1 attach web\r");
    CHECK(shown("web: must be stopped, and have less than 8 VFs\r\n"));
    given = NULL;
    type("vf lan0/0 attach web\r");
    CHECK(shown("lan0/0: web has it\r\n"));
    type("vf lan0/1 detach\r");
    CHECK(shown("lan0/1: nobody has it\r\n"));
    type("vf lan0/7 detach\r");
    CHECK(shown("lan0/7: no such VF; `vf` names them\r\n"));
    type("vf lan0/1 attach db\r");
    CHECK(shown("db: no such guest"));
    CHECK(given == NULL);
}

TEST(saved_guests)
{
    touched = NULL;
    type("resume web\r");
    CHECK(touched && strcmp(touched->name, "web") == 0 && !resumed_with);
    type("resume web lan0/1\r");
    CHECK(resumed_with && strcmp(resumed_with->label, "lan0/1") == 0);
    resume_rc = -EEXIST;
    type("resume web lan0/1\r");
    CHECK(shown("lan0/1: somebody has it\r\n"));
    resume_rc = -EBUSY;
    type("resume web\r");
    CHECK(shown("web: is not saved\r\n"));
    type("resume web lan0/7\r");
    CHECK(shown("lan0/7: no such VF; `vf` names them\r\n"));
    type("save nobody\r");
    CHECK(shown("nobody: not a guest that has just one VF\r\n"));
    resume_rc = 0;
}

TEST(usage_in_one_line)
{
    type("usage\r");
    CHECK(shown("frames 3 vectors 6 devices 7\r\n"));
}

TEST(power)
{
    type("poweroff\r");
    CHECK_EQ(fake_acpi_offs, 1);
    type("reset\r");
    CHECK_EQ(fake_acpi_resets, 1);
}

TEST_MAIN()
