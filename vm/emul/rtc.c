/* SPDX-License-Identifier: BSD-2-Clause */
/* MC146818: the time and date in BCD, 24 hours, UTC. What is written to it is dropped: the clock is the
 * host's. */
#include "kernel/cpu/time.h"
#include "vm/emul/emul.h"
#include "vm/vm.h"

#define RTC_PORT  0x70
#define RTC_PORTS 2

#define RTC_SECONDS 0x00
#define RTC_MINUTES 0x02
#define RTC_HOURS   0x04
#define RTC_WEEKDAY 0x06 /* 1: Sunday */
#define RTC_DAY     0x07
#define RTC_MONTH   0x08
#define RTC_YEAR    0x09
#define RTC_A       0x0a
#define RTC_A_VALUE 0x26 /* 32768 Hz time base; no update in progress */
#define RTC_B       0x0b
#define RTC_B_24H   0x02
#define RTC_D       0x0d
#define RTC_D_VALID 0x80
#define RTC_CENTURY 0x32
#define RTC_INDEX   0x7f /* bit 7 of the index port masks NMIs on a PC */

static uint8_t bcd(uint64_t n)
{
    return (uint8_t)(n / 10 << 4 | n % 10);
}

/* The proleptic Gregorian date of a day since 1970; a year counted from 1 March ends with its leap day. */
static uint8_t cell(uint8_t index)
{
    uint64_t now = (time_wall_base_ns() + time_ns()) / NS_PER_S;
    uint64_t since = now / 86400 + 719468;               /* from 1 March of the year 0 */
    uint64_t era = since / 146097, day = since % 146097; /* 400 years */
    uint64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    uint64_t yday = day - (365 * year + year / 4 - year / 100);
    uint64_t march = (5 * yday + 2) / 153; /* months since March: 153 days in every five */
    uint64_t full_year = year + era * 400 + (march >= 10);
    const uint8_t cells[] = {
        [RTC_SECONDS] = bcd(now % 60),
        [RTC_MINUTES] = bcd(now / 60 % 60),
        [RTC_HOURS] = bcd(now / 3600 % 24),
        [RTC_WEEKDAY] = bcd((now / 86400 + 4) % 7 + 1), /* 1 January 1970 was a Thursday */
        [RTC_DAY] = bcd(yday - (153 * march + 2) / 5 + 1),
        [RTC_MONTH] = bcd(march < 10 ? march + 3 : march - 9),
        [RTC_YEAR] = bcd(full_year % 100),
        [RTC_A] = RTC_A_VALUE,
        [RTC_B] = RTC_B_24H,
        [RTC_D] = RTC_D_VALID,
        [RTC_CENTURY] = bcd(full_year / 100),
    };

    return index < sizeof(cells) ? cells[index] : 0;
}

static void port_access(UNUSED struct vcpu *v, void *dev, struct io_access *a)
{
    uint8_t *index = dev;

    if (a->size != 1)
        return;
    if (a->addr == 0 && a->write)
        __atomic_store_n(index, (uint8_t)(a->data & RTC_INDEX), __ATOMIC_RELAXED);
    else if (a->addr == 1 && !a->write)
        a->data = cell(__atomic_load_n(index, __ATOMIC_RELAXED));
}

int rtc_create(struct vm *vm)
{
    return vm_io_register(vm, IO_PORT, RTC_PORT, RTC_PORTS, port_access, &vm->rtc_index);
}
