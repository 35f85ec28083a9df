/* SPDX-License-Identifier: BSD-2-Clause */
/* The hypervisor's side of HC_KEEP for drivers/sys/keep.c, which it includes. Include once. */
#include "vm/abi/hypercall.h"
#include "vm/abi/iodom.h"
#include <errno.h>
#include <string.h>

static uint8_t fake_keepsake[IODOM_KEEP_MAX];
static unsigned fake_keepsake_stores __attribute__((unused));

#include "drivers/sys/keep.c"

long hypercall(unsigned nr, uint64_t a, uint64_t b, uint64_t c)
{
    if (nr != HC_KEEP || b > sizeof(fake_keepsake) || c > 1)
        return -EINVAL;
    if (c)
        memcpy(fake_keepsake, (const void *)(uintptr_t)a, b);
    else
        memcpy((void *)(uintptr_t)a, fake_keepsake, b);
    fake_keepsake_stores += (unsigned)c;
    return 0;
}
