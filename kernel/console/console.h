/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One UART for everybody: channel 0 is the hypervisor's, the others are guests'. While the hypervisor has the focus (no operator), guests' lines are printed
 * whole, `(name) text`; while a guest has it, its bytes go out as they are, its keys go in, and other guests' lines wait in their backlog, which is printed when they get the focus.
 * The hypervisor's log is always printed, at line starts. Ctrl-A three times moves the focus round the channels with a prompt that says whose console it is.
 */
#ifndef KERNEL_CONSOLE_CONSOLE_H
#define KERNEL_CONSOLE_CONSOLE_H

#include "kernel/lib/types.h"

struct console_channel; /* one talker */

/* Sets the UART at `port` to 115200 8n1 and prints from now on. Boot CPU, first thing. */
void console_init(uint16_t port);

/* Starts polling the UART for input from a timer of this CPU. After time and timers work. */
void console_start_input(void);

/*
 * A new channel. `input(arg, c)` gets one key from the operator, on the polling CPU with no lock held. `name` must outlive the channel. NULL without memory.
 */
MUST_USE struct console_channel *console_open(const char *name, void (*input)(void *arg, char c), void *arg);
void console_close(struct console_channel *ch);

/* Bytes from a guest. Any CPU; returns at once (a bounded buffer; when it is full the oldest bytes go, and a mark says so). */
void console_write(struct console_channel *ch, const char *s, size_t n);

/* The hypervisor's own line (with its newline); used by log_print() and panic(). force: break the lock, the machine is dying. */
void console_log(const char *s, size_t n, bool force);

#endif
