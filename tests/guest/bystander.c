/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Does anybody notice what others do? Two of these send frames to each other through their VFs for ever: `self=` and `peer=` are the last
 * bytes of their addresses 02:00:00:00:00:xx; with `ping=1` it asks and counts the answers, otherwise it answers. Memory that it does not
 * use holds a pattern, which is looked at before each report. `also=`: after each report the asking one sends a frame to that address, too,
 * whether anybody is there or not. `mailbox=0`: the PF's driver answers no mailbox.
 */
#include "tests/guest/lib/vf.h"

#define RESET_TRIES  20
#define PATTERN      ((volatile uint64_t *)0x800000) /* 8 to 14 MiB of the guest's 16 */
#define PATTERN_SIZE (6u << 20)
#define PATTERN_STEP 0x9e3779b97f4a7c15ull
#define ANSWER_MS    60000 /* later is lost; an emulator stands still while its memory is written out */
#define HELLO_MS     200
#define REPORT_MS    1000

struct ping {
    uint8_t header[14];
    uint8_t pad[2];
    uint64_t kind, number;
};

static uint8_t buffers[VF_RING][VF_BUFFER] __attribute__((aligned(4096)));
static struct ping out;
static uint64_t sent, lost;

static void pattern_write(void)
{
    for (uint64_t i = 0; i < PATTERN_SIZE / 8; i++)
        PATTERN[i] = i * PATTERN_STEP;
}

static uint64_t pattern_changed(void)
{
    uint64_t changed = 0;

    for (uint64_t i = 0; i < PATTERN_SIZE / 8; i++)
        changed += PATTERN[i] != i * PATTERN_STEP;
    return changed;
}

/* vf_send() takes the header and the rest apart; `pad` goes with the rest. */
static void send(struct vf *vf)
{
    vf_send(vf, out.header, (uint64_t)&out.pad, sizeof(out) - sizeof(out.header));
}

/* A frame of the other one, if it has come. */
static const struct ping *take(struct vf *vf)
{
    const struct ping *in = (const void *)vf_take(vf);

    return in && memory_equal(in->header + 6, out.header, 6) ? in : NULL;
}

static void address(uint8_t mac[6], uint64_t last)
{
    memcpy(mac, "\x02\0\0\0\0", 5);
    mac[5] = (uint8_t)last;
}

static void report(struct vf *vf, uint64_t peer, uint64_t also)
{
    static uint64_t last;

    if (time_ms() - last < REPORT_MS)
        return;
    last = time_ms();
    print("bystander: %lu pings, %lu lost, %lu words of memory changed\n", sent, lost, pattern_changed());
    if (!also)
        return;
    address(out.header, also);
    send(vf);
    address(out.header, peer);
}

/* True if the answer came. */
static bool ask(struct vf *vf, uint64_t number, uint64_t limit)
{
    uint64_t start = time_ms();
    const struct ping *in = NULL;

    out.kind = 1;
    out.number = number;
    send(vf);
    while (!(in && in->kind == 2 && in->number == number) && time_ms() - start < limit) {
        in = take(vf);
        if (!in)
            idle();
    }
    return in && in->kind == 2 && in->number == number;
}

/* Counts from the first answer on: the other one may have come up later. */
static void ask_for_ever(struct vf *vf, uint64_t peer, uint64_t also)
{
    while (!ask(vf, 0, HELLO_MS))
        ;
    for (;;) {
        lost += !ask(vf, ++sent, ANSWER_MS);
        report(vf, peer, also);
    }
}

static void answer(struct vf *vf)
{
    const struct ping *in = take(vf);

    if (!in) {
        idle();
        return;
    }
    if (in->kind != 1)
        return;
    out.kind = 2;
    out.number = in->number;
    send(vf);
}

/* On a busy host the PF's driver may answer too late for one try. */
static bool reset_vf(struct vf *vf)
{
    for (unsigned i = 0; i < RESET_TRIES; i++)
        if (vf_reset(vf))
            return true;
    return false;
}

/* The PF's driver may be a hostile one that sets the VFs up and answers nobody. */
static bool start(struct vf *vf, const char *cmdline)
{
    if (!vf_find(vf) || (option(cmdline, "mailbox", 1) && !reset_vf(vf)) || !vf_wait_link(vf))
        return false;
    address(out.header, option(cmdline, "peer", 0));
    address(out.header + 6, option(cmdline, "self", 0));
    out.header[12] = 0x88;
    out.header[13] = 0xb5; /* IEEE 802 local experimental */
    vf_start(vf);
    vf_give_all(vf, buffers);
    return true;
}

int main(const char *cmdline)
{
    struct vf vf;
    bool asks = option(cmdline, "ping", 0);

    if (!ticks_on() || !start(&vf, cmdline)) {
        print("bystander: no VF\n");
        return 1;
    }
    pattern_write();
    print("bystander: starts\n");
    if (asks)
        ask_for_ever(&vf, option(cmdline, "peer", 0), option(cmdline, "also", 0));
    for (;;)
        answer(&vf);
}
