/* SPDX-License-Identifier: BSD-2-Clause */
/* The console tests' 16550: what is sent goes to uart_out, what a test types comes back; a stuck one takes
 * nothing. */

static char uart_out[1 << 18];
static size_t uart_len, uart_burst;
static const char *uart_keys = "";
static bool uart_is_stuck;
static unsigned long uart_polls;

static uint32_t uart_in(uint16_t port, unsigned size)
{
    CHECK_EQ(size, 1);
    if (port == 0x3f8 + 5) {
        uart_polls++;
        uart_burst = 0;
        return (uart_is_stuck ? 0 : 0x20) | (*uart_keys != 0);
    }
    CHECK_EQ(port, 0x3f8);
    return (uint8_t)*uart_keys++;
}

static void uart_write(uint16_t port, unsigned size, uint32_t v)
{
    static bool dlab;

    CHECK_EQ(size, 1);
    if (port == 0x3f8 + 3)
        dlab = v & 0x80;
    if (port != 0x3f8 || dlab)
        return;
    CHECK(!uart_is_stuck && ++uart_burst <= 16); /* the FIFO holds no more */
    uart_out[uart_len++] = (char)v;
    uart_out[uart_len] = 0;
}

static void uart_start(void)
{
    fake_in = uart_in;
    fake_out = uart_write;
    uart_len = 0;
    uart_out[0] = 0;
    uart_keys = "";
    uart_is_stuck = false;
}
