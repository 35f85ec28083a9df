/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rings in chosen states while their VF is moved. `self=` and `peer=` are the last bytes of the addresses 02:00:00:00:00:xx. With `source=1` it sends numbered
 * frames when the other one tells it to, and counts the other one's. The other one takes two keys, for its rings, gets them into that state, and says so:
 * receive `e` empty, `b` busy (taken out while frames come), `f` full; transmit `0` nothing unsent, `5` five frames, `f` all descriptors. After a third key
 * it says what came of them.
 */
#include "tests/guest/lib/vf.h"

#define LSR     0x3fd
#define COM     0x3f8
#define TX_REST (3ull << 20 | 1u << 29 | 1u << 24 | 1u << 25 | 1u << 27) /* data, extended, EOP, IFCS, RS */
#define PAYLEN  46
#define SETTLES 30 /* ticks */

enum kind { DATA = 1, BEGIN, CEASE, ASK, COUNTS };

struct message {
    uint8_t header[14];
    uint8_t pad[2];
    uint64_t kind, session, number, lost, doubled;
};

/* Numbered frames of one session. */
struct stream {
    uint64_t session, next, got, lost, doubled;
};

static uint8_t buffers[VF_RING][VF_BUFFER] __attribute__((aligned(4096)));
static struct message out, frames[VF_RING];
static struct stream in;
static struct vf vf;

static char key(void)
{
    return inb(LSR) & 1 ? (char)inb(COM) : 0;
}

static char wait_for_key(void)
{
    char c;

    while (!(c = key()))
        idle();
    return c;
}

static void send(enum kind kind)
{
    out.kind = kind;
    vf_send(&vf, out.header, (uint64_t)&out.pad, sizeof(out) - sizeof(out.header));
}

static const struct message *take(void)
{
    const struct message *m = (const void *)vf_take(&vf);

    return m && memory_equal(m->header + 6, out.header, 6) && memory_equal(m->header, out.header + 6, 6)
               ? m
               : NULL;
}

static void count(const struct message *m)
{
    if (m->session != in.session)
        in = (struct stream){.session = m->session};
    in.got++;
    if (m->number >= in.next)
        in.lost += m->number - in.next;
    else
        in.doubled++; /* or late: neither may be */
    in.next = m->number >= in.next ? m->number + 1 : in.next;
}

/* --- the source --- */

static void source(void)
{
    bool on = false;
    uint64_t number = 0;

    for (;;) {
        const struct message *m = take();

        if (!m) {
            idle();
            if (on) {
                out.number = number++;
                send(DATA);
            }
            continue;
        }
        if (m->kind == DATA)
            count(m);
        on = m->kind == BEGIN || (on && m->kind != CEASE);
        if (m->kind == BEGIN) {
            out.session = m->session;
            number = 0;
        } else if (m->kind == ASK) {
            out.number = in.got;
            out.lost = in.lost;
            out.doubled = in.doubled;
            in = (struct stream){0};
            send(COUNTS);
        }
    }
}

/* --- the one that is moved --- */

static void take_all(unsigned ticks)
{
    for (unsigned i = 0; i <= ticks; i++) {
        const struct message *m;

        while ((m = take()))
            if (m->kind == DATA)
                count(m);
        if (i < ticks)
            idle();
    }
}

static bool is_full(void)
{
    return ((volatile struct vf_desc *)vf.rx_ring)[(vf.rx + VF_RING - 2) % VF_RING].rest & 1;
}

static void begin(void)
{
    out.session++;
    in = (struct stream){.session = out.session};
    send(BEGIN);
}

/* A queue that is off does not look at its tail, and when it is on again not before the next write. */
static void queue_up(unsigned n)
{
    static uint64_t number;

    vf_write(&vf, VF_TXDCTL, 0);
    number = 0;
    for (unsigned i = 0; i < n; i++) {
        struct message *m = &frames[vf.tx];

        *m = out;
        m->kind = DATA;
        m->session = out.session;
        m->number = number++;
        vf.tx_ring[vf.tx] =
            (struct vf_desc){(uint64_t)m, (uint64_t)sizeof(*m) << PAYLEN | TX_REST | sizeof(*m)};
        vf.tx = (vf.tx + 1) % VF_RING;
    }
    vf_write(&vf, VF_TDT, vf.tx);
    vf_write(&vf, VF_TXDCTL, DCTL_ENABLE);
    while (!(vf_read(&vf, VF_TXDCTL) & DCTL_ENABLE))
        ;
}

static unsigned unsent(void)
{
    return (vf_read(&vf, VF_TDT) + VF_RING - vf_read(&vf, VF_TDH)) % VF_RING;
}

static struct message ask(void)
{
    const struct message *m = NULL;

    send(ASK);
    for (unsigned i = 0; i < 10 * SETTLES && !(m && m->kind == COUNTS); i++) {
        m = take();
        if (!m)
            idle();
    }
    return m && m->kind == COUNTS ? *m : (struct message){0};
}

static void one(char rx, char tx)
{
    struct message counts;
    unsigned n = tx == 'f' ? VF_RING - 1 : tx == '5' ? 5 : 0;

    take_all(0);
    (void)ask(); /* from here on it counts anew, and so do we */
    in = (struct stream){.session = out.session};
    if (rx != 'e')
        begin();
    while (rx == 'f' && !is_full())
        idle();
    if (rx == 'f')
        send(CEASE);
    queue_up(n);
    print("rings: ready %c%c unsent %u\n", rx, tx, unsent());
    while (!key()) {
        if (rx == 'b')
            take_all(0);
        idle();
    }
    for (unsigned i = 0; i < 10 * SETTLES && unsent(); i++)
        idle();
    if (rx == 'b')
        send(CEASE);
    take_all(SETTLES);
    print("rings: received %lu lost %lu doubled %lu", in.got, in.lost, in.doubled);
    counts = ask();
    print(" arrived %lu lost %lu doubled %lu of %u", counts.number, counts.lost, counts.doubled, n);
    begin();
    take_all(SETTLES);
    send(CEASE);
    take_all(SETTLES);
    print(" then %lu lost %lu doubled %lu\n", in.got, in.lost, in.doubled);
}

static void address(uint8_t mac[6], uint64_t last)
{
    memcpy(mac, "\x02\0\0\0\0", 5);
    mac[5] = (uint8_t)last;
}

int main(const char *cmdline)
{
    if (!ticks_on() || !vf_find(&vf) || !vf_reset(&vf) || !vf_wait_link(&vf)) {
        print("rings: no VF\n");
        return 1;
    }
    address(out.header, option(cmdline, "peer", 0));
    address(out.header + 6, option(cmdline, "self", 0));
    out.header[12] = 0x88;
    out.header[13] = 0xb5; /* IEEE 802 local experimental */
    vf_start(&vf);
    vf_give_all(&vf, buffers);
    print("rings: starts\n");
    if (option(cmdline, "source", 0))
        source();
    for (;;) {
        char rx = wait_for_key(), tx = wait_for_key();

        one(rx, tx);
    }
}
