/* SPDX-License-Identifier: BSD-2-Clause */
/* A 16550A at an I/O port, polled. Register names of the National Semiconductor PC16550D data sheet. */
#pragma once

#include "kernel/lib/types.h"

#define UART_FIFO 16

/* boot/ has set it up: 115200 8n1, FIFOs on, interrupts off. */
void uart_init(uint16_t port);

/*
 * Sends up to UART_FIFO bytes if the FIFO is empty; `wait`: or becomes so within a bounded time (none if it
 * did not the last time). False: nothing was sent.
 */
MUST_USE bool uart_send(const char *s, size_t n, bool wait);

/* One received byte, or -1. */
int uart_receive(void);
