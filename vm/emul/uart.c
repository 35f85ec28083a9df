/* SPDX-License-Identifier: BSD-2-Clause */
/* 16550A (National PC16550D). What is sent is gone at once, so the transmitter is always empty. */
#include "kernel/console/console.h"
#include "kernel/lib/bits.h"
#include "kernel/lib/errno.h"
#include "kernel/mm/heap.h"
#include "vm/emul/emul.h"
#include "vm/vcpu.h"
#include "vm/vm.h"

#define UART_PORT 0x3f8
#define UART_IRQ  4

/* Registers, table II */
#define REG_DATA     0 /* RBR, THR; DLL with DLAB */
#define REG_IER      1 /* DLM with DLAB */
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
#define REG_MSR      6 /* RO */
#define MSR_CTS      BIT32(4)
#define MSR_DSR      BIT32(5)
#define MSR_RI       BIT32(6)
#define MSR_DCD      BIT32(7)
#define REG_SCR      7
#define REGS         8

#define FIFO     16
#define RX_QUEUE 256 /* what an operator pastes waits here, beyond the FIFO */

struct uart {
    struct spinlock lock; /* taken before the I/O APIC's and the console's */
    struct vm *vm;
    struct console_channel *channel;
    uint8_t reg[REGS]; /* what was written to IER, LCR, MCR and SCR */
    uint8_t divisor[2];
    bool fifo;         /* enabled by the FCR */
    bool thre_pending; /* "transmitter empty" has not been read from the IIR */
    bool line;
    uint8_t rx[RX_QUEUE];
    unsigned rx_first, rx_count;
    char tx[FIFO];
    unsigned tx_count;
};

/* Bytes that have collected go to the console. Lock held. */
static void tx_flush(struct uart *u)
{
    if (u->tx_count != 0)
        console_write(u->channel, u->tx, u->tx_count);
    u->tx_count = 0;
}

/* What finds no room is lost. In loopback there is as much as in a 16550A. */
static void rx_put(struct uart *u, uint8_t c)
{
    if (u->rx_count < (u->reg[REG_MCR] & MCR_LOOP ? FIFO : RX_QUEUE))
        u->rx[(u->rx_first + u->rx_count++) % RX_QUEUE] = c;
}

static uint8_t rx_get(struct uart *u)
{
    uint8_t c;

    if (u->rx_count == 0)
        return 0;
    c = u->rx[u->rx_first];
    u->rx_first = (u->rx_first + 1) % RX_QUEUE;
    u->rx_count--;
    return c;
}

/* The interrupt that has the highest priority (table IV). Received bytes do not wait for a trigger level. */
static uint8_t iir(const struct uart *u)
{
    if ((u->reg[REG_IER] & IER_RDA) && u->rx_count != 0)
        return IIR_RDA;
    return (u->reg[REG_IER] & IER_THRE) && u->thre_pending ? IIR_THRE : IIR_NONE;
}

static void update_line(struct uart *u)
{
    bool line = iir(u) != IIR_NONE && (u->reg[REG_MCR] & MCR_OUT2) && !(u->reg[REG_MCR] & MCR_LOOP);

    if (line != u->line)
        ioapic_set_irq(u->vm, UART_IRQ, line);
    u->line = line;
}

static void write_data(struct uart *u, uint8_t val)
{
    u->thre_pending = true;
    if (u->reg[REG_MCR] & MCR_LOOP) {
        rx_put(u, val);
        return;
    }
    u->tx[u->tx_count++] = (char)val;
    if (u->tx_count == FIFO || val == '\n')
        tx_flush(u);
}

static void write_fcr(struct uart *u, uint8_t val)
{
    bool enable = val & FCR_ENABLE;

    if (enable != u->fifo || (enable && (val & FCR_CLEAR_RX)))
        u->rx_count = 0;
    u->fifo = enable;
}

