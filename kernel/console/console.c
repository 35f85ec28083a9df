/* SPDX-License-Identifier: BSD-2-Clause */
#include "kernel/console/console.h"
#include "kernel/console/uart.h"
#include "kernel/cpu/time.h"
#include "kernel/lib/bits.h"
#include "kernel/lib/spinlock.h"
#include "kernel/lib/string.h"
#include "kernel/mm/heap.h"

#define CHANNELS     64
#define RING_SIZE    8000 /* with the rest of a channel, two frames */
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
    const char *name;
    void (*input)(void *arg, char c);
    void *arg;
    bool open_line; /* what was printed last had no newline; guarded by console.lock */
    /* Of what follows. Held for a copy only, never while the UART is written: vCPUs wait for it. */
    struct spinlock lock;
    uint64_t last_write_ns;
    uint32_t lost;
    struct ring backlog;
};

static struct {
    struct spinlock lock; /* of all here; taken before a channel's */
    struct console_channel *channels[CHANNELS];
    struct console_channel *focus; /* NULL: the hypervisor */
    unsigned turn;                 /* the channel after the one that was printed last */
    bool mid_line;
    bool polling;
    struct ring tx; /* on its way to the UART */
    /* Of the polling CPU alone. */
    unsigned ctrl_a;                 /* Ctrl-A seen and not handed on yet */
    struct console_channel *calling; /* whose input() is running */
    struct timer poll;
} console;

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

static char ring_at(const struct ring *r, unsigned i)
{
    return r->bytes[(r->start + i) % RING_SIZE];
}

static bool send_some(bool wait)
{
    unsigned n = MIN(MIN(console.tx.len, RING_SIZE - console.tx.start), UART_FIFO);

    if (!n || !uart_send(console.tx.bytes + console.tx.start, n, wait))
        return false;
    ring_drop(&console.tx, n);
    return true;
}

static void put(char c)
{
    if (console.tx.len == RING_SIZE)
        (void)send_some(!console.polling); /* if nobody takes it, the oldest goes */
    ring_put(&console.tx, c);
    console.mid_line = c != '\n';
}

static void put_text(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (s[i] == '\n')
            put('\r');
        put(s[i]);
    }
}

static void put_line_start(void)
{
    if (console.mid_line)
        put_text("\n", 1);
}

static void put_line(const char *fmt, ...) PRINTF(1, 2);

static void put_line(const char *fmt, ...)
{
    char line[PIECE_MAX + 64];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    put_line_start();
    put_text(line, strlen(line));
    put_text("\n", 1);
}

/* The length of what can be printed as a line now, its newline included, or 0. Caller holds the channel's
 * lock. */
static unsigned ready_length(const struct console_channel *ch, bool flush)
{
    unsigned max = MIN(ch->backlog.len, PIECE_MAX);

    for (unsigned i = 0; i < max; i++)
        if (ring_at(&ch->backlog, i) == '\n')
            return i + 1;
    return max == PIECE_MAX || flush || time_ns() - ch->last_write_ns >= SILENCE_NS ? max : 0;
}

/* Takes a line that is ready, or whatever there is if `raw`, out of the backlog; says what was lost before.
 */
