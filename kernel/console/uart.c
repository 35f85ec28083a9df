/* SPDX-License-Identifier: BSD-2-Clause */
#include "kernel/console/uart.h"
#include "kernel/cpu/x86.h"
#include "kernel/lib/wait.h"

#define COM1 0x3f8

#define UART_RBR       0 /* RO, DLAB = 0 */
#define UART_THR       0 /* WO, DLAB = 0 */
#define UART_DLL       0 /* DLAB = 1 */
#define UART_IER       1 /* DLAB = 0 */
#define UART_DLM       1 /* DLAB = 1 */
#define UART_FCR       2 /* WO */
#define FCR_ENABLE     BIT32(0)
#define FCR_CLEAR_RX   BIT32(1)
#define FCR_CLEAR_TX   BIT32(2)
#define UART_LCR       3
#define LCR_8N1        0x03
#define LCR_DLAB       BIT32(7)
#define UART_MCR       4
#define MCR_DTR        BIT32(0)
#define MCR_RTS        BIT32(1)
#define UART_LSR       5 /* RO */
#define LSR_DR         BIT32(0)
#define LSR_THRE       BIT32(5)
#define DIVISOR_115200 1
#define NO_DEVICE      0xff

/* 16 bytes take 1.4 ms at 115200. */
#define SEND_TIMEOUT (5 * NS_PER_MS)

static uint16_t uart_port = COM1; /* for a panic before uart_init() */
static bool uart_stuck;

static void set(unsigned reg, unsigned v)
{
    outb((uint16_t)(uart_port + reg), (uint8_t)v);
}

static bool status(unsigned bits)
{
    return inb((uint16_t)(uart_port + UART_LSR)) & bits;
}

void uart_init(uint16_t port)
{
    uart_port = port;
    set(UART_IER, 0);
    set(UART_LCR, LCR_DLAB | LCR_8N1);
    set(UART_DLL, DIVISOR_115200);
    set(UART_DLM, 0);
    set(UART_LCR, LCR_8N1);
    set(UART_FCR, FCR_ENABLE | FCR_CLEAR_RX | FCR_CLEAR_TX);
    set(UART_MCR, MCR_DTR | MCR_RTS);
}

bool uart_send(const char *s, size_t n, bool wait)
{
    bool empty = wait_until(status(LSR_THRE), wait && !uart_stuck ? SEND_TIMEOUT : 0);

    uart_stuck = (wait || uart_stuck) && !empty;
    if (!empty)
        return false;
    for (size_t i = 0; i < n && i < UART_FIFO; i++)
        set(UART_THR, (uint8_t)s[i]);
    return true;
}

int uart_receive(void)
{
    uint8_t lsr = inb((uint16_t)(uart_port + UART_LSR));

    return lsr != NO_DEVICE && lsr & LSR_DR ? inb((uint16_t)(uart_port + UART_RBR)) : -1;
}
