/* SPDX-License-Identifier: BSD-2-Clause */
/* Time from the TSC, whose frequency the configuration gives. */
#include "drivers/sys/sys.h"
#include "drivers/sys/x86.h"

static uint64_t tsc_start, ns_per_tick_32; /* nanoseconds per tick, 32 fractional bits */

void clock_init(uint32_t tsc_khz)
{
    tsc_start = rdtsc();
    ns_per_tick_32 = (NS_PER_MS << 32) / tsc_khz;
}

uint64_t clock_ns(void)
{
    return (uint64_t)((unsigned __int128)(rdtsc() - tsc_start) * ns_per_tick_32 >> 32);
}

uint64_t clock_board_s(void)
{
    return clock_ns() / NS_PER_S + (uint64_t)((unsigned __int128)tsc_start * ns_per_tick_32 >> 32) / NS_PER_S;
}

uint32_t clock_seed(void)
{
    return (uint32_t)(rdtsc() * 0x9e3779b97f4a7c15ull >> 32);
}
