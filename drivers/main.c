/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/sys/sys.h"
#include <stdio.h>
int main(void)
{
    printf("iodom: hello, %u NICs\n", sys_config() ? (unsigned)sys_config()->nnics : 99);
    for (;;) {
        sys_idle(clock_ns() + NS_PER_S);
        printf("tick %llu\n", (unsigned long long)(clock_ns() / NS_PER_MS));
    }
}
