/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Output through the 16550 at COM1, polled: 16 bytes per look at the line status, for each port access may be a VM exit. A line would hold up what others wait
 * for, so it is kept, and sent while there is nothing else to do.
 */
#include "drivers/sys/sys.h"
#include "drivers/sys/x86.h"

enum {
    COM1 = 0x3f8,
    UART_THR = COM1,     /* DLAB 0 */
    UART_DLL = COM1,     /* DLAB 1 */
    UART_IER = COM1 + 1, /* DLAB 0 */
    UART_DLM = COM1 + 1, /* DLAB 1 */
    UART_FCR = COM1 + 2,
    UART_LCR = COM1 + 3,
    UART_MCR = COM1 + 4,
    UART_LSR = COM1 + 5,
};

#define FCR_ENABLE_CLEAR 0x07
#define LCR_8N1          0x03
#define LCR_DLAB         0x80
#define MCR_DTR_RTS      0x03
#define LSR_THRE         0x20
#define FIFO_SIZE        16
#define KEPT_MAX         4096
#define THRE_TRIES       100000 /* a port access takes about 1 us; 16 characters take 1.4 ms at 115200 baud */

static unsigned fifo_room;
static char kept[KEPT_MAX];
static unsigned first, last; /* run freely, taken modulo KEPT_MAX */

void console_init(void)
{
    outb(UART_IER, 0);
    outb(UART_LCR, LCR_DLAB);
    outb(UART_DLL, 1); /* 115200 baud */
    outb(UART_DLM, 0);
    outb(UART_LCR, LCR_8N1);
    outb(UART_FCR, FCR_ENABLE_CLEAR);
    outb(UART_MCR, MCR_DTR_RTS);
}

static void transmit(char c)
{
    /* A transmitter that never empties costs its characters, not the domain. */
    for (unsigned i = 0; fifo_room == 0 && i < THRE_TRIES; i++) {
        if (inb(UART_LSR) & LSR_THRE)
            fifo_room = FIFO_SIZE;
    }
    if (fifo_room == 0)
        return;
    fifo_room--;
    outb(UART_THR, (uint8_t)c);
}

bool console_send(void)
{
    for (unsigned i = 0; i < FIFO_SIZE && first != last; i++)
        transmit(kept[first++ % KEPT_MAX]);
    return first != last;
}

static void console_putc(char c)
{
    if (last - first == KEPT_MAX)
        (void)console_send();
    kept[last++ % KEPT_MAX] = c;
}

void console_write(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (s[i] == '\n')
            console_putc('\r');
        console_putc(s[i]);
    }
}
