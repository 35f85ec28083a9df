/* SPDX-License-Identifier: BSD-2-Clause */
#include "kernel/console/console.h"
#include "kernel/console/log.h"
#include "kernel/cpu/setup.h"
#include "kernel/lib/string.h"
#include "kernel/lib/wait.h"
#include "kernel/mm/paging.h"

#define FRAMES_MAX 32
#define TEXT_MAX   200

/* tools/symbols.sh: the functions of hv.elf by ascending address. */
extern const uint64_t ksym_count, ksym_addr[];
extern const uint32_t ksym_name[];
extern const char ksym_strings[];

extern const char text_end[];

static bool panicking;
static unsigned panic_cpu, parked;

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
        log_error("  %s %016lx", what, addr);
    else
        log_error("  %s %016lx %s+%#lx", what, addr, &ksym_strings[ksym_name[lo - 1]],
                  addr - ksym_addr[lo - 1]);
}

/* True if a frame record at `at` lies whole on one of this CPU's stacks: only those are surely mapped. */
static bool on_my_stack(uint64_t at)
{
    for (unsigned s = STACK_MAIN; s < STACKS_PER_CPU; s++) {
        uint64_t top = stack_top(cpu_id(), s);

        if (at >= top - STACK_BYTES && at <= top - 16)
            return true;
    }
    return false;
}

/* Frames grow towards the stack's end, unless the chain goes to another stack: it ends after FRAMES_MAX. */
static void backtrace(uint64_t frame)
{
    for (unsigned i = 0; i < FRAMES_MAX && on_my_stack(frame) && frame % 8 == 0; i++) {
        const uint64_t *record = (const uint64_t *)frame;

        say_symbol("from", record[1]);
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
    unsigned others = MAX(cpu_count(), 1u) - 1;
    bool all;

    if (others)
        apic_send(0, FIELD_PREP(ICR_SHORTHAND, ICR_SHORTHAND_OTHERS) | FIELD_PREP(ICR_MODE, ICR_MODE_NMI) |
                         ICR_LEVEL_ASSERT);
    all = wait_until(__atomic_load_n(&parked, __ATOMIC_ACQUIRE) >= others, 100 * NS_PER_MS);
    console_panic();
    if (!all)
        log_error("panic: only %u of %u other CPUs stopped", __atomic_load_n(&parked, __ATOMIC_ACQUIRE),
                  others);
}

/* The first CPU that panics speaks; the others wait for its NMI. A panic within the panic is the end of the
 * talk. */
static void begin(const char *text)
{
    if (__atomic_exchange_n(&panicking, true, __ATOMIC_ACQ_REL)) {
        if (cpu_id() == panic_cpu)
            log_error("panic within the panic");
        park();
    }
    panic_cpu = cpu_id();
    stop_others();
    log_error("panic on cpu %u: %s", cpu_id(), text);
}

static _Noreturn void end(uint64_t frame)
{
    log_error("  cr0 %016lx cr2 %016lx cr3 %016lx cr4 %016lx", read_cr0(), read_cr2(), read_cr3(),
              read_cr4());
    backtrace(frame);
    log_error("halted");
    park();
}

_Noreturn void panic(const char *fmt, ...)
{
    char text[TEXT_MAX];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    begin(text);
    end((uint64_t)__builtin_frame_address(0));
}

_Noreturn void panic_trap(const struct trap_frame *f)
{
    static const char names[][4] = {
        "#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM", "#DF", "9",   "#TS",
        "#NP", "#SS", "#GP", "#PF", "15",  "#MF", "#AC", "#MC", "#XM", "#VE", "#CP",
    };
    char text[TEXT_MAX];

    snprintf(text, sizeof(text), "exception %s, error code %#lx",
             f->vector < ARRAY_SIZE(names) ? names[f->vector] : "?", f->error);
    begin(text);
    log_error("  rax %016lx rcx %016lx rdx %016lx rbx %016lx", f->rax, f->rcx, f->rdx, f->rbx);
    log_error("  rbp %016lx rsi %016lx rdi %016lx r8  %016lx", f->rbp, f->rsi, f->rdi, f->r8);
    log_error("  r9  %016lx r10 %016lx r11 %016lx r12 %016lx", f->r9, f->r10, f->r11, f->r12);
    log_error("  r13 %016lx r14 %016lx r15 %016lx rsp %016lx", f->r13, f->r14, f->r15, f->rsp);
    log_error("  rip %016lx flags %016lx cs %lx", f->rip, f->rflags, f->cs);
    say_symbol("at  ", f->rip);
    end(f->rbp);
}
