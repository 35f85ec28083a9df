/* SPDX-License-Identifier: BSD-2-Clause */
/* What several attacks use. */
#include "tests/guest/attack/attack.h"

#define PAYLOAD 128
#define TRIES   3 /* the first frame after one whose memory was blocked may be lost (CAVEATS.md) */

static uint8_t out[PAYLOAD] __attribute__((aligned(4096)));
static uint8_t in[VF_BUFFER] __attribute__((aligned(4096)));

struct msr_access {
    uint32_t msr;
    uint64_t v;
};

static void do_wrmsr(void *arg)
{
    const struct msr_access *a = arg;

    wrmsr(a->msr, a->v);
}

static void do_rdmsr(void *arg)
{
    struct msr_access *a = arg;

    a->v = rdmsr(a->msr);
}

int kit_wrmsr(uint32_t msr, uint64_t v)
{
    return try(do_wrmsr, &(struct msr_access){msr, v});
}

int kit_rdmsr(uint32_t msr, uint64_t *v)
{
    struct msr_access a = {msr, 0};
    int vector = try(do_rdmsr, &a);

    *v = a.v;
    return vector;
}

uint64_t kit_random(struct kit *k)
{
    return random64(&k->seed);
}

static void run_code(void *code)
{
    ((void (*)(void))(uintptr_t)code)();
}

int kit_execute(const void *code, unsigned size)
{
    uint8_t *at = (uint8_t *)SCRATCH;

    memcpy(at, code, size);
    at[size] = 0xc3; /* RET */
    return try(run_code, at);
}

bool kit_works(struct kit *k)
{
    unsigned n = 0;

    vf_start(&k->vf);
    for (unsigned i = 0; i < PAYLOAD; i++)
        out[i] = (uint8_t)(i ^ k->seed);
    memset(in, 0, sizeof(in));
    vf_give(&k->vf, (uint64_t)in);
    for (unsigned tries = 0; tries < TRIES && !n; tries++) {
        vf_send(&k->vf, k->header, (uint64_t)out, PAYLOAD);
        n = vf_received(&k->vf);
    }
    return n && memory_equal(in + 14, out, PAYLOAD);
}
