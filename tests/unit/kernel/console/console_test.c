/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/test.h"

#include "tests/unit/fake/strlcpy.c"
#include "tests/unit/fake/time.c"
#include "tests/unit/fake/uart16550.c"

#include "kernel/console/console.c"
#include "kernel/console/uart.c"

static char typed[2][256];
static struct console_channel *web, *db;

static void input(void *arg, char c)
{
    char *to = arg;

    CHECK_EQ(console.lock.next, console.lock.owner); /* no lock held */
    to[strlen(to)] = c;
}

static void start(void)
{
    memset(&console, 0, sizeof(console));
    console.focus = channels;
    list_init(&fake_timers);
    memset(typed, 0, sizeof(typed));
    fake_time_step_ns = 0;
    uart_start();
    uart_init(0x3f8);
    console_start_input();
    web = console_open("web", input, typed[0]);
    db = console_open("db", input, typed[1]);
    CHECK(web && db);
}

static void stop(void)
{
    web->name = db->name = NULL; /* as if never opened */
}

static void say(struct console_channel *ch, const char *s)
{
    console_write(ch, s, strlen(s));
}

static void settle(void)
{
    fake_time_advance(50 * NS_PER_MS);
}

/* What was sent since the last look. */
static bool out_is(const char *want)
{
    bool same = !strcmp(uart_out, want);

    if (!same)
        printf("    got \"%s\"\n    want \"%s\"\n", uart_out, want);
    uart_len = 0;
    uart_out[0] = 0;
    return same;
}

TEST(the_log_goes_out_at_once)
{
    start();
    console_log("one");
    CHECK(out_is("one\r\n"));
    stop();
}

TEST(guests_lines_are_prefixed_and_whole)
{
    start();
    say(web, "hel");
    say(db, "other\n");
    settle();
    CHECK(out_is("(db) other\r\n"));
    say(web, "lo\r\nnext\r\n\r\nx");
    settle();
    CHECK(out_is("(web) hello\r\n(web) next\r\n(web) \r\n"));
    stop();
}

TEST(nothing_is_sent_by_the_writer)
{
    start();
    say(web, "hello\n");
    CHECK(out_is(""));
    settle();
    CHECK(out_is("(web) hello\r\n"));
    stop();
}

TEST(a_silent_line_comes_as_it_is)
{
    start();
    say(web, "login: ");
    fake_time_advance(150 * NS_PER_MS);
    CHECK(out_is(""));
    fake_time_advance(100 * NS_PER_MS);
    CHECK(out_is("(web) login: \r\n"));
    say(web, "\n"); /* ends what was printed already */
    settle();
    CHECK(out_is(""));
    say(web, "\n");
    settle();
    CHECK(out_is("(web) \r\n"));
    stop();
}

TEST(long_lines_come_in_pieces)
{
    char line[452], want[600];

    start();
    memset(line, 'a', 450);
    memcpy(line + 450, "\n", 2);
    say(web, line);
    settle();
    sprintf(want, "(web) %.200s\r\n(web) %.200s\r\n(web) %.50s\r\n", line, line, line);
    CHECK(out_is(want));
    stop();
}

TEST(an_unfocused_guest_cannot_forge_lines)
{
    start();
    say(web, "a\rb\033[2K\033[1;31mc\x9b"
             "d\be\x7f\tf\033\v\n");
    settle();
    CHECK(out_is("(web) abc.d.e. f..\r\n"));
    say(web, "\033[");
    say(web, "\n\033[12\n");
    settle();
    CHECK(out_is("(web) \r\n(web) \r\n"));
    stop();
}

TEST(ctrl_a_three_times_moves_the_focus)
{
    start();
    uart_keys = "\1\1\1";
    settle();
    CHECK(out_is("*** web: console (Ctrl-A three times switches) ***\r\n"));
    uart_keys = "hi";
    settle();
    CHECK(!strcmp(typed[0], "hi"));
    uart_keys = "\1\1\1x";
    settle();
    CHECK(out_is("*** db: console (Ctrl-A three times switches) ***\r\n"));
    CHECK(!strcmp(typed[1], "x"));
    uart_keys = "\1\1\1y";
    settle();
    CHECK(out_is("*** hypervisor: console (Ctrl-A three times switches) ***\r\n"));
    CHECK(!strcmp(typed[0], "hi") && !strcmp(typed[1], "x"));
    uart_keys = "\1\1\1";
    settle();
    CHECK(out_is("*** web: console (Ctrl-A three times switches) ***\r\n"));
    stop();
}

TEST(fewer_ctrl_a_are_keys)
{
    start();
    uart_keys = "\1\1\1a\1b\1\1c";
    settle();
    CHECK(!strcmp(typed[0], "a\1b\1\1c"));
    stop();
}

