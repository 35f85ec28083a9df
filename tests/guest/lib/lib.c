/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/guest/lib/lib.h"
#include <stdarg.h>

#define COM1                0x3f8
#define COM1_LSR            (COM1 + 5)
#define LSR_THRE            0x20
#define LSR_TEMT            0x40
#define LSR_DR              0x01
#define PIC1_MASK           0x21
#define PIC2_MASK           0xa1
#define APIC_BASE           0x1b
#define APIC_BASE_X2        0xc00u /* enabled, x2APIC mode */
#define X2APIC_EOI          0x80b
#define X2APIC_SVR          0x80f
#define X2APIC_LVT_TMR      0x832
#define X2APIC_TMICT        0x838
#define X2APIC_TDCR         0x83e
#define TMR_PERIODIC        (1u << 17)
#define TICK_VECTOR         0x40
#define TICK_COUNT          10000000u
#define SLEEP_CONTROL       0x600 /* ACPI sleep control register of Lastmile's guests: SLP_EN, SLP_TYP 5 */
#define SLEEP_VALUE         0x34
#define Q35_PM1_CONTROL     0x604 /* the same of a bare q35 */
#define Q35_PM1_VALUE       0x2000
#define RESET_PORT          0xcf9
#define MSR_KVM_SYSTEM_TIME 0x4b564d01
#define START_MAGIC         0x336ec578u

/* Xen's hvm_start_info, as far as it is needed. */
struct start_info {
    uint32_t magic, version, flags, nr_modules;
    uint64_t modlist, cmdline, rsdp;
};

struct gate {
    uint16_t low, selector, flags, mid;
    uint32_t high, zero;
};

struct module {
    uint64_t at, size, cmdline, reserved;
};

extern const char vector_table[];
static const struct start_info *started_by;
static struct gate idt[256];
static void (*handlers[256])(void);

/* Where try() goes on after an exception. */
static struct {
    uint64_t rip, rsp, rbp;
    int vector;
    bool armed;
} rescue;

static void put(char c)
{
    while (!(inb(COM1_LSR) & LSR_THRE))
        ;
    outb(COM1, (uint8_t)c);
}

static void put_number(uint64_t v, unsigned base, unsigned width, char fill)
{
    char text[24];
    unsigned n = 0;

    do {
        text[n++] = "0123456789abcdef"[v % base];
        v /= base;
    } while (v);
    for (; width > n; width--)
        put(fill);
    while (n)
        put(text[--n]);
}

void print(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    for (; *fmt; fmt++) {
        char fill = ' ';
        unsigned width = 0;
        bool wide = false;

        if (*fmt == '\n')
            put('\r');
        if (*fmt != '%') {
            put(*fmt);
            continue;
        }
        if (*++fmt == '0')
            fill = *fmt++;
        while (*fmt >= '0' && *fmt <= '9')
            width = width * 10 + (unsigned)(*fmt++ - '0');
        for (; *fmt == 'l'; fmt++)
            wide = true;
        if (*fmt == 's') {
            for (const char *s = va_arg(ap, const char *); *s; s++)
                put(*s);
        } else if (*fmt == 'c') {
            put((char)va_arg(ap, int));
        } else {
            uint64_t v = wide ? va_arg(ap, uint64_t) : va_arg(ap, unsigned);
            int64_t sv = wide ? (int64_t)v : (int32_t)v;
            if (*fmt == 'd' && sv < 0) {
                put('-');
                v = (uint64_t)-sv;
            }
            put_number(v, *fmt == 'x' ? 16 : 10, width, fill);
        }
    }
    va_end(ap);
}

/* The last byte has left the UART. */
static void drain(void)
{
    while (!(inb(COM1_LSR) & LSR_TEMT))
        ;
}

void power_off(void)
{
    drain();
    outb(SLEEP_CONTROL, SLEEP_VALUE);
    outw(Q35_PM1_CONTROL, Q35_PM1_VALUE);
    for (;;)
        __asm__ volatile("cli; hlt");
}

void reset(void)
{
    drain();
    outb(RESET_PORT, 6);
    for (;;)
        __asm__ volatile("cli; hlt");
}

