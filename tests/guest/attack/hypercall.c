/* SPDX-License-Identifier: BSD-2-Clause */
/* Does any hypercall, known or not, with any arguments, do what the caller may not? */
#include "vm/abi/hypercall.h"
#include "tests/guest/attack/attack.h"
#include "vm/abi/iodom.h"

#define EPERM     (-1)
#define ENOSYS    (-38)
#define NUMBERS   64
#define LOG_BYTES 256
#define ROUNDS    1500

/* Numbers, addresses and sizes near every border that there is. */
static uint64_t argument(struct kit *k)
{
    static const uint64_t borders[] = {
        0, 1, 7, 8, 255, 256, 257, 4096, RAM_END, 0xc0000000, 0xfee00000, 1ull << 32, 1ull << 47, 1ull << 63};
    uint64_t r = kit_random(k), near = borders[(r >> 8) % (sizeof(borders) / sizeof(borders[0]))];

    return r & 1 ? near - (r >> 1 & 7) + 4 : r & 2 ? ~near : kit_random(k) >> (r >> 16 & 63);
}

/* What any guest may call; all else must fail, and of the I/O domain's calls those that name a NIC that is not there. */
static verdict by_the_rules(const struct kit *k, uint64_t nr, uint64_t a, uint64_t b, int64_t result)
{
    bool any = nr == HC_VERSION || nr == HC_LOG || nr == HC_CYCLES ||
               (k->is_pf && (nr == HC_ALIVE || nr == HC_KEEP));

    if (nr >= NUMBERS && result != ENOSYS)
        return "a number that does not exist";
    if (!any && result >= 0 && (!k->is_pf || a > 0))
        return "a call that the caller may not make";
    if (!k->is_pf && nr >= HC_NIC_READY && nr <= HC_KEEP && nr != HC_CYCLES && result != EPERM)
        return "a call of the I/O domain's";
    if (nr == HC_LOG && result == 0 && (b == 0 || b > LOG_BYTES || a >= k->ram_end))
        return "a text from elsewhere";
    if (nr == HC_KEEP && result == 0 && b && (b > IODOM_KEEP_MAX || a >= k->ram_end))
        return "a keepsake from elsewhere";
    return BLOCKED;
}

/* The I/O domain's keepsake would be copied over the kit itself: it only ever goes the other way. */
static verdict call(const struct kit *k, uint64_t nr, uint64_t a, uint64_t b, uint64_t c)
{
    if (k->is_pf && nr == HC_KEEP && c == 0)
        c = 1;
    return by_the_rules(k, nr, a, b, hypercall(nr, a, b, c));
}

verdict attack_hypercall(struct kit *k)
{
    verdict v = BLOCKED, one;

    for (uint64_t nr = 0; nr < NUMBERS; nr++) {
        one = call(k, nr, argument(k), argument(k), argument(k));
        v = one ? one : v;
    }
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint64_t nr = kit_random(k) & 1 ? kit_random(k) % (HC_KEEP + 2) : argument(k);

        one = call(k, nr, argument(k), argument(k), argument(k));
        v = one ? one : v;
    }
    (void)hypercall(HC_ALIVE, UINT32_MAX, 0, 0); /* the I/O domain's word that it takes its time */
    return v;
}
