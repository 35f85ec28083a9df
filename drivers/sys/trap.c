/* SPDX-License-Identifier: BSD-2-Clause */
/* Descriptor tables, exceptions (fatal, but for a hypercall nobody answers) and interrupt flags. No FPU use
 * in this file. */
#include "drivers/sys/hypercall.h"
#include "drivers/sys/sys.h"
#include "drivers/sys/x86.h"
#include <errno.h>
#include <string.h>

struct trap_frame {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
    uint64_t vector, error;
    uint64_t rip, cs, rflags, rsp, ss;
};

/* AMD64 APM vol. 2, 4.8.4: interrupt gate. */
struct gate {
    uint16_t offset_lo, selector;
    uint8_t ist, type;
    uint16_t offset_mid;
    uint32_t offset_hi, reserved;
};
_Static_assert(sizeof(struct gate) == 16, "gate descriptor");

/* AMD64 APM vol. 2, 12.2.5: 64-bit task state segment. */
struct tss {
    uint32_t reserved0;
    uint64_t rsp[3], reserved1, ist[7], reserved2;
    uint16_t reserved3, io_map;
} __attribute__((packed));
_Static_assert(sizeof(struct tss) == 104, "task state segment");

struct table_pointer {
    uint16_t limit;
    uint64_t base;
} __attribute__((packed));

#define SEL_CODE       0x08
#define SEL_TSS        0x18
#define GATE_INTERRUPT 0x8e
#define DESC_CODE64    0x00af9b000000ffffull
#define DESC_DATA      0x00cf93000000ffffull
#define DESC_TSS       0x0000890000000000ull
#define VECTOR_UD      6
#define EXCEPTIONS     32

extern const uint64_t trap_entries[EXCEPTIONS + IRQ_COUNT];
extern char trap_stack_top[], image_start[], text_end[];
void trap_handle(struct trap_frame *f);

extern volatile uint8_t irq_pending[IRQ_COUNT]; /* set by trap.S */
volatile uint8_t irq_pending[IRQ_COUNT];

static struct gate idt[EXCEPTIONS + IRQ_COUNT];
static struct tss tss;
static uint64_t gdt[5] = {0, DESC_CODE64, DESC_DATA, DESC_TSS};
static unsigned irqs_used = IRQ_TIMER + 1;

static void set_gate(unsigned vector, uint64_t entry, uint8_t ist)
{
    idt[vector] = (struct gate){.offset_lo = (uint16_t)entry,
                                .selector = SEL_CODE,
                                .ist = ist,
                                .type = GATE_INTERRUPT,
                                .offset_mid = (uint16_t)(entry >> 16),
                                .offset_hi = (uint32_t)(entry >> 32)};
}

void trap_init(void)
{
    struct table_pointer g = {sizeof(gdt) - 1, (uint64_t)(uintptr_t)gdt};
    struct table_pointer t = {sizeof(idt) - 1, (uint64_t)(uintptr_t)idt};
    uint64_t base = (uint64_t)(uintptr_t)&tss;

    tss.ist[0] = (uint64_t)(uintptr_t)trap_stack_top;
    tss.io_map = sizeof(tss);
    gdt[3] |= (sizeof(tss) - 1) | (base & 0xffffff) << 16 | (base >> 24 & 0xff) << 56;
    gdt[4] = base >> 32;
    /* Exceptions have a stack of their own, so that the overflow of the other one is reported too. */
    for (unsigned v = 0; v < EXCEPTIONS + IRQ_COUNT; v++)
        set_gate(v, trap_entries[v], v < EXCEPTIONS);
    __asm__ volatile("lgdt %0; lidt %1; ltr %w2" : : "m"(g), "m"(t), "r"(SEL_TSS) : "memory");
}

int irq_alloc(void)
{
    if (irqs_used == IRQ_SPURIOUS)
        return -ENOSPC;
    return (int)irqs_used++;
}

bool irq_take(unsigned irq)
{
    bool was = irq_pending[irq];

    irq_pending[irq] = 0;
    return was;
}

static void put(const char *s)
{
    console_write(s, strlen(s));
}

static void put_hex(const char *name, uint64_t v)
{
    char text[19] = "0x";

    for (unsigned i = 0; i < 16; i++)
        text[2 + i] = "0123456789abcdef"[v >> (60 - 4 * i) & 15];
    text[18] = ' ';
    put(name);
    console_write(text, sizeof(text));
}

/* A triple fault: no handler, no stack, no doubt. The hypervisor sees the shutdown. */
static __attribute__((noreturn)) void die(void)
{
    struct table_pointer none = {0, 0};

    while (console_send()) {
    }
    __asm__ volatile("lidt %0; ud2" : : "m"(none));
    __builtin_unreachable();
}

void sys_crash(const char *what)
{
    put("iodom: ");
    put(what);
    put("; stopped\n");
    die();
}

static void print_code_addresses(const uint64_t *sp)
{
    put("iodom: code addresses on the stack:\n");
    for (unsigned i = 0, n = 0; i < 256 && n < 16 && (uintptr_t)&sp[i] < (uintptr_t)trap_stack_top; i++) {
        if (sp[i] >= (uintptr_t)image_start && sp[i] < (uintptr_t)text_end) {
            put_hex(n % 4 == 3 ? "\n  " : "  ", sp[i]);
            n++;
        }
    }
    put("\n");
}

void trap_handle(struct trap_frame *f)
{
    /* VMMCALL or VMCALL under another hypervisor, or under none: the call does not exist. */
    if (f->vector == VECTOR_UD && hypercall_at(f->rip)) {
        f->rip += HYPERCALL_LENGTH;
        f->rax = (uint64_t)-ENOSYS;
        return;
    }
    put_hex("\niodom: exception ", f->vector);
    put_hex("error ", f->error);
    put_hex("cr2 ", read_cr2());
    put_hex("\n  rip ", f->rip);
    put_hex("rsp ", f->rsp);
    put_hex("rflags ", f->rflags);
    put_hex("\n  rax ", f->rax);
    put_hex("rbx ", f->rbx);
    put_hex("rcx ", f->rcx);
    put_hex("rdx ", f->rdx);
    put_hex("\n  rsi ", f->rsi);
    put_hex("rdi ", f->rdi);
    put_hex("rbp ", f->rbp);
    put_hex("r8  ", f->r8);
    put("\n");
    print_code_addresses((const uint64_t *)(f->rsp & ~7ull));
    sys_crash("exception");
}
