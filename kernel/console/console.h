/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One UART for everybody: the hypervisor's log and the guests' channels. While the hypervisor has the focus
 * (no operator), guests' lines are printed whole, `(name) text`, without control characters; a line of more
 * than 200 characters comes in pieces, one that stays unended for 200 ms comes as it is. While a guest has
 * the focus, its bytes go out as they are, its keys go in, and other guests' lines wait in their backlog,
 * which is printed when they, or the hypervisor, get the focus. The hypervisor's log is always printed, at
 * line starts. Ctrl-A three times moves the focus round the channels with a prompt that says whose console it
 * is.
 *
 * Guests' bytes only go to a buffer of their channel; a timer takes them to the UART, some at a time.
 */
#pragma once

#include "kernel/lib/types.h"

struct console_channel; /* one guest's */

/* Starts the timer, on this CPU, that polls the UART for keys and sends what waits. After time and timers
 * work. */
void console_start_input(void);

/*
 * A new channel, for good. `input(arg, c)` gets one key from the operator, on the polling CPU with no lock held. `name`
 * must outlive the channel. NULL if there are as many as guests can be, and two.
 */
MUST_USE struct console_channel *console_open(const char *name, void (*input)(void *arg, char c), void *arg);

/*
 * Bytes from a guest. Any CPU; returns at once (a bounded buffer; when it is full the oldest bytes go, and a
 * mark says so).
 */
void console_write(struct console_channel *ch, const char *s, size_t n);

/* The hypervisor's own line, without its newline; used by log_print(). After uart_init(). */
void console_log(const char *line);

/* The machine is dying: from now on console_log() takes no lock and waits until all is sent. */
void console_panic(void);

/* Sends everything that waits, before power-off or reset; bounded by what the UART takes. */
void console_flush(void);
