/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/test.h"

#include "tests/unit/fake/platform.c"
#include "tests/unit/fake/time.c"

#include "vm/emul/rtc.c"

static uint8_t get(struct vcpu *v, unsigned reg)
{
    fake_io_write(v, IO_PORT, RTC_PORT, 1, reg);
    return (uint8_t)fake_io_read(v, IO_PORT, RTC_PORT + 1, 1);
}

TEST(dates)
{
    static const struct {
        uint64_t seconds;
        uint8_t century, year, month, day, weekday, hour, min, sec;
    } rows[] = {
        {0, 0x19, 0x70, 0x01, 0x01, 0x05, 0, 0, 0},
        {951782399, 0x20, 0x00, 0x02, 0x28, 0x02, 0x23, 0x59, 0x59},
        {951782400, 0x20, 0x00, 0x02, 0x29, 0x03, 0, 0, 0}, /* 2000 is a leap year */
        {951868800, 0x20, 0x00, 0x03, 0x01, 0x04, 0, 0, 0},
        {1735689599, 0x20, 0x24, 0x12, 0x31, 0x03, 0x23, 0x59, 0x59},
        {1735689600, 0x20, 0x25, 0x01, 0x01, 0x04, 0, 0, 0},
        {4107542400, 0x21, 0x00, 0x03, 0x01, 0x02, 0, 0, 0}, /* 2100 is none */
        {4107542399, 0x21, 0x00, 0x02, 0x28, 0x01, 0x23, 0x59, 0x59},
    };
    struct vm *vm = fake_vm_init(1);
    struct vcpu *v = &fake_vm.vcpu[0];

    CHECK_EQ(rtc_create(vm), 0);
    fake_time_step_ns = 0;
    fake_now_ns = 5 * NS_PER_S;
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        fake_wall_base_ns = (rows[i].seconds - 5) * NS_PER_S;
        CHECK_EQ(get(v, RTC_CENTURY), rows[i].century);
        CHECK_EQ(get(v, RTC_YEAR), rows[i].year);
        CHECK_EQ(get(v, RTC_MONTH), rows[i].month);
        CHECK_EQ(get(v, RTC_DAY), rows[i].day);
        CHECK_EQ(get(v, RTC_WEEKDAY), rows[i].weekday);
        CHECK_EQ(get(v, RTC_HOURS), rows[i].hour);
        CHECK_EQ(get(v, RTC_MINUTES), rows[i].min);
        CHECK_EQ(get(v, RTC_SECONDS), rows[i].sec);
    }
}

TEST(status_and_the_rest)
{
    struct vm *vm = fake_vm_init(1);
    struct vcpu *v = &fake_vm.vcpu[0];

    CHECK_EQ(rtc_create(vm), 0);
    CHECK_EQ(get(v, RTC_A), 0x26);
    CHECK_EQ(get(v, RTC_B), 0x02);
    CHECK_EQ(get(v, 0x0c), 0);
    CHECK_EQ(get(v, RTC_D), 0x80);
    CHECK_EQ(get(v, 0x80 | RTC_D), 0x80); /* bit 7 is not part of the index */
    CHECK_EQ(get(v, 0x7f), 0);
    fake_io_write(v, IO_PORT, RTC_PORT, 1, RTC_B);
    fake_io_write(v, IO_PORT, RTC_PORT + 1, 1, 0xff); /* dropped */
    CHECK_EQ(get(v, RTC_B), 0x02);
    CHECK_EQ(fake_io_read(v, IO_PORT, RTC_PORT, 1), 0xff);
    CHECK_EQ(fake_io_read(v, IO_PORT, RTC_PORT, 2), 0xffff);
    fake_vm.register_fails_after = 1;
    CHECK_EQ(rtc_create(vm), -ENOSPC);
}

TEST_MAIN()
