/* SPDX-License-Identifier: BSD-2-Clause */
#include "kernel/console/console.h"
#include "kernel/console/log.h"
#include "kernel/cpu/apic.h"
#include "kernel/cpu/cpu.h"
#include "kernel/cpu/time.h"
#include "kernel/cpu/trap.h"
#include "kernel/lib/string.h"
#include "kernel/lib/wait.h"
#include "kernel/mm/paging.h"

#define FRAMES_MAX      32
#define BOOT_STACK_SIZE ((uint64_t)16 << 10) /* boot/bootinfo.h */

/* tools/symbols.sh: the functions of hv.elf by ascending address. */
extern const uint64_t ksym_count, ksym_addr[];
extern const uint32_t ksym_name[];
extern const char ksym_strings[];

extern const char text_end[];
uint64_t boot_stack_top; /* entry.S */

static bool panicking;
static unsigned panic_cpu, parked;

static void say(const char *fmt, ...) PRINTF(1, 2);

static void say_list(const char *fmt, va_list ap)
{
    char line[256];
    int n = vsnprintf(line, sizeof(line) - 1, fmt, ap);
    size_t len = (size_t)n < sizeof(line) - 1 ? (size_t)n : sizeof(line) - 2;

    line[len] = '\n';
    console_log(line, len + 1, true);
}

static void say(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    say_list(fmt, ap);
    va_end(ap);
}

static void say_symbol(const char *what, uint64_t addr)
{
    uint64_t lo = 0, hi = ksym_count;

    while (lo < hi) { /* the first symbol above addr */
        uint64_t mid = (lo + hi) / 2;

        if (ksym_addr[mid] <= addr)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo == 0 || addr >= (uint64_t)text_end)
        say("  %s %016llx", what, (unsigned long long)addr);
    else
        say("  %s %016llx %s+%#llx", what, (unsigned long long)addr, &ksym_strings[ksym_name[lo - 1]],
            (unsigned long long)(addr - ksym_addr[lo - 1]));
}

/* True if a frame record at `at` lies whole on one of this CPU's stacks: only those are surely mapped. */
static bool on_my_stack(uint64_t at)
{
    for (unsigned s = STACK_MAIN; s < STACKS_PER_CPU; s++) {
        uint64_t top = paging_stack_top(cpu_id(), s);

        if (at >= top - STACK_PAGES * PAGE_SIZE && at <= top - 16)
            return true;
    }
    return cpu_id() == 0 && at >= boot_stack_top - BOOT_STACK_SIZE && at <= boot_stack_top - 16;
}

static void backtrace(uint64_t frame)
{
    for (unsigned i = 0; i < FRAMES_MAX && on_my_stack(frame) && frame % 8 == 0; i++) {
        const uint64_t *record = (const uint64_t *)frame;

        say_symbol("from", record[1]);
        if (record[0] <= frame && on_my_stack(record[0]) && record[0] >> PAGE_SHIFT == frame >> PAGE_SHIFT)
            return; /* frames grow towards the stack's end, unless the chain goes to another stack */
        frame = record[0];
    }
}

static _Noreturn void park(void)
{
    for (;;)
        __asm__ volatile("cli; hlt");
}

void panic_nmi(void)
{
    if (!__atomic_load_n(&panicking, __ATOMIC_ACQUIRE) || cpu_id() == panic_cpu)
        return;
    __atomic_fetch_add(&parked, 1, __ATOMIC_RELEASE);
    park();
}

/* NMIs reach a CPU that spins with interrupts off, too. A CPU that does not answer cannot be helped. */
static void stop_others(void)
{
    unsigned others = cpu_count();

    if (others <= 1)
        return;
    others--;
    apic_send(0, FIELD_PREP(ICR_SHORTHAND, ICR_SHORTHAND_OTHERS) | FIELD_PREP(ICR_MODE, ICR_MODE_NMI) |
                     ICR_LEVEL_ASSERT);
    if (!wait_until(__atomic_load_n(&parked, __ATOMIC_ACQUIRE) >= others, 100 * NS_PER_MS))
        say("panic: only %u of %u other CPUs stopped", __atomic_load_n(&parked, __ATOMIC_ACQUIRE), others);
}

/* The first CPU that panics speaks; the others wait for its NMI. A panic within the panic is the end of the
 * talk. */
static void begin(void)
{
    cpu_cli();
    if (!__atomic_exchange_n(&panicking, true, __ATOMIC_ACQ_REL)) {
        panic_cpu = cpu_id();
        stop_others();
    } else {
        if (cpu_id() == panic_cpu)
            say("panic within the panic");
        park();
    }
}

static void say_control(void)
{
    say("  cr0 %016llx cr2 %016llx cr3 %016llx cr4 %016llx", (unsigned long long)read_cr0(),
        (unsigned long long)read_cr2(), (unsigned long long)read_cr3(), (unsigned long long)read_cr4());
}

static void say_head(const char *fmt, va_list ap)
{
    uint64_t us = time_ns() / NS_PER_US;
    char text[200];

    vsnprintf(text, sizeof(text), fmt, ap);
    say("[%5llu.%06llu] panic on cpu %u: %s", (unsigned long long)(us / 1000000),
        (unsigned long long)(us % 1000000), cpu_id(), text);
}

_Noreturn void panic(const char *fmt, ...)
{
    va_list ap;

    begin();
    va_start(ap, fmt);
    say_head(fmt, ap);
    va_end(ap);
    say_control();
    backtrace((uint64_t)__builtin_frame_address(0));
    say("halted");
    park();
}

static void say_trap(const char *fmt, ...) PRINTF(1, 2);

static void say_trap(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    say_head(fmt, ap);
    va_end(ap);
}

_Noreturn void panic_trap(const struct trap_frame *f)
{
    static const char *const names[] = {
        "#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM", "#DF", "9",   "#TS",
        "#NP", "#SS", "#GP", "#PF", "15",  "#MF", "#AC", "#MC", "#XM", "#VE", "#CP",
    };
    const uint64_t *r = &f->r15;
    static const char *const regs[] = {"r15", "r14", "r13", "r12", "r11", "r10", "r9 ", "r8 ",
                                       "rdi", "rsi", "rbp", "rbx", "rdx", "rcx", "rax"};

    begin();
    say_trap("exception %s, error code %#llx",
             f->vector < sizeof(names) / sizeof(names[0]) ? names[f->vector] : "?",
             (unsigned long long)f->error);
    for (unsigned i = 0; i < 15; i += 3)
        say("  %s %016llx %s %016llx %s %016llx", regs[14 - i], (unsigned long long)r[14 - i], regs[13 - i],
            (unsigned long long)r[13 - i], regs[12 - i], (unsigned long long)r[12 - i]);
    say("  rip %016llx rsp %016llx flags %016llx cs %llx", (unsigned long long)f->rip,
        (unsigned long long)f->rsp, (unsigned long long)f->rflags, (unsigned long long)f->cs);
    say_control();
    say_symbol("at  ", f->rip);
    backtrace(f->rbp);
    say("halted");
    park();
}
