/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest that ends badly, `how=` says in which way after `after=` turns of a counting loop:
 *   triple   an exception with no IDT            garbage  executes 0xff bytes, with no IDT
 *   badmem   reads where there is neither memory nor a device (`address=`, default 0x60000000), then writes
 * there spin     interrupts off for ever             badstate a CR4 that no CPU has halt     interrupts off,
 * HLT                 jump     executes where there is no memory
 */
#include "tests/guest/lib/lib.h"

#define HOLE 0x60000000u

static const uint8_t garbage[64] = {[0 ... 63] = 0xff};

static void no_idt(void)
{
    struct __attribute__((packed)) {
        uint16_t limit;
        uint64_t base;
    } nowhere = {0, 0};

    __asm__ volatile("lidt %0" ::"m"(nowhere) : "memory");
}

static void triple(uint64_t address)
{
    (void)address;
    no_idt();
    __asm__ volatile("ud2");
}

static void run_garbage(uint64_t address)
{
    (void)address;
    no_idt();
    ((void (*)(void))(uintptr_t)garbage)();
}

static void badmem(uint64_t address)
{
    print("crash: read %x\n", mmio_read(address));
    mmio_write(address, 0xdeadbeef);
    print("crash: wrote, read %x\n", mmio_read(address));
}

static void spin(uint64_t address)
{
    (void)address;
    __asm__ volatile("cli");
    for (;;)
        ;
}

static void badstate(uint64_t address)
{
    (void)address;
    __asm__ volatile("mov %0, %%cr4" ::"r"(0xffffffffffffff20ull) : "memory");
}

static void halt(uint64_t address)
{
    (void)address;
    __asm__ volatile("cli; hlt");
}

static void jump(uint64_t address)
{
    ((void (*)(void))(uintptr_t)address)();
}

static const struct {
    const char *name;
    void (*fn)(uint64_t address);
} ways[] = {
    {"triple", triple},     {"garbage", run_garbage}, {"badmem", badmem}, {"spin", spin},
    {"badstate", badstate}, {"halt", halt},           {"jump", jump},
};

static size_t length(const char *s)
{
    size_t n = 0;

    while (s[n])
        n++;
    return n;
}

int main(const char *cmdline)
{
    const char *how = option_text(cmdline, "how");

    for (volatile uint64_t i = 0; i < option(cmdline, "after", 0); i++)
        ;
    for (size_t i = 0; how && i < sizeof(ways) / sizeof(ways[0]); i++) {
        if (!memory_equal(how, ways[i].name, length(ways[i].name)))
            continue;
        print("crash: now %s\n", ways[i].name);
        ways[i].fn(option(cmdline, "address", HOLE));
        print("crash: %s goes on\n", ways[i].name);
        return 0;
    }
    print("crash: how= is missing\n");
    return 0;
}