static unsigned take(struct console_channel *ch, char dst[PIECE_MAX], bool raw, bool flush)
{
    uint32_t lost = 0;
    unsigned n;

    spin_lock(&ch->lock);
    n = raw ? MIN(ch->backlog.len, PIECE_MAX) : ready_length(ch, flush);
    for (unsigned i = 0; i < n; i++)
        dst[i] = ring_at(&ch->backlog, i);
    ring_drop(&ch->backlog, n);
    if (n) {
        lost = ch->lost;
        ch->lost = 0;
    }
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

static bool print_focus(struct console_channel *ch)
{
    char bytes[PIECE_MAX];
    unsigned n = take(ch, bytes, true, false);

    for (unsigned i = 0; i < n; i++)
        put(bytes[i]);
    if (n)
        ch->open_line = bytes[n - 1] != '\n';
    return n != 0;
}

/* Puts the next line, or the focus's next bytes, into tx; false if there is nothing. */
static bool refill(bool flush)
{
    if (console.focus)
        return print_focus(console.focus);
    for (unsigned i = 0; i < CHANNELS; i++) {
        struct console_channel *ch = console.channels[console.turn];

        console.turn = (console.turn + 1) % CHANNELS;
        if (ch && print_line(ch, flush))
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

void console_init(uint16_t port)
{
    uart_init(port);
}

/* Before there is a timer that sends, and in a panic, all goes out at once. */
void console_log(const char *s, size_t n, bool force)
{
    unsigned pieces = force || !console.polling ? RING_SIZE : TURN_BYTES / UART_FIFO;

    if (!force)
        spin_lock(&console.lock);
    if (!force && console.focus && console.mid_line)
        (void)print_focus(console.focus); /* the end of its line, if it has been said */
    put_line_start();
    put_text(s, n);
    while (pieces-- && send_some(force || !console.polling))
        ;
    if (!force)
        spin_unlock(&console.lock);
}

void console_flush(void)
{
    spin_guard(&console.lock);
    while (send_turn(true))
        ;
}

struct console_channel *console_open(const char *name, void (*input)(void *arg, char c), void *arg)
{
    struct console_channel *ch = heap_alloc(sizeof(*ch));

    if (!ch)
        return NULL;
    ch->name = name;
    ch->input = input;
    ch->arg = arg;
    spin_guard(&console.lock);
    for (unsigned i = 0; i < CHANNELS; i++)
        if (!console.channels[i])
            return console.channels[i] = ch;
    heap_free(ch, sizeof(*ch));
    return NULL;
}

static void set_focus(struct console_channel *ch)
{
    console.focus = ch;
    put_line("*** %s: console (Ctrl-A three times switches) ***", ch ? ch->name : "hypervisor");
}

void console_close(struct console_channel *ch)
{
    spin_lock(&console.lock);
    if (console.focus == ch)
        set_focus(NULL);
    while (print_line(ch, true))
        ;
    for (unsigned i = 0; i < CHANNELS; i++)
        if (console.channels[i] == ch)
            console.channels[i] = NULL;
    spin_unlock(&console.lock);
    while (__atomic_load_n(&console.calling, __ATOMIC_ACQUIRE) == ch)
        __builtin_ia32_pause();
    heap_free(ch, sizeof(*ch));
}

void console_write(struct console_channel *ch, const char *s, size_t n)
{
    spin_guard(&ch->lock);
    for (size_t i = 0; i < n; i++)
        ch->lost += !ring_put(&ch->backlog, s[i]);
    ch->last_write_ns = time_ns();
}

/* The channel after the one that has the focus; the hypervisor comes first and after the last. */
static void focus_next(void)
{
    unsigned i = 0;

    spin_guard(&console.lock);
    while (console.focus && console.channels[i] != console.focus)
        i++;
    i += console.focus != NULL;
    while (i < CHANNELS && !console.channels[i])
        i++;
    set_focus(i < CHANNELS ? console.channels[i] : NULL);
}

static void deliver(char c)
{
    struct console_channel *ch;

    spin_lock(&console.lock);
    ch = console.focus;
    __atomic_store_n(&console.calling, ch, __ATOMIC_RELAXED);
    spin_unlock(&console.lock);
    if (ch)
        ch->input(ch->arg, c);
    __atomic_store_n(&console.calling, NULL, __ATOMIC_RELEASE);
}

/* A guest gets the Ctrl-As that did not become three, together with the key that came instead. */
static void key(char c)
{
    if (c == CTRL_A && ++console.ctrl_a < 3)
        return;
    if (c == CTRL_A) {
        console.ctrl_a = 0;
        focus_next();
        return;
    }
    for (; console.ctrl_a; console.ctrl_a--)
        deliver(CTRL_A);
    deliver(c);
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
