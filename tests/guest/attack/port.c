/* SPDX-License-Identifier: BSD-2-Clause */
/* Is there anything behind a port that is not a guest's device? Reads must give ones. Left alone: this guest's console, power and reset. */
#include "tests/guest/attack/attack.h"

#define LOW_PORTS  0x1000u
#define HIGH_TRIES 2000u

/* RTC, keyboard reset, NMI status, UART, ACPI, PCI: what guests have. */
static bool is_ours(unsigned port)
{
    return port == 0x61 || port == 0x64 || port == 0x70 || port == 0x71 || (port >= 0x3f8 && port < 0x400) ||
           port == 0x600 || port == 0x601 || (port >= 0xcf8 && port < 0xd00);
}

static bool is_near_ours(unsigned port)
{
    return is_ours(port) || is_ours(port + 1) || is_ours(port + 2) || is_ours(port + 3);
}

static bool answers(struct kit *k, uint16_t port)
{
    bool ones = inb(port) == 0xff && inw(port) == 0xffff && inl(port) == 0xffffffff;

    outb(port, (uint8_t)kit_random(k));
    outw(port, (uint16_t)kit_random(k));
    outl(port, (uint32_t)kit_random(k));
    return !ones;
}

static void strings(void *arg)
{
    uint64_t n = 4;

    __asm__ volatile("rep insb" : "+D"(arg), "+c"(n) : "d"(0x40) : "memory");
}

verdict attack_port(struct kit *k)
{
    verdict v = BLOCKED;

    for (unsigned i = 0; i < LOW_PORTS + HIGH_TRIES; i++) {
        unsigned port = i < LOW_PORTS ? i : LOW_PORTS + (unsigned)(kit_random(k) % (0x10000 - LOW_PORTS));

        if (!is_near_ours(port) && answers(k, (uint16_t)port))
            v = "a port answers that is not the guest's";
    }
    if (try(strings, (void *)SCRATCH) != VEC_GP)
        v = "INS";
    return v;
}
