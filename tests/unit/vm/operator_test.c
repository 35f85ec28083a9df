/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/test.h"

#include "tests/unit/fake/acpi.c"
#include "tests/unit/fake/console.c"
#include "tests/unit/fake/log.c"

#include "vm/operator.c"

static struct vcpu vcpu = {.run_ns = 7 * NS_PER_MS};
static struct vm web = {.name = "web", .state = VM_RUNNING, .nvcpus = 1, .vcpu = {&vcpu}};

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
    CHECK(shown("    1     256       7 running  web\r\n"));
}

TEST(exits_are_counted_by_kind)
{
    vcpu.exits[VM_EXIT_HLT] = 5;
    type("exits\r");
    CHECK(shown("web: hlt 5\r\n"));
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
    CHECK(shown("running  web"));
}

TEST(help_names_every_command)
{
    type("help\r");
    for (unsigned i = 0; i < ARRAY_SIZE(commands); i++)
        CHECK(shown(commands[i].name));
}

TEST(power)
{
    type("poweroff\r");
    CHECK_EQ(fake_acpi_offs, 1);
    type("reset\r");
    CHECK_EQ(fake_acpi_resets, 1);
}

TEST_MAIN()