uint64_t number(const char *text, const char **end)
{
    unsigned base = text[0] == '0' && text[1] == 'x' ? 16 : 10;
    uint64_t v = 0;

    for (text += base == 16 ? 2 : 0;; text++) {
        unsigned digit = *text >= 'a' ? (unsigned)(*text - 'a') + 10 : (unsigned)(*text - '0');
        if (*text < '0' || digit >= base)
            break;
        v = v * base + digit;
    }
    if (end)
        *end = text;
    return v;
}

const char *option_text(const char *cmdline, const char *key)
{
    for (const char *p = cmdline; *p; p++) {
        size_t n = 0;
        while (key[n] && p[n] == key[n])
            n++;
        if (!key[n] && p[n] == '=' && (p == cmdline || p[-1] == ' '))
            return p + n + 1;
    }
    return NULL;
}

uint64_t option(const char *cmdline, const char *key, uint64_t otherwise)
{
    const char *text = option_text(cmdline, key);

    return text ? number(text, NULL) : otherwise;
}

void vector_entry(struct frame *f)
{
    if (f->vector >= 32) {
        if (handlers[f->vector])
            handlers[f->vector]();
        return;
    }
    if (rescue.armed) {
        rescue.armed = false;
        rescue.vector = (int)f->vector;
        f->rip = rescue.rip;
        f->rsp = rescue.rsp;
        f->rbp = rescue.rbp;
        return;
    }
    print("guest: exception %lu error %lx rip %lx\n", f->vector, f->error, f->rip);
    power_off();
}

void on_vector(unsigned vector, void (*fn)(void))
{
    handlers[vector] = fn;
}

__attribute__((noinline)) int try(void (*fn)(void *arg), void *arg)
{
    rescue.vector = -1;
    rescue.armed = true;
    __asm__ volatile("leaq 1f(%%rip), %%rax\n\t"
                     "movq %%rax, %0\n\t"
                     "movq %%rsp, %1\n\t"
                     "movq %%rbp, %2\n\t"
                     "call *%3\n"
                     "1:"
                     : "=m"(rescue.rip), "=m"(rescue.rsp), "=m"(rescue.rbp)
                     : "r"(fn), "D"(arg)
                     : "rax", "rbx", "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
                       "r15", "cc", "memory");
    rescue.armed = false;
    return rescue.vector;
}

bool memory_equal(const void *a, const void *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (((const uint8_t *)a)[i] != ((const uint8_t *)b)[i])
            return false;
    return true;
}

void *memset(void *d, int c, size_t n)
{
    void *start = d;
    __asm__ volatile("rep stosb" : "+D"(d), "+c"(n) : "a"(c) : "memory");
    return start;
}

void *memcpy(void *d, const void *s, size_t n)
{
    void *start = d;
    __asm__ volatile("rep movsb" : "+D"(d), "+S"(s), "+c"(n)::"memory");
    return start;
}

static uint16_t pci_select(unsigned bdf, unsigned off)
{
    outl(0xcf8, 0x80000000u | bdf << 8 | (off & 0xfc));
    return (uint16_t)(0xcfc + (off & 3));
}

uint32_t pci_read(unsigned bdf, unsigned off, unsigned size)
{
    uint16_t port = pci_select(bdf, off);

    return size == 1 ? inb(port) : size == 2 ? inw(port) : inl(port);
}

void pci_write(unsigned bdf, unsigned off, unsigned size, uint32_t v)
{
    uint16_t port = pci_select(bdf, off);

    if (size == 1)
        outb(port, (uint8_t)v);
    else if (size == 2)
        outw(port, (uint16_t)v);
    else
        outl(port, v);
}

struct call {
    uint64_t nr, a, b, c;
    int64_t result;
};

static void do_vmmcall(void *arg)
{
    struct call *c = arg;
    uint64_t rax = c->nr;

    __asm__ volatile("vmmcall" : "+a"(rax) : "D"(c->a), "S"(c->b), "d"(c->c) : "memory");
    c->result = (int64_t)rax;
}

static void do_vmcall(void *arg)
{
    struct call *c = arg;
    uint64_t rax = c->nr;

    __asm__ volatile("vmcall" : "+a"(rax) : "D"(c->a), "S"(c->b), "d"(c->c) : "memory");
    c->result = (int64_t)rax;
}

