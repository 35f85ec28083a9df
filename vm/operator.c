/* SPDX-License-Identifier: BSD-2-Clause */
#include "vm/operator.h"

#include "iommu/fault.h"
#include "kernel/acpi/acpi.h"
#include "kernel/console/console.h"
#include "kernel/console/log.h"
#include "kernel/cpu/cpu.h"
#include "kernel/cpu/time.h"
#include "kernel/lib/string.h"
#include "kernel/mm/frame.h"
#include "vm/assign/assign.h"
#include "vm/assign/vf.h"
#include "vm/migrate/migrate.h"
#include "vm/sched.h"
#include "vm/vcpu.h"
#include "vm/vm.h"

#define LINE_MAX  64
#define WORDS_MAX 4

static struct console_channel *channel;
static char line[LINE_MAX];
static size_t used;

static PRINTF(1, 2) void say(const char *fmt, ...)
{
    char text[FAULT_TEXT_MAX + 16];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    console_write(channel, text, strlen(text));
}

static const char *const states[] = {
    [VM_STOPPED] = "stopped", [VM_SAVED] = "saved",       [VM_RUNNING] = "running",
    [VM_DYING] = "stopping",  [VM_STARTING] = "starting",
};

static void list(UNUSED char **word)
{
    say("vcpus     MiB  cpu ms state   name\r\n");
    for (const struct vm *vm = vm_first(); vm; vm = vm->next) {
        uint64_t ran = 0;

        for (unsigned i = 0; i < vm->nvcpus; i++)
            ran += sched_run_ns(vm->vcpu[i]);
        say("%5u %7lu %7lu %s %s\r\n", vm->nvcpus, (vm->p2m.ram_low + vm->p2m.ram_high) >> 20,
            ran / NS_PER_MS, states[vm->state], vm->name);
    }
}

/* NULL, and a line that says so, if there is none of that name. */
static struct vm *guest(const char *name, bool or_iodomain)
{
    struct vm *vm = vm_first();

    while (vm && ((vm->privileged && !or_iodomain) || strcmp(vm->name, name) != 0))
        vm = vm->next;
    if (!vm)
        say("%s: no such guest; `list` names them\r\n", name);
    return vm;
}

static void start(char **word)
{
    struct vm *vm = guest(word[1], false);

    if (vm && vm_start(vm) != 0)
        say("%s: is %s already\r\n", vm->name, states[vm->state]);
}

/* `stop` and `restart`; of an I/O domain that is down the latter is a start. */
static void end(char **word)
{
    bool again = strcmp(word[0], "restart") == 0;
    struct vm *vm = guest(word[1], again);

    if (vm && vm->privileged && vm_start(vm) == 0)
        return;
    if (vm && !again && vm_forget(vm) == 0) {
        say("%s: what was saved is dropped\r\n", vm->name);
        return;
    }
    if (vm && (vm->state <= VM_SAVED || vm->state == VM_DYING))
        say("%s: is %s already\r\n", vm->name, states[vm->state]);
    else if (vm)
        vm_stop(vm, NULL, again ? VM_POWER_RESET : VM_HELD, "by the operator");
}

/* A move may take it from its owner at any time. */
static const char *owner_of(const struct vf *f)
{
    const struct vm *vm = __atomic_load_n(&f->owner, __ATOMIC_SEQ_CST);

    return vm ? vm->name : "-";
}

static void list_vfs(UNUSED char **word)
{
    static const uint8_t none[6];

    say("state configured mac    vf owner faults\r\n");
    for (const struct vf *f = vf_first(); f; f = f->next) {
        const uint8_t *m = f->mac ? f->mac : none;

        say("%s %02x:%02x:%02x:%02x:%02x:%02x %s %s %u\r\n",
            f->dev->faults.held ? "held"
            : f->used           ? "used"
            : vf_is_clean(f)    ? "clean"
                                : "dirty",
            m[0], m[1], m[2], m[3], m[4], m[5], f->label, owner_of(f), f->dev->faults.total);
    }
}

/* NULL, and a line that says so, if there is none, or whether it is somebody's is not as it must be. */
static struct vf *vf(const char *label, bool owned)
{
    struct vf *f = vf_find(label);

    if (f && (f->owner != NULL) == owned)
        return f;
    if (f)
        say("%s: %s has it\r\n", label, owned ? "nobody" : owner_of(f));
    else
        say("%s: no such VF; `vf` names them\r\n", label);
    return NULL;
}

