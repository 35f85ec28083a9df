/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Host-side unit tests: TEST(name) { CHECK(...); } as often as needed, TEST_MAIN() last. A test goes on after a failed check; the
 * program's status is 1 if any check failed.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct test_case {
    const char *name;
    void (*fn)(void);
    struct test_case *next;
};

static struct test_case *test_first, **test_last = &test_first;
static unsigned test_failures;

#define TEST(name_)                                                                                          \
    static void test_##name_(void);                                                                          \
    static struct test_case case_##name_ = {#name_, test_##name_, NULL};                                     \
    __attribute__((constructor)) static void add_##name_(void)                                               \
    {                                                                                                        \
        *test_last = &case_##name_;                                                                          \
        test_last = &case_##name_.next;                                                                      \
    }                                                                                                        \
    static void test_##name_(void)

static inline void test_fail(const char *file, int line, const char *what)
{
    test_failures++;
    printf("    %s:%d: %s\n", file, line, what);
}

#define CHECK(cond)                                                                                          \
    do {                                                                                                     \
        if (!(cond))                                                                                         \
            test_fail(__FILE__, __LINE__, #cond);                                                            \
    } while (0)

#define CHECK_EQ(a, b)                                                                                       \
    do {                                                                                                     \
        unsigned long long a_ = (unsigned long long)(a), b_ = (unsigned long long)(b);                       \
        if (a_ != b_) {                                                                                      \
            char text_[256];                                                                                 \
            snprintf(text_, sizeof(text_), "%s is %#llx, not %#llx (%s)", #a, a_, b_, #b);                   \
            test_fail(__FILE__, __LINE__, text_);                                                            \
        }                                                                                                    \
    } while (0)

#define TEST_MAIN()                                                                                          \
    int main(void)                                                                                           \
    {                                                                                                        \
        unsigned bad = 0;                                                                                    \
        for (struct test_case *t = test_first; t; t = t->next) {                                             \
            test_failures = 0;                                                                               \
            t->fn();                                                                                         \
            printf("%s %s\n", test_failures ? "FAIL" : "ok", t->name);                                       \
            bad += test_failures != 0;                                                                       \
        }                                                                                                    \
        return bad != 0;                                                                                     \
    }