/* The other vendor's instruction is undefined. */
int64_t hypercall(uint64_t nr, uint64_t a, uint64_t b, uint64_t c)
{
    struct call call = {nr, a, b, c, HYPERCALL_UNKNOWN};

    if (try(do_vmmcall, &call) >= 0)
        try(do_vmcall, &call);
    return call.result;
}

static void set_idt(void)
{
    struct __attribute__((packed)) {
        uint16_t limit;
        uint64_t base;
    } pointer = {sizeof(idt) - 1, (uint64_t)idt};

    for (unsigned i = 0; i < 256; i++) {
        uint64_t entry = (uint64_t)vector_table + i * 16;
        idt[i] =
            (struct gate){(uint16_t)entry, 8, 0x8e00, (uint16_t)(entry >> 16), (uint32_t)(entry >> 32), 0};
    }
    __asm__ volatile("lidt %0" ::"m"(pointer) : "memory");
}

static void tick(void)
{
    wrmsr(X2APIC_EOI, 0);
}

static void start_ticks(void *arg)
{
    (void)arg;
    wrmsr(APIC_BASE, rdmsr(APIC_BASE) | APIC_BASE_X2);
    wrmsr(X2APIC_SVR, 0x1ff);
    wrmsr(X2APIC_TDCR, 0xb); /* divide by 1 */
    wrmsr(X2APIC_LVT_TMR, TMR_PERIODIC | TICK_VECTOR);
    wrmsr(X2APIC_TMICT, TICK_COUNT);
}

static void stop_ticks(void *arg)
{
    (void)arg;
    wrmsr(X2APIC_TMICT, 0);
    wrmsr(X2APIC_LVT_TMR, 1u << 16);
}

bool ticks_on(void)
{
    outb(PIC1_MASK, 0xff);
    outb(PIC2_MASK, 0xff);
    on_vector(TICK_VECTOR, tick);
    return try(start_ticks, NULL) < 0;
}

void idle(void)
{
    __asm__ volatile("sti; hlt; cli" ::: "memory");
}

/* Looks for a key now and then and gives the CPU away in between, where there is an x2APIC. */
static char wait_key(void)
{
    bool ticks = ticks_on();

    while (!(inb(COM1_LSR) & LSR_DR)) {
        if (ticks)
            idle();
    }
    if (ticks)
        try(stop_ticks, NULL);
    return (char)inb(COM1);
}

/* KVM's clock (Linux Documentation/virt/kvm/x86/msr.rst): what a TSC tick is; the version does not change while we read. */
static volatile struct {
    uint32_t version, pad;
    uint64_t tsc, ns;
    uint32_t mul;
    int8_t shift;
    uint8_t flags[3];
} clock __attribute__((aligned(32)));

static void start_clock(void *arg)
{
    (void)arg;
    wrmsr(MSR_KVM_SYSTEM_TIME, (uint64_t)&clock | 1);
}

uint64_t time_ms(void)
{
    uint64_t ticks = rdtsc();

    if (!clock.mul && (try(start_clock, NULL) >= 0 || !clock.mul))
        return ticks / 1000000; /* a bare machine: about 1 GHz or more */
    ticks = clock.shift < 0 ? ticks >> -clock.shift : ticks << clock.shift;
    return ((ticks >> 16) * clock.mul >> 16) / 1000000; /* up to 2^48 ticks */
}

void pause_ms(uint64_t ms)
{
    uint64_t end = time_ms() + ms;

    while (time_ms() < end)
        __asm__ volatile("pause");
}

uint64_t random64(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

void read_line(char *line, size_t size)
{
    size_t n = 0;

    for (char c = wait_key(); c != '\n' && c != '\r'; c = wait_key())
        if (n + 1 < size)
            line[n++] = c;
    line[n] = 0;
}

const void *start_module(size_t size)
{
    const struct module *m = (const void *)(uintptr_t)started_by->modlist;

    return started_by->nr_modules && m->size >= size ? (const void *)(uintptr_t)m->at : NULL;
}

void guest_start(const void *start)
{
    const struct start_info *info = start;
    const char *cmdline = info->magic == START_MAGIC && info->cmdline ? (const char *)info->cmdline : "";

    started_by = info;
    set_idt();
    if (option(cmdline, "wait", 0)) {
        print("guest: waits for a key\n");
        wait_key();
    }
    main(cmdline);
    power_off();
}
