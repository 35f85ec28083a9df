/* SPDX-License-Identifier: BSD-2-Clause */
/* drivers/sys/keep.c: what is put in is there for the next incarnation, whole; a keepsake that is none is taken for empty. */
#include "tests/unit/test.h"

#include "tests/unit/fake/keepsake.c"
#include <stdlib.h>

static void be_born(void)
{
    memset(blob, 0xee, sizeof(blob));
    used = 77;
    keep_init();
}

static void empty(void)
{
    memset(fake_keepsake, 0, sizeof(fake_keepsake));
    be_born();
}

static bool holds(enum keep_type type, unsigned index, const char *text)
{
    char got[64] = {0};

    return keep_get(type, index, 1, got, strlen(text)) && memcmp(got, text, strlen(text)) == 0;
}

static int put(enum keep_type type, unsigned index, const char *text)
{
    return keep_put(type, index, 1, text, strlen(text));
}

TEST(records_outlive_the_one_who_put_them)
{
    empty();
    CHECK_EQ(put(KEEP_NIC, 1, "first"), 0);
    CHECK_EQ(put(KEEP_NIC, 2, "second NIC"), 0);
    CHECK_EQ(put(KEEP_LEASE, 1, "10.0.2.15"), 0);
    be_born();
    CHECK(holds(KEEP_NIC, 1, "first") && holds(KEEP_NIC, 2, "second NIC") &&
          holds(KEEP_LEASE, 1, "10.0.2.15"));
    CHECK(!holds(KEEP_LEASE, 1, "first") && !holds(KEEP_NIC, 3, "first"));
}

TEST(the_last_one_counts)
{
    empty();
    CHECK_EQ(put(KEEP_NIC, 1, "short"), 0);
    CHECK_EQ(put(KEEP_LEASE, 0, "between"), 0);
    CHECK_EQ(put(KEEP_NIC, 1, "other"), 0);
    CHECK_EQ(put(KEEP_NIC, 1, "and a longer one than that"), 0);
    be_born();
    CHECK(holds(KEEP_NIC, 1, "and a longer one than that") && holds(KEEP_LEASE, 0, "between"));
    CHECK_EQ(used, size_of(26) + size_of(7));
}

TEST(what_is_there_already_costs_nothing)
{
    empty();
    CHECK_EQ(put(KEEP_NIC, 1, "same"), 0);
    fake_keepsake_stores = 0;
    CHECK_EQ(put(KEEP_NIC, 1, "same"), 0);
    keep_drop(KEEP_NIC, 2);
    CHECK_EQ(fake_keepsake_stores, 0);
    CHECK_EQ(keep_put(KEEP_NIC, 1, 2, "same", 4), 0); /* of another version */
    CHECK_EQ(fake_keepsake_stores, 1);
}

TEST(dropped_records_are_gone)
{
    empty();
    CHECK_EQ(put(KEEP_NIC, 1, "first"), 0);
    CHECK_EQ(put(KEEP_NIC, 2, "second"), 0);
    keep_drop(KEEP_NIC, 1);
    be_born();
    CHECK(!holds(KEEP_NIC, 1, "first") && holds(KEEP_NIC, 2, "second"));
    keep_drop(KEEP_NIC, 2);
    be_born();
    CHECK_EQ(used, 0);
}

TEST(other_versions_and_lengths_are_not_given)
{
    char got[8];

    empty();
    CHECK_EQ(put(KEEP_NIC, 1, "eight 88"), 0);
    CHECK(keep_get(KEEP_NIC, 1, 1, got, 8));
    CHECK(!keep_get(KEEP_NIC, 1, 2, got, 8));
    CHECK(!keep_get(KEEP_NIC, 1, 1, got, 7));
}

TEST(a_full_keepsake_takes_no_more)
{
    static char big[IODOM_KEEP_MAX];

    empty();
    CHECK_EQ(put(KEEP_LEASE, 0, "kept"), 0);
    CHECK_EQ(keep_put(KEEP_NIC, 1, 1, big, sizeof(big)), -ENOSPC);
    CHECK_EQ(keep_put(KEEP_NIC, 1, 1, big, sizeof(big) - size_of(4) - size_of(0)), 0); /* to the last byte */
    CHECK_EQ(used, sizeof(blob));
    CHECK_EQ(put(KEEP_NIC, 2, "x"), -ENOSPC);
    be_born();
    CHECK_EQ(used, sizeof(blob));
    CHECK(holds(KEEP_LEASE, 0, "kept"));
    CHECK_EQ(put(KEEP_LEASE, 0, "no room for it"),
             -ENOSPC); /* and nothing is better than what it was before */
    CHECK(!holds(KEEP_LEASE, 0, "kept"));
}

TEST(a_record_that_is_there_twice_is_garbage)
{
    struct keep_record r = {KEEP_NIC, 1, 1, 0};

    empty();
    memcpy(fake_keepsake, &r, sizeof(r));
    memcpy(fake_keepsake + sizeof(r), &r, sizeof(r));
    be_born();
    CHECK_EQ(used, 0);
}

TEST(garbage_is_taken_for_nothing)
{
    struct keep_record r = {KEEP_NIC, 1, 1, 0};

    empty();
    for (unsigned i = 0; i < 4; i++) {
        r.length = (uint32_t[]){IODOM_KEEP_MAX - 7, IODOM_KEEP_MAX, 0x80000000, UINT32_MAX}[i];
        memset(fake_keepsake, 0, sizeof(fake_keepsake));
        memcpy(fake_keepsake, &r, sizeof(r));
        be_born();
        CHECK_EQ(used, 0);
        CHECK_EQ(put(KEEP_NIC, 1, "new"), 0);
        be_born();
        CHECK(holds(KEEP_NIC, 1, "new"));
    }
    for (unsigned turn = 0; turn < 2000; turn++) {
        for (unsigned i = 0; i < sizeof(fake_keepsake); i++)
            fake_keepsake[i] = (uint8_t)(rand() % (turn % 2 ? 4 : 256));
        be_born();
        CHECK(used <= sizeof(blob));
        (void)holds(KEEP_NIC, 1, "x");
        (void)put(KEEP_LEASE, 1, "y");
    }
}

TEST_MAIN()
