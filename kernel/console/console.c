/* SPDX-License-Identifier: BSD-2-Clause */
#include "kernel/console/console.h"
#include "boot/bootinfo.h"
#include "kernel/console/uart.h"
#include "kernel/cpu/time.h"
#include "kernel/lib/spinlock.h"
#include "kernel/lib/string.h"

#define CHANNELS     (BOOT_GUESTS_MAX + 3) /* hypervisor, command line, I/O domain */
#define RING_SIZE    8000
#define LINE_MAX     400
#define PIECE_MAX    200
#define SILENCE_NS   (200 * NS_PER_MS)
#define TURN_BYTES   256 /* that one turn sends: about 300 us of port writes */
#define POLL_NS      (10 * NS_PER_MS)
#define POLL_BUSY_NS NS_PER_MS
#define CTRL_A       1
#define ESCAPE       0x1b

struct ring {
    unsigned start, len;
    char bytes[RING_SIZE];
};

struct console_channel {
    const char *name; /* NULL: free */
    void (*input)(void *arg, char c);
    void *arg;
    bool open_line; /* what was printed last had no newline */
    /* Of what follows. Held for a copy only, never while the UART is written: vCPUs wait for it. */
    struct spinlock lock;
    uint64_t last_write_ns;
    uint32_t lost;
    struct ring backlog;
};

/* The first is the hypervisor's, whose log does not wait in a backlog. */
static struct console_channel channels[CHANNELS] = {{.name = "hypervisor"}};

static struct {
    struct spinlock lock; /* of all here, and of a channel but for its backlog; taken before a channel's */
    struct console_channel *focus;
    unsigned turn; /* the channel after the one that was printed last */
    bool mid_line;
    bool polling;   /* there is a timer that sends what waits */
    bool dying;     /* nobody lets go of the lock any more */
    struct ring tx; /* on its way to the UART */
    /* Of the polling CPU alone. */
    unsigned ctrl_a; /* Ctrl-A seen and not handed on yet */
    struct timer poll;
} console = {.focus = channels};

/* False if the oldest byte had to go for this one. */
static bool ring_put(struct ring *r, char c)
{
    bool full = r->len == RING_SIZE;

    r->bytes[(r->start + r->len) % RING_SIZE] = c;
    r->start = (r->start + full) % RING_SIZE;
    r->len += !full;
    return !full;
}

static void ring_drop(struct ring *r, unsigned n)
{
    r->start = (r->start + n) % RING_SIZE;
    r->len -= n;
}

static bool send_some(bool wait)
{
    unsigned n = MIN(MIN(console.tx.len, RING_SIZE - console.tx.start), UART_FIFO);

    if (!n || !uart_send(console.tx.bytes + console.tx.start, n, wait))
        return false;
    ring_drop(&console.tx, n);
    return true;
}

static void put(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (console.tx.len == RING_SIZE)
            (void)send_some(!console.polling); /* if nobody takes it, the oldest goes */
        ring_put(&console.tx, s[i]);
        console.mid_line = s[i] != '\n';
    }
}

static void put_line(const char *fmt, ...) PRINTF(1, 2);

static void put_line(const char *fmt, ...)
{
    char line[LINE_MAX];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    if (console.mid_line)
        put("\r\n", 2);
    put(line, strlen(line));
    put("\r\n", 2);
}

/*
 * Takes bytes out of the backlog, if `raw` whatever there is, else what can be printed as a line now: up to a
 * newline, a long piece of a line, or what has been left unended (if `flush`, just now). Says first what was lost.
 */
static unsigned take(struct console_channel *ch, char dst[PIECE_MAX], bool raw, bool flush)
{
    const struct ring *r = &ch->backlog;
    bool ended = false;
    unsigned n = 0;
    uint32_t lost;

    spin_lock(&ch->lock);
    for (; n < MIN(r->len, PIECE_MAX) && !ended; n++) {
        dst[n] = r->bytes[(r->start + n) % RING_SIZE];
        ended = !raw && dst[n] == '\n';
    }
    if (!ended && !raw && !flush && n < PIECE_MAX && time_ns() - ch->last_write_ns < SILENCE_NS)
        n = 0;
    ring_drop(&ch->backlog, n);
    lost = n ? ch->lost : 0;
    ch->lost -= lost;
    spin_unlock(&ch->lock);
    if (lost)
        put_line("*** %s: %u bytes lost ***", ch->name, lost);
    return n;
}

/*
 * Drops what could move the cursor and so forge other lines: escape sequences (ECMA-48 5.4) and carriage
 * returns; other control characters, and bytes above ASCII, become dots. Returns the new length.
 */
static unsigned make_printable(char *s, unsigned n)
{
    unsigned out = 0;

    for (unsigned i = 0; i < n; i++) {
        if (s[i] == ESCAPE && i + 1 < n && s[i + 1] == '[') {
            for (i += 2; i < n && (s[i] < '@' || s[i] > '~');)
                i++;
        } else if (s[i] == '\t') {
            s[out++] = ' ';
        } else if (s[i] != '\r' && s[i] != '\n') {
            s[out++] = s[i] < ' ' || s[i] > '~' ? '.' : s[i];
        }
    }
    return out;
}

