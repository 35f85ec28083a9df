/* SPDX-License-Identifier: BSD-2-Clause */
#include "vm/operator.h"

#include "kernel/acpi/acpi.h"
#include "kernel/console/console.h"
#include "kernel/console/log.h"
#include "kernel/cpu/time.h"
#include "kernel/lib/string.h"
#include "vm/vcpu.h"
#include "vm/vm.h"

#define LINE_MAX 64

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

static void list(void)
{
    static const char *const states[] = {
        [VM_STOPPED] = "stopped ",
        [VM_RUNNING] = "running ",
        [VM_DYING] = "stopping",
        [VM_RESTARTING] = "restarts",
    };

    say("vcpus     MiB  cpu ms state    name\r\n");
    for (const struct vm *vm = vm_first(); vm; vm = vm->next) {
        uint64_t ran = 0;

        for (unsigned i = 0; i < vm->nvcpus; i++)
            ran += vm->vcpu[i]->run_ns;
        say("%5u %7lu %7lu %s %s\r\n", vm->nvcpus, (vm->p2m.ram_low + vm->p2m.ram_high) >> 20,
            ran / NS_PER_MS, states[vm->state], vm->name);
    }
}

static void exits(void)
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

static void off(void)
{
    log_info("powered off by the operator");
    acpi_power_off();
    say("this machine has no way to power itself off\r\n");
}

static void reset(void)
{
    log_info("reset by the operator");
    acpi_reset();
}

static void help(void);

static const struct {
    const char *name, *what;
    void (*run)(void);
} commands[] = {
    {"help", "this list", help},
    {"list", "the VMs: state, processors, memory, processor time", list},
    {"exits", "VM exits of each VM by kind, since it was built", exits},
    {"poweroff", "switch the machine off, at once", off},
    {"reset", "reset the machine, at once", reset},
};

static void help(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(commands); i++)
        say("%s: %s\r\n", commands[i].name, commands[i].what);
}

static void execute(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(commands); i++)
        if (strcmp(line, commands[i].name) == 0) {
            commands[i].run();
            return;
        }
    if (used)
        say("%s: no such command; `help` lists them\r\n", line);
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
