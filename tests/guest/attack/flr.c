/* SPDX-License-Identifier: BSD-2-Clause */
/* Function-level resets one after the other, and with frames under way: does the function come back each time, and is nothing written to
 * memory once a reset has begun? */
#include "tests/guest/attack/attack.h"

#define COMMAND     4u
#define MEMORY_ON   6u
#define MEMORY_ONLY 2u
#define CAP_POINTER 0x34u
#define CAP_PCIE    0x10u
#define DEVCTL_FLR  0x8000u
#define STORM_MS    3000
#define BACK_MS     5000
#define ROUNDS      4
#define FRAMES      16

static uint8_t buffers[VF_RING][VF_BUFFER] __attribute__((aligned(4096)));

static unsigned devctl(unsigned bdf)
{
    unsigned at = pci_read(bdf, CAP_POINTER, 1), left = 48;

    while (at && left-- && pci_read(bdf, at, 1) != CAP_PCIE)
        at = pci_read(bdf, at + 1, 1);
    return at + 8;
}

static bool comes_back(const struct kit *k)
{
    uint64_t end = time_ms() + BACK_MS;

    while (pci_read(k->vf.bdf, 0, 4) == 0xffffffff && time_ms() < end)
        ;
    return pci_read(k->vf.bdf, 0, 4) != 0xffffffff;
}

static bool back(struct kit *k)
{
    if (!comes_back(k))
        return false;
    pci_write(k->vf.bdf, COMMAND, 2, MEMORY_ON);
    return vf_reset(&k->vf) && vf_wait_link(&k->vf) && kit_works(k);
}

/* A function in its reset is not there. */
verdict attack_flr_storm(struct kit *k)
{
    unsigned where = devctl(k->vf.bdf);
    uint64_t end = time_ms() + STORM_MS;
    bool away = false;

    while (time_ms() < end) {
        pci_write(k->vf.bdf, where, 2, DEVCTL_FLR);
        away |= pci_read(k->vf.bdf, 0, 4) == 0xffffffff;
        pci_write(k->vf.bdf, COMMAND, 2, MEMORY_ON);
    }
    if (!away)
        return "a function in its reset answers";
    return back(k) ? BLOCKED : "the function does not come back";
}

/*
 * Frames to itself into a ring of buffers, the reset in between: nothing is set up any more. Then the same with all set up again but bus
 * mastering, which a reset takes.
 */
static bool writes_after_reset(struct kit *k)
{
    const uint8_t *bytes = buffers[0];
    uint8_t sum = 0;

    vf_start(&k->vf);
    vf_give_all(&k->vf, buffers);
    for (unsigned i = 0; i < FRAMES; i++)
        vf_send(&k->vf, k->header, (uint64_t)buffers, 64);
    pci_write(k->vf.bdf, devctl(k->vf.bdf), 2, DEVCTL_FLR);
    memset(buffers, 0, sizeof(buffers));
    if (!comes_back(k))
        return false;
    pci_write(k->vf.bdf, COMMAND, 2, MEMORY_ON);
    vf_send(&k->vf, k->header, (uint64_t)&k->header, 64);
    pci_write(k->vf.bdf, COMMAND, 2, MEMORY_ONLY);
    vf_reset(&k->vf);
    vf_start(&k->vf);
    vf_give_all(&k->vf, buffers);
    for (unsigned i = 0; i < FRAMES; i++)
        vf_write(&k->vf, VF_TDT, i);
    vf_send(&k->vf, k->header, (uint64_t)buffers, 64);
    for (unsigned i = 0; i < sizeof(buffers); i++)
        sum |= bytes[i];
    return sum;
}

verdict attack_flr_dma(struct kit *k)
{
    for (unsigned i = 0; i < ROUNDS; i++) {
        if (writes_after_reset(k))
            return "memory was written after the reset had begun";
        if (!back(k))
            return "the function does not come back";
    }
    return BLOCKED;
}