/* Prints one line, or piece, of a guest that has no focus; false if none is ready. */
static bool print_line(struct console_channel *ch, bool flush)
{
    char text[PIECE_MAX];
    bool was_open = ch->open_line;
    unsigned n = take(ch, text, false, flush);

    if (!n)
        return false;
    ch->open_line = text[n - 1] != '\n';
    n = make_printable(text, n);
    if (n || !was_open) /* a newline alone ends the piece that went before */
        put_line("(%s) %.*s", ch->name, (int)n, text);
    return true;
}

static bool print_focus(void)
{
    char bytes[PIECE_MAX];
    unsigned n = take(console.focus, bytes, true, false);

    put(bytes, n);
    if (n)
        console.focus->open_line = console.mid_line;
    return n != 0;
}

/* Puts the next line, or the focus's next bytes, into tx; false if there is nothing. */
static bool refill(bool flush)
{
    if (console.focus != channels)
        return print_focus();
    for (unsigned i = 0; i < CHANNELS; i++) {
        struct console_channel *ch = &channels[console.turn];

        console.turn = (console.turn + 1) % CHANNELS;
        if (ch->name && print_line(ch, flush))
            return true;
    }
    return false;
}

/*
 * Sends about TURN_BYTES; true if there is more. Only a flush waits for the UART, and gives up on one that is
 * stuck: a turn of the poll must not hold its CPU for as long as a slow line takes. Caller holds the lock.
 */
static bool send_turn(bool flush)
{
    for (unsigned sent = 0; sent < TURN_BYTES; sent += UART_FIFO) {
        if (!console.tx.len && !refill(flush))
            return false;
        if (!send_some(flush) && console.tx.len)
            return !flush;
    }
    return true;
}

/* Before there is a timer that sends, and in a panic, all goes out at once. */
void console_log(const char *line)
{
    unsigned pieces = console.polling ? TURN_BYTES / UART_FIFO : RING_SIZE;

    if (!console.dying)
        spin_lock(&console.lock);
    if (console.mid_line && !console.dying)
        (void)print_focus(); /* the end of its line, if it has been said */
    put_line("%s", line);
    while (pieces-- && send_some(!console.polling))
        ;
    if (!console.dying)
        spin_unlock(&console.lock);
}

void console_panic(void)
{
    console.dying = true;
    console.polling = false;
}

void console_flush(void)
{
    spin_guard(&console.lock);
    while (send_turn(true))
        ;
}

struct console_channel *console_open(const char *name, void (*input)(void *arg, char c), void *arg)
{
    spin_guard(&console.lock);
    for (struct console_channel *ch = channels; ch < channels + CHANNELS; ch++) {
        if (!ch->name) {
            *ch = (struct console_channel){.name = name, .input = input, .arg = arg};
            return ch;
        }
    }
    return NULL;
}

static void set_focus(struct console_channel *ch)
{
    console.focus = ch;
    put_line("*** %s: console (Ctrl-A three times switches) ***", ch->name);
}

void console_write(struct console_channel *ch, const char *s, size_t n)
{
    spin_guard(&ch->lock);
    for (size_t i = 0; i < n; i++)
        ch->lost += !ring_put(&ch->backlog, s[i]);
    ch->last_write_ns = time_ns();
}

static void focus_next(void)
{
    struct console_channel *ch = console.focus;

    spin_guard(&console.lock);
    do
        ch = ch + 1 < channels + CHANNELS ? ch + 1 : channels;
    while (!ch->name);
    set_focus(ch);
}

/* The focus changes on this CPU only. */
static void deliver(char c)
{
    const struct console_channel *ch = console.focus;

    if (ch->input)
        ch->input(ch->arg, c);
}

/* A guest gets the Ctrl-As that did not become three, together with the key that came instead. */
static void key(char c)
{
    if (c != CTRL_A) {
        for (; console.ctrl_a; console.ctrl_a--)
            deliver(CTRL_A);
        deliver(c);
    } else if (++console.ctrl_a == 3) {
        console.ctrl_a = 0;
        focus_next();
    }
}

static void poll(struct timer *t)
{
    char keys[UART_FIFO];
    unsigned n = 0;
    bool busy;
    int c;

    spin_lock(&console.lock);
    while (n < sizeof(keys) && (c = uart_receive()) >= 0)
        keys[n++] = (char)c;
    busy = send_turn(false);
    spin_unlock(&console.lock);
    for (unsigned i = 0; i < n; i++)
        key(keys[i]);
    timer_arm(t, time_ns() + (busy || n ? POLL_BUSY_NS : POLL_NS));
}

void console_start_input(void)
{
    console.polling = true;
    timer_init(&console.poll, poll);
    timer_arm(&console.poll, time_ns() + POLL_NS);
}
