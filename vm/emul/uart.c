/* SPDX-License-Identifier: BSD-2-Clause */
/* 16550A (National PC16550D). What is sent is gone at once, so the transmitter is always empty. */
#include "kernel/console/console.h"
#include "kernel/mm/heap.h"
#include "vm/emul/emul.h"
#include "vm/migrate/state.h"
#include "vm/vcpu.h"
#include "vm/vm.h"

#define UART_PORT 0x3f8
#define UART_IRQ  4

/* Registers, table II */
#define REG_DATA     0 /* RBR, THR */
#define REG_IER      1
#define IER_RDA      BIT32(0)
#define IER_THRE     BIT32(1)
#define REG_IIR      2 /* RO */
#define IIR_NONE     0x01
#define IIR_THRE     0x02
#define IIR_RDA      0x04
#define IIR_FIFO     0xc0
#define REG_FCR      2 /* WO */
#define FCR_ENABLE   BIT32(0)
#define FCR_CLEAR_RX BIT32(1)
#define REG_LCR      3
#define LCR_DLAB     BIT32(7)
#define REG_MCR      4
#define MCR_DTR      BIT32(0)
#define MCR_RTS      BIT32(1)
#define MCR_OUT1     BIT32(2)
#define MCR_OUT2     BIT32(3) /* lets the interrupt out, as on every PC */
#define MCR_LOOP     BIT32(4)
#define REG_LSR      5 /* RO */
#define LSR_DR       BIT32(0)
#define LSR_THRE     BIT32(5)
#define LSR_TEMT     BIT32(6)
#define REG_MSR      6 /* RO: DCD, RI, DSR, CTS */
#define MSR_READY    0xb0
#define REG_SCR      7
#define PORTS        8
#define REG_DLL      8 /* in place of 0 and 1, with DLAB */
#define REG_DLM      9
#define REGS         10

#define FIFO     16
#define RX_QUEUE 256 /* what an operator pastes waits here, beyond the FIFO */

/* The record. */
struct uart_state {
    uint8_t reg[REGS];    /* as written */
    uint8_t thre_pending; /* "transmitter empty" has not been read from the IIR */
    uint8_t pad;
    uint32_t rx_in, rx_out; /* bytes ever put in and taken out */
    uint8_t rx[RX_QUEUE];
};

struct uart {
    struct spinlock lock; /* taken before the I/O APIC's and the console's */
    struct vm *vm;
    struct console_channel *channel;
    struct uart_state s;
};

/* What finds no room is lost. In loopback there is as much as in a 16550A. */
static void rx_put(struct uart *u, uint8_t c)
{
    if (u->s.rx_in - u->s.rx_out < (u->s.reg[REG_MCR] & MCR_LOOP ? FIFO : RX_QUEUE))
        u->s.rx[u->s.rx_in++ % RX_QUEUE] = c;
}

/* The interrupt that has the highest priority (table IV). Received bytes do not wait for a trigger level. */
static uint8_t iir(const struct uart *u)
{
    if ((u->s.reg[REG_IER] & IER_RDA) && u->s.rx_in != u->s.rx_out)
        return IIR_RDA;
    return (u->s.reg[REG_IER] & IER_THRE) && u->s.thre_pending ? IIR_THRE : IIR_NONE;
}

static void update_line(struct uart *u)
{
    bool out = (u->s.reg[REG_MCR] & (MCR_OUT2 | MCR_LOOP)) == MCR_OUT2;

    ioapic_set_irq(u->vm, UART_IRQ, out && iir(u) != IIR_NONE);
}

static const uint8_t writable[REGS] = {
    [REG_IER] = 0x0f, [REG_FCR] = FCR_ENABLE, [REG_LCR] = 0xff, [REG_MCR] = 0x1f,
    [REG_SCR] = 0xff, [REG_DLL] = 0xff,       [REG_DLM] = 0xff,
};

