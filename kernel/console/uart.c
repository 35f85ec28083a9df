/* SPDX-License-Identifier: BSD-2-Clause */
#include "kernel/console/uart.h"
#include "kernel/cpu/x86.h"
#include "kernel/lib/wait.h"

#define COM1 0x3f8

#define UART_RBR  0 /* RO */
#define UART_THR  0 /* WO */
#define UART_LSR  5 /* RO */
#define LSR_DR    BIT32(0)
#define LSR_THRE  BIT32(5)
#define NO_DEVICE 0xff

/* 16 bytes take 1.4 ms at 115200. */
#define SEND_TIMEOUT (5 * NS_PER_MS)

static uint16_t uart_port = COM1; /* for a panic before uart_init() */
static bool uart_stuck;

static bool status(unsigned bits)
{
    return inb((uint16_t)(uart_port + UART_LSR)) & bits;
}

void uart_init(uint16_t port)
{
    uart_port = port;
}

bool uart_send(const char *s, size_t n, bool wait)
{
    bool empty = wait_until(status(LSR_THRE), wait && !uart_stuck ? SEND_TIMEOUT : 0);

    uart_stuck = (wait || uart_stuck) && !empty;
    if (!empty)
        return false;
    for (size_t i = 0; i < n && i < UART_FIFO; i++)
        outb((uint16_t)(uart_port + UART_THR), (uint8_t)s[i]);
    return true;
}

int uart_receive(void)
{
    uint8_t lsr = inb((uint16_t)(uart_port + UART_LSR));

    return lsr != NO_DEVICE && lsr & LSR_DR ? inb((uint16_t)(uart_port + UART_RBR)) : -1;
}