static void attach(char **word)
{
    struct vf *f = vf(word[1], false);
    struct vm *vm = f ? guest(word[3], false) : NULL;

    if (vm && vf_give(f, vm) != 0)
        say("%s: must be stopped, and have less than %u VFs\r\n", vm->name, BOOT_GUEST_VFS);
}

static void detach(char **word)
{
    struct vf *f = vf(word[1], true);

    if (f && vf_take(f) != 0)
        say("%s: must be stopped\r\n", owner_of(f));
}

/* --- moves: what comes of an order is the I/O domain's to say --- */

static void order(enum move_op op, const struct vf *from, const struct vf *to)
{
    int rc = !from->used ? -ENOENT : migrate_order(op, from, to);

    if (rc != 0)
        say("%s: %s\r\n", from->label,
            rc == -ENOENT  ? "no guest that runs has it"
            : rc == -EBUSY ? "the last order has not been taken yet"
                           : "the I/O domain does not answer");
}

/* The VF of that name, or a guest's only one. */
static struct vf *source(const char *name)
{
    struct vf *found = vf_find(name);
    unsigned n = found != NULL;

    for (struct vf *f = vf_first(); f && !vf_find(name); f = f->next)
        if (strcmp(owner_of(f), name) == 0) {
            found = f;
            n++;
        }
    return n == 1 ? found : NULL;
}

static void move(char **word)
{
    struct vf *to = vf_find(word[2]), *from = source(word[1]);

    if (!to)
        say("%s: no such VF; `vf` names them\r\n", word[2]);
    else if (!from)
        say("%s: neither a VF nor a guest that has just one\r\n", word[1]);
    else if (word[3] && strcmp(word[3], "--dry-run") != 0)
        say("%s: only --dry-run may follow\r\n", word[3]);
    else
        order(word[3] ? ORDER_DRY_RUN : ORDER_MOVE, from, to);
}

static void save(char **word)
{
    const struct vf *f = source(word[1]);

    if (f)
        order(ORDER_SAVE, f, NULL);
    else
        say("%s: not a guest that has just one VF\r\n", word[1]);
}

static void resume_guest(struct vm *vm, const char *label)
{
    struct vf *to = label ? vf_find(label) : NULL;
    int rc;

    if (label && !to) {
        say("%s: no such VF; `vf` names them\r\n", label);
        return;
    }
    rc = vm_resume(vm, to);
    if (rc != 0)
        say("%s: %s\r\n", rc == -EEXIST ? label : vm->name,
            rc == -EEXIST ? "somebody has it" : "is not saved");
}

/* `quiesce` of a VF, `resume` of one, or of a guest that was saved. */
static void hold(char **word)
{
    bool resume = strcmp(word[0], "resume") == 0;
    struct vf *f = vf_find(word[1]);
    struct vm *vm = f || !resume ? NULL : guest(word[1], false);

    if (vm)
        resume_guest(vm, word[2]);
    else if ((f || !resume) && vf(word[1], true))
        order(resume ? ORDER_RESUME : ORDER_QUIESCE, f, NULL);
}

/* Of whole functions too. */
static void restore(char **word)
{
    int rc = assign_restore(word[1]);

    if (rc != 0)
        say("%s: not in quarantine, or in no guest that runs (error %d)\r\n", word[1], -rc);
}

/* What a leak would make grow; frames hold all tables and objects. */
static void usage(UNUSED char **word)
{
    say("frames %lu vectors %u devices %u\r\n", frame_bytes_used() / PAGE_SIZE, irq_count(),
        iommu_device_count());
}

static void exits(UNUSED char **word)
{
    for (const struct vm *vm = vm_first(); vm; vm = vm->next) {
        say("%s:", vm->name);
        for (unsigned kind = 0; kind < VM_EXIT_KINDS; kind++) {
            uint64_t n = 0;

            for (unsigned i = 0; i < vm->nvcpus; i++)
                n += vm->vcpu[i]->exits[kind];
            if (n)
                say(" %s %lu", exit_name((enum vm_exit_kind)kind), n);
        }
        say("\r\n");
    }
}

/* The oldest first. */
static void faults(UNUSED char **word)
{
    char text[FAULT_TEXT_MAX];
    struct fault_record r;

    for (unsigned age = FAULTS_KEPT; age-- > 0;)
        if (fault_get(age, &r))
            say("%5lu.%03lu %s\r\n", r.ns / NS_PER_S, r.ns / NS_PER_MS % 1000, fault_text(&r, text));
}