static void reg_write(struct uart *u, unsigned reg, uint8_t val)
{
    uint8_t changed = val ^ u->s.reg[reg];

    u->s.reg[reg] = val & writable[reg];
    if (reg == REG_DATA || (reg == REG_IER && (val & changed & IER_THRE)))
        u->s.thre_pending = true; /* enabling it while the transmitter is empty raises it again */
    if (reg == REG_DATA && (u->s.reg[REG_MCR] & MCR_LOOP))
        rx_put(u, val);
    else if (reg == REG_DATA)
        console_write(u->channel, &(char){(char)val}, 1);
    else if (reg == REG_FCR && ((changed & FCR_ENABLE) || (val & FCR_CLEAR_RX)))
        u->s.rx_out = u->s.rx_in;
}

/* The other end is always there. In loopback the modem outputs are the inputs. */
static uint8_t modem_status(uint8_t mcr)
{
    if (!(mcr & MCR_LOOP))
        return MSR_READY;
    return (uint8_t)((mcr & (MCR_OUT1 | MCR_OUT2)) << 4 | (mcr & MCR_DTR) << 5 | (mcr & MCR_RTS) << 3);
}

static uint8_t reg_read(struct uart *u, unsigned reg)
{
    uint8_t id = iir(u);

    switch (reg) {
    case REG_DATA:
        return u->s.rx_in != u->s.rx_out ? u->s.rx[u->s.rx_out++ % RX_QUEUE] : 0;
    case REG_IIR:
        if (id == IIR_THRE)
            u->s.thre_pending = false;
        return id | (u->s.reg[REG_FCR] ? IIR_FIFO : 0);
    case REG_LSR:
        return (uint8_t)(LSR_THRE | LSR_TEMT | (u->s.rx_in != u->s.rx_out ? LSR_DR : 0));
    case REG_MSR:
        return modem_status(u->s.reg[REG_MCR]);
    default:
        return u->s.reg[reg];
    }
}

static void port_access(UNUSED struct vcpu *v, void *dev, struct io_access *a)
{
    struct uart *u = dev;
    unsigned reg = (unsigned)a->addr;
    spin_guard(&u->lock);

    if (a->size != 1)
        return;
    if (reg <= REG_IER && (u->s.reg[REG_LCR] & LCR_DLAB))
        reg += REG_DLL;
    if (a->write)
        reg_write(u, reg, (uint8_t)a->data);
    else
        a->data = reg_read(u, reg);
    update_line(u);
}

/* A key from the operator, on the CPU that polls the console. */
static void console_input(void *arg, char c)
{
    struct uart *u = arg;
    spin_guard(&u->lock);

    if (__atomic_load_n(&u->vm->state, __ATOMIC_RELAXED) != VM_RUNNING || (u->s.reg[REG_MCR] & MCR_LOOP))
        return;
    rx_put(u, (uint8_t)c);
    update_line(u);
}

static void *uart_at(struct vm *vm, UNUSED unsigned i)
{
    return &vm->uart->s;
}

static const char *uart_check(UNUSED const struct vm *vm, UNUSED unsigned i, const void *data)
{
    const struct uart_state *s = data;

    return s->rx_in - s->rx_out > RX_QUEUE        ? "rx"
           : s->reg[REG_IER] & ~writable[REG_IER] ? "IER"
           : s->reg[REG_FCR] & ~writable[REG_FCR] ? "FCR"
           : s->reg[REG_MCR] & ~writable[REG_MCR] ? "MCR"
           : s->thre_pending > 1                  ? "thre_pending"
                                                  : NULL;
}

const struct state_part uart_part = {"uart", sizeof(struct uart_state), false, uart_at, NULL, uart_check,
                                     NULL};

int uart_create(struct vm *vm)
{
    struct uart *u = vm->uart = heap_alloc(sizeof(*u));

    if (!u)
        return -ENOMEM;
    u->vm = vm;
    u->channel = console_open(vm->name, console_input, u);
    return u->channel ? vm_io_register(vm, IO_PORT, UART_PORT, PORTS, port_access, u) : -ENOMEM;
}