static void reg_write(struct uart *u, unsigned reg, uint8_t val)
{
    static const uint8_t valid[REGS] = {
        [REG_IER] = 0x0f, [REG_LCR] = 0xff, [REG_MCR] = 0x1f, [REG_SCR] = 0xff};

    if (reg <= REG_IER && (u->reg[REG_LCR] & LCR_DLAB)) {
        u->divisor[reg] = val;
        return;
    }
    if (reg == REG_IER && (val & ~u->reg[REG_IER] & IER_THRE))
        u->thre_pending = true; /* enabling it while the transmitter is empty raises it again */
    if (reg == REG_DATA)
        write_data(u, val);
    else if (reg == REG_FCR)
        write_fcr(u, val);
    else
        u->reg[reg] = val & valid[reg];
}

/* The other end is always there. In loopback the modem outputs are the inputs. */
static uint8_t modem_status(const struct uart *u)
{
    if (!(u->reg[REG_MCR] & MCR_LOOP))
        return MSR_CTS | MSR_DSR | MSR_DCD;
    return (uint8_t)((u->reg[REG_MCR] & MCR_RTS ? MSR_CTS : 0) | (u->reg[REG_MCR] & MCR_DTR ? MSR_DSR : 0) |
                     (u->reg[REG_MCR] & MCR_OUT1 ? MSR_RI : 0) | (u->reg[REG_MCR] & MCR_OUT2 ? MSR_DCD : 0));
}

static uint8_t read_iir(struct uart *u)
{
    uint8_t id = iir(u);

    tx_flush(u);
    if (id == IIR_THRE)
        u->thre_pending = false;
    return id | (u->fifo ? IIR_FIFO : 0);
}

static uint8_t read_lsr(struct uart *u)
{
    tx_flush(u);
    return (uint8_t)(LSR_THRE | LSR_TEMT | (u->rx_count ? LSR_DR : 0));
}

static uint8_t reg_read(struct uart *u, unsigned reg)
{
    if (reg <= REG_IER && (u->reg[REG_LCR] & LCR_DLAB))
        return u->divisor[reg];
    switch (reg) {
    case REG_DATA:
        return rx_get(u);
    case REG_IIR:
        return read_iir(u);
    case REG_LSR:
        return read_lsr(u);
    case REG_MSR:
        return modem_status(u);
    default:
        return u->reg[reg];
    }
}

static void port_access(struct vcpu *v, void *dev, struct io_access *a)
{
    struct uart *u = dev;

    (void)v;
    if (a->size != 1)
        return;
    spin_lock(&u->lock);
    if (a->write)
        reg_write(u, (unsigned)a->addr, (uint8_t)a->data);
    else
        a->data = reg_read(u, (unsigned)a->addr);
    update_line(u);
    spin_unlock(&u->lock);
}

/* A key from the operator, on the CPU that polls the console. */
static void console_input(void *arg, char c)
{
    struct uart *u = arg;

    if (__atomic_load_n(&u->vm->state, __ATOMIC_RELAXED) != VM_RUNNING)
        return;
    spin_lock(&u->lock);
    if (!(u->reg[REG_MCR] & MCR_LOOP))
        rx_put(u, (uint8_t)c);
    update_line(u);
    spin_unlock(&u->lock);
}

int uart_create(struct vm *vm)
{
    struct uart *u = heap_alloc(sizeof(*u));
    int err;

    if (!u)
        return -ENOMEM;
    vm->uart = u;
    u->vm = vm;
    u->channel = console_open(vm->name, console_input, u);
    err = u->channel ? vm_io_register(vm, IO_PORT, UART_PORT, REGS, port_access, u) : -ENOMEM;
    if (err)
        uart_destroy(vm);
    return err;
}

void uart_destroy(struct vm *vm)
{
    struct uart *u = vm->uart;

    if (!u)
        return;
    vm_io_unregister(vm, IO_PORT, UART_PORT);
    if (u->channel) {
        tx_flush(u);
        console_close(u->channel);
    }
    heap_free(u, sizeof(*u));
    vm->uart = NULL;
}
