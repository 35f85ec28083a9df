/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/test.h"

#include "tests/unit/fake/strlcpy.c"
#include "tests/unit/fake/time.c"

#include "kernel/console/log.c"

static char out[4096];

void console_log(const char *line)
{
    CHECK(strlen(line) < LINE_MAX);
    sprintf(out + strlen(out), "%s\n", line);
}

static void start(void)
{
    memset(out, 0, sizeof(out));
    fake_time_step_ns = 0;
    fake_now_ns = 12345678999;
    log_set_level(LOG_INFO);
}

TEST(lines_have_time_and_level)
{
    start();
    log_info("hello %d", 5);
    fake_now_ns = NS_PER_S + 234567000;
    log_error("bad");
    CHECK(!strcmp(out, "[   12.345678] info: hello 5\n[    1.234567] error: bad\n"));
}

TEST(lines_above_the_level_are_dropped)
{
    start();
    log_debug("no");
    log_set_level(LOG_ERROR);
    log_warn("no");
    log_error("yes");
    CHECK(strstr(out, "no") == NULL && strstr(out, "error: yes\n") != NULL);
    log_set_level(LOG_DEBUG);
    log_debug("debug");
    CHECK(strstr(out, "debug: debug\n") != NULL);
}

TEST(a_quoted_peer_cannot_end_the_line)
{
    start();
    log_warn("name %s", "x\n[    0.0] info: forged\033[2J\r\x80");
    CHECK(!strcmp(out, "[   12.345678] warn: name x.[    0.0] info: forged.[2J..\n"));
}

TEST(long_lines_are_cut)
{
    char text[1000];

    start();
    memset(text, 'a', sizeof(text));
    text[999] = 0;
    log_info("%s", text);
    CHECK_EQ(strlen(out), LINE_MAX);
    CHECK_EQ(out[strlen(out) - 1], '\n');
}

TEST(rate_limit_burst_then_rate)
{
    struct ratelimit r = RATELIMIT_INIT(5, 10);
    unsigned ok = 0;

    start();
    for (unsigned i = 0; i < 100; i++)
        ok += ratelimit_ok(&r);
    CHECK_EQ(ok, 5);
    CHECK_EQ(r.dropped, 95);
    fake_now_ns += 250 * NS_PER_MS; /* two and a half lines */
    for (ok = 0; ratelimit_ok(&r);)
        ok++;
    CHECK_EQ(ok, 2);
    fake_now_ns += 50 * NS_PER_MS; /* the half was not lost */
    CHECK(ratelimit_ok(&r));
    CHECK(!ratelimit_ok(&r));
    fake_now_ns += 3600 * NS_PER_S; /* no more than the burst is saved up */
    for (ok = 0; ratelimit_ok(&r);)
        ok++;
    CHECK_EQ(ok, 5);
}

TEST(rate_limit_without_a_rate)
{
    struct ratelimit r = RATELIMIT_INIT(1, 0);

    start();
    CHECK(ratelimit_ok(&r));
    CHECK(!ratelimit_ok(&r));
    fake_now_ns += NS_PER_MS;
    CHECK(!ratelimit_ok(&r));
}

TEST_MAIN()
