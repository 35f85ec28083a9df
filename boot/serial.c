/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/serial.h"
#include "kernel/cpu/x86.h"
#include "kernel/lib/types.h"

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
#define DIVISOR_115200 1

void serial_set_up(uint16_t port)
{
    static const struct {
        uint8_t reg, value;
    } writes[] = {
        {UART_IER, 0},
        {UART_LCR, LCR_DLAB | LCR_8N1},
        {UART_DLL, DIVISOR_115200},
        {UART_DLM, 0},
        {UART_LCR, LCR_8N1},
        {UART_FCR, FCR_ENABLE | FCR_CLEAR_RX | FCR_CLEAR_TX},
        {UART_MCR, MCR_DTR | MCR_RTS},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(writes); i++)
        outb((uint16_t)(port + writes[i].reg), writes[i].value);
}