static void off(UNUSED char **word)
{
    log_info("powered off by the operator");
    acpi_power_off();
    say("this machine has no way to power itself off\r\n");
}

static void reset(UNUSED char **word)
{
    log_info("reset by the operator");
    acpi_reset();
}

static void help(UNUSED char **word);

static const struct {
    const char *name, *args, *what;
    unsigned words;
    const char *verb; /* the third word, or NULL: any */
    void (*run)(char **word);
} commands[] = {
    {"help", "", "this list", 1, NULL, help},
    {"list", "", "the VMs: processors, memory, processor time, state", 1, NULL, list},
    {"start", " GUEST", "start a guest that is stopped", 2, NULL, start},
    {"stop", " GUEST", "stop a guest, at once; it keeps its memory and its VFs", 2, NULL, end},
    {"restart", " GUEST", "stop a guest, or `iodomain`, at once, and start it again", 2, NULL, end},
    {"vf", "", "the VFs: state, configured MAC, owner, faults", 1, NULL, list_vfs},
    {"vf", " VF attach GUEST", "give a VF to a guest that is stopped", 4, "attach", attach},
    {"vf", " VF detach", "take it from its guest, which is stopped", 3, "detach", detach},
    {"vf", " VF restore", "end its quarantine", 3, "restore", restore},
    {"move", " GUEST VF", "move a guest that runs to another VF (GUEST: or the VF that it has)", 3, NULL,
     move},
    {"move", " GUEST VF --dry-run", "say whether it could be moved, and how long it would stand still", 4,
     NULL, move},
    {"quiesce", " VF", "silence a VF; its guest stands still", 2, NULL, hold},
    {"resume", " VF", "let them go on", 2, NULL, hold},
    {"save", " GUEST", "stop a guest that has one VF, and keep its state in memory (`stop` drops it)", 2,
     NULL, save},
    {"resume", " GUEST", "let it go on from there", 2, NULL, hold},
    {"resume", " GUEST VF", "the same, with another VF", 3, NULL, hold},
    {"faults", "", "the latest DMA and interrupts that were blocked", 1, NULL, faults},
    {"exits", "", "VM exits of each VM by kind, since it was built", 1, NULL, exits},
    {"usage", "", "what the hypervisor has given out", 1, NULL, usage},
    {"poweroff", "", "switch the machine off, at once", 1, NULL, off},
    {"reset", "", "reset the machine, at once", 1, NULL, reset},
};

static void help(UNUSED char **word)
{
    for (unsigned i = 0; i < ARRAY_SIZE(commands); i++)
        say("%s%s: %s\r\n", commands[i].name, commands[i].args, commands[i].what);
}

/* Cuts the line into words, a NULL after the last one; those beyond WORDS_MAX are counted only. */
static unsigned split(char *word[WORDS_MAX + 1])
{
    unsigned n = 0;

    for (char *c = line; *c; c++) {
        if (*c == ' ') {
            *c = 0;
        } else if (c == line || c[-1] == 0) {
            word[MIN(n, WORDS_MAX)] = c;
            n++;
        }
    }
    word[MIN(n, WORDS_MAX)] = NULL;
    return n;
}

static void execute(void)
{
    char *word[WORDS_MAX + 1] = {0};
    unsigned n = split(word), named = 0;

    for (unsigned i = 0; n && i < ARRAY_SIZE(commands); i++) {
        if (strcmp(word[0], commands[i].name) != 0)
            continue;
        named++;
        if (n != commands[i].words || (commands[i].verb && strcmp(word[2], commands[i].verb) != 0))
            continue;
        commands[i].run(word);
        return;
    }
    if (n)
        say("%s: %s; `help` lists them\r\n", word[0], named ? "other words must follow" : "no such command");
}

/* One key; what does not fit the line is not taken. */
static void input(UNUSED void *arg, char c)
{
    if (c == '\r' || c == '\n') {
        say("\r\n");
        line[used] = 0;
        execute();
        used = 0;
        say("lastmile> ");
    } else if ((c == '\b' || c == 0x7f) && used > 0) {
        used--;
        say("\b \b");
    } else if (c >= ' ' && c < 0x7f && used < LINE_MAX - 1) {
        line[used++] = c;
        console_write(channel, &c, 1);
    }
}

void operator_init(void)
{
    channel = console_open("lastmile", input, NULL);
    if (channel)
        say("lastmile> ");
    else
        log_warn("no memory for the operator's command line");
}
