/* SPDX-License-Identifier: BSD-2-Clause */
/* The console's UART, a 16550A. Register names of the National Semiconductor PC16550D data sheet. */
#pragma once

#include <stdint.h>

/* 115200 8n1, FIFOs on, interrupts off. With the firmware gone. */
void serial_set_up(uint16_t port);
