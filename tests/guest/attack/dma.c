/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Does a function reach memory that is not its guest's? Of each address a frame's payload is read (what came back must be zeros, or nothing)
 * and a frame is received there. Addresses are the machine's: those below the guest's own size mean its own memory.
 */
#include "tests/guest/attack/attack.h"

#define PAYLOAD    128
#define SWEEP_LOW  24
#define SWEEP_HIGH 8
#define SECRET     0x0303030303030303ull /* harmless as interrupt messages: see below */

static uint8_t out[PAYLOAD] __attribute__((aligned(4096)));
static uint8_t in[VF_BUFFER] __attribute__((aligned(4096)));

static unsigned loop(struct kit *k, uint64_t payload, uint64_t buffer)
{
    unsigned n = 0;

    vf_start(&k->vf);
    vf_give(&k->vf, buffer);
    for (unsigned tries = 0; tries < 2 && !n; tries++) {
        vf_send(&k->vf, k->header, payload, PAYLOAD);
        n = vf_received(&k->vf);
    }
    return n;
}

static bool leaks(struct kit *k, uint64_t address)
{
    uint8_t sum = 0;

    memset(in, 0, sizeof(in));
    if (!loop(k, address, (uint64_t)in))
        return false;
    for (unsigned i = 14; i < 14 + PAYLOAD; i++)
        sum |= in[i];
    return sum;
}

static void overwrite(struct kit *k, uint64_t address)
{
    static const uint64_t secret = SECRET;

    for (unsigned i = 0; i < PAYLOAD; i += 8)
        memcpy(out + i, &secret, 8);
    loop(k, (uint64_t)out, address);
}

static bool both(struct kit *k, uint64_t address)
{
    overwrite(k, address);
    return leaks(k, address);
}

/* Both rings there: descriptors are read and written back. */
static void rings_at(struct kit *k, uint64_t address)
{
    vf_start(&k->vf);
    vf_write(&k->vf, VF_TDBAL, (uint32_t)address);
    vf_write(&k->vf, VF_TDBAH, (uint32_t)(address >> 32));
    vf_write(&k->vf, VF_TDT, 4);
    vf_write(&k->vf, VF_RDBAL, (uint32_t)address);
    vf_write(&k->vf, VF_RDBAH, (uint32_t)(address >> 32));
    vf_write(&k->vf, VF_RDT, 8);
    vf_send(&k->vf, k->header, (uint64_t)out, PAYLOAD);
}

/* Registers of chipsets, interrupts, configuration, IOMMUs, and this guest's own BAR. */
verdict attack_dma_sweep(struct kit *k)
{
    static const uint64_t places[] = {0xb0000000, 0xe0000000, 0xe8000000, 0xfe000000, 0xfec00000, 0xfed00000,
                                      0xfed80000, 0xfed90000, 0xfee00000, 0xff000000, 0xfffff000};
    verdict v = BLOCKED;

    for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++)
        v = both(k, places[i]) ? "registers were read" : v;
    v = both(k, k->vf.regs) ? "its own registers were read" : v;
    for (unsigned i = 0; i < SWEEP_LOW; i++)
        v = both(k, (2 * RAM_END + kit_random(k) % 0xb0000000) & ~4095ull) ? "memory was read" : v;
    for (unsigned i = 0; i < SWEEP_HIGH; i++)
        v = both(k, 1ull << (32 + i)) ? "memory above 4 GiB was read" : v;
    for (unsigned i = 0; i < SWEEP_LOW / 6; i++)
        rings_at(k, (2 * RAM_END + kit_random(k) % 0xb0000000) & ~4095ull);
    return v ? v : kit_works(k) ? BLOCKED : "the function does not work any more";
}

#define FORGED 0xeeu /* no device of Lastmile's has this vector as long as there are few */
/*
 * The frame's header is messages too. Of an emulator that lets them pass (CAVEATS.md) none must be an INIT, or a vector that takes the local
 * APIC down with it: the addresses in attack.cfg and iodom.c have a delivery mode that does not exist in bits 10:8 of each word, the type
 * has 0.
 */
#define FIXED_TYPE   0xb8u
#define SHIFT        2u /* the payload's first words that are aligned as messages must be */
#define REMAPPABLE   0x10u
#define MSI_ADDRESS  0xfee00000u
#define DESTINATIONS 8u
#define HANDLES      64u

static void payload_of(uint32_t word)
{
    memset(out, 0, sizeof(out));
    for (unsigned i = SHIFT; i + sizeof(word) <= PAYLOAD; i += sizeof(word))
        memcpy(out + i, &word, sizeof(word));
}

/*
 * Memory writes that look like interrupt messages, in the format that remapping hardware does not translate (Intel VT-d 5.1.2.1) and in the
 * one that selects a remapping entry (5.1.2.2; on AMD the data does), for each processor and each of many entries.
 */
verdict attack_msi_forged(struct kit *k)
{
    k->header[13] = FIXED_TYPE;
    payload_of(FORGED);
    for (unsigned i = 0; i < DESTINATIONS; i++)
        loop(k, (uint64_t)out, MSI_ADDRESS | i << 12);
    for (unsigned i = 32; i < 32 + HANDLES; i++) {
        payload_of(i);
        loop(k, (uint64_t)out, MSI_ADDRESS | REMAPPABLE | i << 5);
    }
    vf_header(&k->vf, k->header);
    return kit_works(k) ? TRIED : "the function does not work any more";
}
