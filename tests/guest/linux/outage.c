/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How long something does not answer, for Linux test guests; static, as traffic.c.
 *
 *   outage ping HOST MS      ICMP echoes, one every MS milliseconds, answered or not, until SIGTERM
 *   outage mailbox NIC MS    requests to the driver of the physical function: joins and leaves a multicast group
 *
 * One line for each time longer than 10 ms between two answers, or for a request: `guest: outage ping HOST from A to B`, in ticks of the time
 * stamp counter, which is the board's. Then `guest: outage ping HOST sent N lost N repeated N`. Status 0.
 */
#include "tests/guest/linux/common.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <x86intrin.h>

#define LONG_S  0.010
#define LAST_S  15.0 /* what is under way at the end has so long to arrive */
#define NUMBERS 1000000

static volatile sig_atomic_t over;

static void on_term(int signal)
{
    (void)signal;
    over = 1;
}

/* The moment of the last answer, in both clocks. */
struct mark {
    double s;
    uint64_t tsc;
};

static struct mark mark(void)
{
    return (struct mark){now(), __rdtsc()};
}

static void report(const char *what, const char *whom, const struct mark *from, const struct mark *to)
{
    if (to->s - from->s > LONG_S)
        printf("guest: outage %s %s from %llu to %llu\n", what, whom, (unsigned long long)from->tsc,
               (unsigned long long)to->tsc);
}

struct echo {
    struct icmphdr h;
    uint32_t number;
    char data[44];
};

static void send_echo(int s, uint16_t id, uint32_t number)
{
    struct echo m = {.h = {.type = ICMP_ECHO, .un.echo = {.id = id, .sequence = htons((uint16_t)number)}},
                     .number = number};

    m.h.checksum = checksum(&m, sizeof(m));
    (void)!send(s, &m, sizeof(m), 0);
}

/* The number of an answer to one of ours, or -1 when none came within the time. */
static int64_t answer(int s, uint16_t id, double seconds)
{
    struct pollfd p = {.fd = s, .events = POLLIN};
    unsigned char buf[2048];
    const struct echo *m = (const void *)(buf + sizeof(struct iphdr));

    if (poll(&p, 1, seconds > 0 ? (int)(seconds * 1000) + 1 : 0) <= 0)
        return -1;
    if (read(s, buf, sizeof(buf)) < (ssize_t)(sizeof(struct iphdr) + sizeof(*m)) ||
        m->h.type != ICMP_ECHOREPLY || m->h.un.echo.id != id)
        return -1;
    return m->number;
}

static int icmp_socket(const char *host)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    int s = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP), size = 4 << 20;

    if (s < 0 || inet_pton(AF_INET, host, &a.sin_addr) != 1 || connect(s, (struct sockaddr *)&a, sizeof(a)))
        die(host);
    setsockopt(s, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
    return s;
}

static int ping(const char *host, double period)
{
    static uint8_t seen[NUMBERS];
    unsigned sent = 0, got = 0, repeated = 0;
    uint16_t id = (uint16_t)getpid();
    int s = icmp_socket(host);
    struct mark last = mark();
    double next = last.s, end = 0;

    while (!over || (got < sent && now() < end)) {
        double t = now();
        int64_t n;

        if (!over && t >= next && sent < NUMBERS) {
            send_echo(s, id, sent++);
            next += period;
        }
        if (!over)
            end = t + LAST_S;
        n = answer(s, id, (over ? end : next) - t);
        if (n < 0 || n >= sent)
            continue;
        repeated += seen[n];
        got += !seen[n];
        seen[n] = 1;
        if (!over) {
            struct mark this = mark();

            report("ping", host, &last, &this);
            last = this;
        }
    }
    printf("guest: outage ping %s sent %u lost %u repeated %u\n", host, sent, sent - got, repeated);
    return 0;
}

static int mailbox(const char *nic, double period)
{
    struct ifreq r = {.ifr_hwaddr = {.sa_family = AF_UNSPEC, .sa_data = {0x01, 0, 0x5e, 0x11, 0x22, 0x33}}};
    int s = socket(AF_INET, SOCK_DGRAM, 0);
    unsigned sent = 0, failed = 0;

    strncpy(r.ifr_name, nic, sizeof(r.ifr_name) - 1);
    while (!over) {
        struct mark from = mark(), to;

        failed += ioctl(s, sent++ % 2 ? SIOCDELMULTI : SIOCADDMULTI, &r) != 0;
        to = mark();
        report("mailbox", nic, &from, &to);
        usleep((unsigned)(period * 1e6));
    }
    if (sent % 2)
        (void)ioctl(s, SIOCDELMULTI, &r);
    printf("guest: outage mailbox %s sent %u lost %u repeated 0\n", nic, sent, failed);
    return 0;
}

int main(int argc, char **argv)
{
    double period = argc > 3 ? atof(argv[3]) / 1000 : 0.01;

    signal(SIGTERM, on_term);
    if (argc > 2 && strcmp(argv[1], "ping") == 0)
        return ping(argv[2], period);
    if (argc > 2 && strcmp(argv[1], "mailbox") == 0)
        return mailbox(argv[2], period);
    printf("usage: outage ping HOST MS | mailbox NIC MS\n");
    return 2;
}