TEST(the_focus_gets_its_bytes_as_they_are_and_others_wait)
{
    start();
    uart_keys = "\1\1\1";
    settle();
    out_is("*** web: console (Ctrl-A three times switches) ***\r\n");
    say(web, "\033[1mbold\r");
    say(db, "waits\n");
    settle();
    CHECK(out_is("\033[1mbold\r"));
    console_log("log"); /* at a line start, even so */
    CHECK(out_is("\r\nlog\r\n"));
    uart_keys = "\1\1\1";
    settle();
    CHECK(out_is("*** db: console (Ctrl-A three times switches) ***\r\nwaits\n"));
    say(web, "later\n");
    settle();
    CHECK(out_is(""));
    uart_keys = "\1\1\1";
    settle();
    CHECK(out_is("*** hypervisor: console (Ctrl-A three times switches) ***\r\n(web) later\r\n"));
    stop();
}

TEST(the_log_lets_the_focus_end_its_line)
{
    start();
    uart_keys = "\1\1\1";
    settle();
    out_is("*** web: console (Ctrl-A three times switches) ***\r\n");
    say(web, "do");
    settle();
    CHECK(out_is("do"));
    say(web, "ne\r\n");
    console_log("log");
    settle();
    CHECK(out_is("ne\r\nlog\r\n"));
    stop();
}

TEST(a_full_backlog_loses_the_oldest_and_says_so)
{
    char line[16];

    start();
    uart_keys = "\1\1\1"; /* the focus is elsewhere */
    settle();
    for (unsigned i = 0; i < 1001; i++) {
        sprintf(line, "line %04u\n", i);
        say(db, line);
    }
    uart_len = 0;
    uart_keys = "\1\1\1";
    fake_time_advance(NS_PER_S);
    CHECK(strstr(uart_out, "*** db: 2010 bytes lost ***\r\nline 0201\n") != NULL);
    CHECK(strstr(uart_out, "line 1000\n") != NULL);
    CHECK(strstr(uart_out, "line 0200\n") == NULL);
    stop();
}

TEST(talkers_take_turns)
{
    start();
    say(web, "1\n2\n3\n");
    say(db, "a\nb\n");
    settle();
    CHECK(out_is("(web) 1\r\n(db) a\r\n(web) 2\r\n(db) b\r\n(web) 3\r\n"));
    stop();
}

TEST(a_turn_is_bounded_but_all_comes_soon)
{
    char text[7001];
    uint64_t before;

    start();
    for (unsigned i = 0; i < 7000; i++)
        text[i] = i % 70 == 69 ? '\n' : 'z';
    text[7000] = 0;
    say(web, text);
    say(db, text);
    fake_time_advance(POLL_NS);
    CHECK(uart_len > 0 && uart_len <= TURN_BYTES);
    before = fake_now_ns;
    while (web->backlog.len || db->backlog.len || console.tx.len)
        fake_time_advance(NS_PER_MS);
    CHECK(fake_now_ns - before < 100 * NS_PER_MS);
    stop();
}

TEST(a_stuck_uart_stops_nobody)
{
    uint64_t before;
    char text[101];

    start();
    fake_time_step_ns = NS_PER_US;
    uart_is_stuck = true;
    memset(text, 'q', 100);
    text[100] = 0;
    before = fake_now_ns;
    for (unsigned i = 0; i < 200; i++)
        console_log("a line that nobody takes");
    CHECK(fake_now_ns - before < 50 * NS_PER_MS);
    for (unsigned i = 0; i < 200; i++)
        say(web, text);
    fake_time_advance(NS_PER_S);
    uart_is_stuck = false;
    fake_time_advance(NS_PER_S);
    console_log("back");
    CHECK(strstr(uart_out, "back\r\n") != NULL);
    CHECK(strstr(uart_out, "bytes lost") != NULL);
    stop();
}

TEST(flush_sends_unfinished_lines_too)
{
    start();
    say(web, "bye");
    console_flush();
    CHECK(out_is("(web) bye\r\n"));
    stop();
}

TEST(a_panic_is_heard_over_a_held_lock)
{
    start();
    spin_lock(&console.lock);
    console_panic();
    console_log("dead");
    CHECK(out_is("dead\r\n"));
    spin_unlock(&console.lock);
    stop();
}

TEST(channels_run_out)
{
    struct console_channel *more[CHANNELS];

    start();
    for (unsigned i = 0; i < CHANNELS - 3; i++)
        CHECK((more[i] = console_open("more", input, typed[0])) != NULL);
    CHECK(console_open("one too many", input, typed[0]) == NULL);
    for (unsigned i = 0; i < CHANNELS - 3; i++)
        more[i]->name = NULL;
    stop();
}

TEST(an_absent_uart_types_nothing)
{
    start();
    fake_in = NULL; /* reads all ones */
    settle();
    CHECK_EQ(uart_receive(), -1);
    fake_in = uart_in;
    stop();
}

TEST_MAIN()
