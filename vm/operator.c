/* SPDX-License-Identifier: BSD-2-Clause */
#include "vm/operator.h"

#include "kernel/acpi/acpi.h"
#include "kernel/console/console.h"
#include "kernel/console/log.h"
#include "kernel/cpu/cpu.h"
#include "kernel/cpu/time.h"
#include "kernel/lib/string.h"
#include "kernel/mm/frame.h"
#include "kernel/mm/heap.h"
#include "kernel/mm/radix.h"
#include "vm/assign/vf.h"
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
    char text[160];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    console_write(channel, text, strlen(text));
}

static const char *const states[] = {
    [VM_STOPPED] = "stopped",
    [VM_RUNNING] = "running",
    [VM_DYING] = "stopping",
    [VM_STARTING] = "starting",
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
static struct vm *guest(const char *name)
{
    struct vm *vm = vm_first();

    while (vm && (vm->privileged || strcmp(vm->name, name) != 0))
        vm = vm->next;
    if (!vm)
        say("%s: no such guest; `list` names them\r\n", name);
    return vm;
}

static void start(char **word)
{
    struct vm *vm = guest(word[1]);

    if (vm && vm_start(vm) != 0)
        say("%s: is %s already\r\n", vm->name, states[vm->state]);
}

static void end(struct vm *vm, enum vm_end how, const char *why)
{
    if (vm->state == VM_RUNNING || vm->state == VM_STARTING)
        vm_stop(vm, NULL, how, "%s by the operator", why);
    else
        say("%s: is %s already\r\n", vm->name, states[vm->state]);
}

static void stop(char **word)
{
    struct vm *vm = guest(word[1]);

    if (vm)
        end(vm, VM_HELD, "stopped");
}

static void restart(char **word)
{
    struct vm *vm = guest(word[1]);

    if (vm && vm_start(vm) != 0)
        end(vm, VM_POWER_RESET, "restarted");
}

static void list_vfs(void)
{
    say("state configured mac    vf owner\r\n");
    for (const struct vf *f = vf_first(); f; f = f->next) {
        static const uint8_t none[6];
        const uint8_t *m = f->mac ? f->mac : none;

        say("%s %02x:%02x:%02x:%02x:%02x:%02x %s %s\r\n", vf_state(f), m[0], m[1], m[2], m[3], m[4], m[5],
            f->label, f->owner ? f->owner->name : "-");
    }
}

static void attach(struct vf *f, struct vm *vm)
{
    int rc = vm ? vf_give(f, vm) : 0;

    if (rc == -EEXIST)
        say("%s: %s has it: `vf %s detach` first\r\n", f->label, f->owner->name, f->label);
    else if (rc != 0)
        say("%s: %s %s\r\n", f->label, vm->name,
            rc == -ENOSPC ? "has as many VFs as a guest can have" : "is not stopped");
}

/* `vf`, `vf LABEL attach GUEST` and `vf LABEL detach` */
static void vf(char **word)
{
    struct vf *f = word[1] ? vf_find(word[1]) : NULL;

    if (!word[1])
        list_vfs();
    else if (!f)
        say("%s: no such VF; `vf` names them\r\n", word[1]);
    else if (word[3] && strcmp(word[2], "attach") == 0)
        attach(f, guest(word[3]));
    else if (!word[2] || word[3] || strcmp(word[2], "detach") != 0)
        say("vf %s: `attach GUEST` or `detach` must follow\r\n", f->label);
    else if (!f->owner)
        say("%s: nobody has it\r\n", f->label);
    else if (vf_take(f) != 0)
        say("%s: %s is not stopped\r\n", f->label, f->owner->name);
}

/* What a leak would make grow. */
static void usage(UNUSED char **word)
{
    say("frames %lu heap %lu tables %lu vectors %u devices %u\r\n", frame_bytes_used() / PAGE_SIZE,
        heap_bytes_used(), radix_tables(), irq_count(), iommu_device_count());
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
    unsigned least, most; /* words, its name among them */
    void (*run)(char **word);
} commands[] = {
    {"help", "", "this list", 1, 1, help},
    {"list", "", "the VMs: processors, memory, processor time, state", 1, 1, list},
    {"start", " GUEST", "start a guest that is stopped", 2, 2, start},
    {"stop", " GUEST", "stop a guest, at once; it keeps its memory and its VFs", 2, 2, stop},
    {"restart", " GUEST", "stop a guest, at once, and start it again", 2, 2, restart},
    {"vf", " [VF attach GUEST | VF detach]",
     "the VFs, with configured MAC and owner; give one to a stopped guest, take it", 1, 4, vf},
    {"exits", "", "VM exits of each VM by kind, since it was built", 1, 1, exits},
    {"usage", "", "what the hypervisor has in use", 1, 1, usage},
    {"poweroff", "", "switch the machine off, at once", 1, 1, off},
    {"reset", "", "reset the machine, at once", 1, 1, reset},
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
    unsigned n = split(word);

    for (unsigned i = 0; n && i < ARRAY_SIZE(commands); i++) {
        if (strcmp(word[0], commands[i].name) != 0)
            continue;
        if (n < commands[i].least || n > commands[i].most)
            say("usage: %s%s\r\n", commands[i].name, commands[i].args);
        else
            commands[i].run(word);
        return;
    }
    if (n)
        say("%s: no such command; `help` lists them\r\n", word[0]);
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
