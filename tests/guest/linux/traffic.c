/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Network traffic with known content, for Linux test guests; static, so that it runs from an initrd.
 *
 *   traffic serve                     answers the others, TCP and UDP port 7000, until killed
 *   traffic ping HOST COUNT [MS]      ICMP echo, one in flight, MS between two (default 10; 0: back to back)
 *   traffic get|put HOST MEGABYTES    one TCP transfer; the receiver checks every byte
 *   traffic rtt HOST COUNT            UDP echo of 64 bytes, one after the other
 *   traffic number HOST COUNT RATE [SIZE]   numbered UDP echoes, RATE a second whatever comes back: lost, doubled, out of order
 *   traffic cast GROUP COUNT RATE FROM      the same to a group, by way of the interface that has the address FROM, without echoes
 *   traffic listen GROUP COUNT AT           is in the group at the interface with that address until all have come, or a while nothing has
 *   traffic udp HOST SECONDS SIZE     as many datagrams as go out; the server counts what comes in
 *   traffic cpu SECONDS               turns of a loop in each second of the wall clock
 *
 * Each prints one line `guest: WHAT HOST ...`; status 0 if nothing was lost or wrong (udp: if the server
 * answered).
 */
#define _GNU_SOURCE
#include "tests/guest/linux/common.h"

#include <arpa/inet.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PORT       7000
#define GROUP_PORT 7001
#define MAGIC      0x4c4d5452u
#define CHUNK      65536
#define STALL_S    30 /* a transfer that stands still for so long has failed */
#define LOST_S     10 /* an echo that has not come back by then is lost: on a busy host a late one is not */

enum op { OP_SEND = 1, OP_RECEIVE, OP_ECHO, OP_COUNT, OP_RESULT };

struct request {
    uint32_t magic, op;
    uint64_t bytes;
};

struct result {
    uint64_t bytes, sum, wrong; /* sum: over the 64-bit words; wrong: words that differ from the sequence */
};

/* The sequence both ends know: word i of a transfer, by splitmix's finaliser. */
static uint64_t word_at(uint64_t i)
{
    uint64_t z = (i + 1) * 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static struct sockaddr_in address(const char *host, uint16_t port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};

    if (inet_pton(AF_INET, host, &a.sin_addr) != 1) {
        errno = EINVAL;
        die(host);
    }
    return a;
}

static void set_timeout(int fd, int seconds)
{
    struct timeval t = {.tv_sec = seconds};

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t));
}

static bool read_all(int fd, void *buf, size_t n)
{
    for (size_t got = 0; got < n;) {
        ssize_t r = read(fd, (char *)buf + got, n - got);
        if (r <= 0)
            return false;
        got += (size_t)r;
    }
    return true;
}

static bool write_all(int fd, const void *buf, size_t n)
{
    for (size_t put = 0; put < n;) {
        ssize_t r = write(fd, (const char *)buf + put, n - put);
        if (r <= 0)
            return false;
        put += (size_t)r;
    }
    return true;
}

static struct result send_stream(int fd, uint64_t bytes)
{
    static uint64_t buf[CHUNK / 8];
    struct result res = {0, 0, 0};

    while (res.bytes < bytes) {
        size_t n = bytes - res.bytes < CHUNK ? (size_t)(bytes - res.bytes) : CHUNK;
        for (size_t i = 0; i < n / 8; i++) {
            buf[i] = word_at(res.bytes / 8 + i);
            res.sum += buf[i] ^ (res.bytes / 8 + i);
        }
        if (!write_all(fd, buf, n))
            break;
        res.bytes += n;
    }
    return res;
}

static struct result receive_stream(int fd, uint64_t bytes)
{
    static uint64_t buf[CHUNK / 8];
    struct result res = {0, 0, 0};

    while (res.bytes < bytes) {
        size_t n = bytes - res.bytes < CHUNK ? (size_t)(bytes - res.bytes) : CHUNK;
        if (!read_all(fd, buf, n))
            break;
        for (size_t i = 0; i < n / 8; i++) {
            res.sum += buf[i] ^ (res.bytes / 8 + i);
            res.wrong += buf[i] != word_at(res.bytes / 8 + i);
        }
        res.bytes += n;
    }
    return res;
}

static void serve_connection(int fd)
{
    struct request req;
    struct result res;

    set_timeout(fd, STALL_S);
    if (!read_all(fd, &req, sizeof(req)) || req.magic != MAGIC)
        return;
    res = req.op == OP_SEND ? send_stream(fd, req.bytes) : receive_stream(fd, req.bytes);
    write_all(fd, &res, sizeof(res));
}

static void serve_tcp(void)
{
    int one = 1, s = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in a = address("0.0.0.0", PORT);

    setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(s, (struct sockaddr *)&a, sizeof(a)) || listen(s, 16))
        die("listen");
    signal(SIGCHLD, SIG_IGN);
    printf("guest: serving port %d\n", PORT);
    fflush(stdout);
    for (;;) {
        int fd = accept(s, NULL, NULL);
        if (fd < 0)
            continue;
        if (fork() == 0) {
            serve_connection(fd);
            _exit(0);
        }
        close(fd);
    }
}

static void serve_udp(void)
{
    int s = socket(AF_INET, SOCK_DGRAM, 0), size = 4 << 20;
    struct sockaddr_in a = address("0.0.0.0", PORT), from;
    uint64_t count = 0, buf[CHUNK / 8];

    setsockopt(s, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
    if (bind(s, (struct sockaddr *)&a, sizeof(a)))
        die("bind");
    for (;;) {
        socklen_t len = sizeof(from);
        ssize_t n = recvfrom(s, buf, sizeof(buf), 0, (struct sockaddr *)&from, &len);
        struct request *req = (struct request *)buf;
        if (n < (ssize_t)sizeof(*req) || req->magic != MAGIC)
            continue;
        if (req->op == OP_COUNT) {
            count++;
            continue;
        }
        if (req->op == OP_RESULT) {
            req->bytes = count;
            count = 0;
        }
        sendto(s, buf, (size_t)n, 0, (struct sockaddr *)&from, len);
    }
}

static int serve(void)
{
    if (fork() == 0)
        serve_udp();
    serve_tcp();
    return 1;
}

static int transfer(const char *host, uint64_t bytes, enum op op)
{
    struct request req = {MAGIC, op, bytes};
    struct result mine, theirs = {0, 0, 0};
    struct sockaddr_in a = address(host, PORT);
    int s = socket(AF_INET, SOCK_STREAM, 0);
    double start, took;
    bool ok;

    set_timeout(s, STALL_S);
    if (connect(s, (struct sockaddr *)&a, sizeof(a)))
        die(host);
    start = now();
    if (!write_all(s, &req, sizeof(req)))
        die(host);
    mine = op == OP_SEND ? receive_stream(s, bytes) : send_stream(s, bytes);
    ok = read_all(s, &theirs, sizeof(theirs));
    took = now() - start;
    ok = ok && mine.bytes == bytes && theirs.bytes == bytes && mine.sum == theirs.sum && !mine.wrong &&
         !theirs.wrong;
    printf("guest: %s %s %llu bytes sum %016llx %s %.2f MB/s\n", op == OP_SEND ? "get" : "put", host,
           (unsigned long long)mine.bytes, (unsigned long long)mine.sum, ok ? "ok" : "BAD",
           (double)mine.bytes / 1e6 / took);
    return !ok;
}

/* Minimum, mean and maximum of the round trips, in seconds. */
struct rtt {
    unsigned sent, got;
    double min, max, sum;
};

static void rtt_add(struct rtt *r, double t)
{
    r->min = r->got == 0 || t < r->min ? t : r->min;
    r->max = t > r->max ? t : r->max;
    r->sum += t;
    r->got++;
}

static int rtt_print(const char *what, const char *host, const struct rtt *r)
{
    printf("guest: %s %s %u lost %u rtt min/avg/max %.3f/%.3f/%.3f ms\n", what, host, r->sent,
           r->sent - r->got, r->min * 1e3, r->got ? r->sum / r->got * 1e3 : 0.0, r->max * 1e3);
    return r->got != r->sent;
}

/* True if the reply to echo `seq` came in time; others' packets and late replies are passed over. */
static bool await_reply(int s, uint16_t id, uint16_t seq)
{
    double end = now() + LOST_S;
    unsigned char buf[2048];

    for (double left = LOST_S; left > 0; left = end - now()) {
        struct pollfd p = {.fd = s, .events = POLLIN};
        if (poll(&p, 1, (int)(left * 1000) + 1) <= 0)
            continue;
        ssize_t n = read(s, buf, sizeof(buf));
        const struct iphdr *ip = (struct iphdr *)buf;
        const struct icmphdr *icmp = (struct icmphdr *)(buf + ip->ihl * 4);
        if (n >= (ssize_t)(ip->ihl * 4u + sizeof(*icmp)) && icmp->type == ICMP_ECHOREPLY &&
            icmp->un.echo.id == id && icmp->un.echo.sequence == seq)
            return true;
    }
    return false;
}

static int ping(const char *host, unsigned count, unsigned interval_ms)
{
    struct sockaddr_in a = address(host, 0);
    struct rtt r = {0, 0, 0, 0, 0};
    struct {
        struct icmphdr h;
        char data[56];
    } echo = {.h = {.type = ICMP_ECHO}};
    int s = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);

    if (s < 0)
        die("socket");
    echo.h.un.echo.id = htons((uint16_t)getpid());
    for (; r.sent < count; r.sent++) {
        double start = now();
        echo.h.un.echo.sequence = htons((uint16_t)r.sent);
        echo.h.checksum = 0;
        echo.h.checksum = checksum(&echo, sizeof(echo));
        if (sendto(s, &echo, sizeof(echo), 0, (struct sockaddr *)&a, sizeof(a)) > 0 &&
            await_reply(s, echo.h.un.echo.id, echo.h.un.echo.sequence))
            rtt_add(&r, now() - start);
        if (interval_ms)
            usleep(interval_ms * 1000);
    }
    return rtt_print("ping", host, &r);
}

static int udp_socket(const char *host)
{
    struct sockaddr_in a = address(host, PORT);
    int s = socket(AF_INET, SOCK_DGRAM, 0);

    set_timeout(s, 2);
    if (connect(s, (struct sockaddr *)&a, sizeof(a)))
        die(host);
    return s;
}

static int udp_rtt(const char *host, unsigned count)
{
    struct rtt r = {0, 0, 0, 0, 0};
    struct request req[4] = {{MAGIC, OP_ECHO, 0}}, back[4];
    int s = udp_socket(host);

    for (; r.sent < count; r.sent++) {
        double start = now();
        req[0].bytes = r.sent;
        if (send(s, req, sizeof(req), 0) < 0)
            continue;
        while (recv(s, back, sizeof(back), 0) > 0) {
            if (back[0].bytes != r.sent)
                continue;
            rtt_add(&r, now() - start);
            break;
        }
    }
    return rtt_print("rtt", host, &r);
}

#define NUMBERS_MAX (1u << 20)
#define MISSING_MAX 16 /* that are named */

struct numbers {
    unsigned got, twice, late, next; /* late: came after a higher one */
    unsigned char seen[NUMBERS_MAX];
};

/* Takes in what there is for up to `seconds`. */
static void take_numbers(int s, struct numbers *n, unsigned count, double seconds)
{
    struct request back[4];
    double end = now() + seconds;

    for (double left = seconds; left > 0 && n->got < count; left = end - now()) {
        struct pollfd p = {.fd = s, .events = POLLIN};
        struct timespec t = {.tv_sec = (time_t)left, .tv_nsec = (long)((left - (double)(time_t)left) * 1e9)};

        if (ppoll(&p, 1, &t, NULL) <= 0 ||
            recv(s, back, sizeof(back), MSG_DONTWAIT) < (ssize_t)sizeof(back) || back[0].magic != MAGIC ||
            back[0].bytes >= count)
            continue;
        n->twice += n->seen[back[0].bytes];
        n->got += !n->seen[back[0].bytes];
        n->late += back[0].bytes < n->next;
        n->next = back[0].bytes >= n->next ? (unsigned)back[0].bytes + 1 : n->next;
        n->seen[back[0].bytes] = 1;
    }
}

static int say_numbers(const char *what, const char *host, const struct numbers *n, unsigned count,
                       double start)
{
    unsigned missing = 0;

    printf("guest: %s %s %u lost %u doubled %u late %u rate %.0f/s\n", what, host, count, count - n->got,
           n->twice, n->late, (double)count / (now() - start));
    for (unsigned i = 0; i < count; i++)
        if (!n->seen[i] && missing++ < MISSING_MAX)
            printf("missing: %u\n", i);
    return n->got != count || n->twice;
}

static int udp_number(const char *host, unsigned count, unsigned rate, unsigned length)
{
    static struct numbers n;
    static struct request req[CHUNK / sizeof(struct request)] = {{MAGIC, OP_ECHO, 0}};
    int s = udp_socket(host), size = 4 << 20;
    double start = now();

    if (count > NUMBERS_MAX || rate == 0 || length < 4 * sizeof(req[0]) || length > sizeof(req))
        return 2;
    setsockopt(s, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
    for (unsigned i = 0; i < count; i++) {
        req[0].bytes = i;
        if (send(s, req, length, 0) < 0)
            die("send");
        take_numbers(s, &n, count, start + (double)(i + 1) / rate - now());
    }
    take_numbers(s, &n, count, LOST_S);
    return say_numbers("number", host, &n, count, start);
}

static int cast(const char *group, unsigned count, unsigned rate, const char *from)
{
    struct sockaddr_in to = address(group, GROUP_PORT), own = address(from, 0);
    struct request req[4] = {{MAGIC, OP_COUNT, 0}};
    int s = socket(AF_INET, SOCK_DGRAM, 0);
    double start = now(), left;

    if (rate == 0 || setsockopt(s, IPPROTO_IP, IP_MULTICAST_IF, &own.sin_addr, sizeof(own.sin_addr)))
        die("cast");
    for (unsigned i = 0; i < count; i++) {
        req[0].bytes = i;
        if (sendto(s, req, sizeof(req), 0, (struct sockaddr *)&to, sizeof(to)) < 0)
            die("sendto");
        left = start + (double)(i + 1) / rate - now();
        if (left > 0)
            usleep((unsigned)(left * 1e6));
    }
    return 0;
}

static int listen_to(const char *group, unsigned count, const char *at)
{
    static struct numbers n;
    struct sockaddr_in a = address(group, GROUP_PORT), own = address(at, 0);
    struct ip_mreq join = {a.sin_addr, own.sin_addr};
    int s = socket(AF_INET, SOCK_DGRAM, 0), size = 4 << 20;
    double start = now();
    unsigned before;

    setsockopt(s, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
    if (count > NUMBERS_MAX || bind(s, (struct sockaddr *)&a, sizeof(a)) ||
        setsockopt(s, IPPROTO_IP, IP_ADD_MEMBERSHIP, &join, sizeof(join)))
        die("listen");
    do {
        before = n.got;
        take_numbers(s, &n, count, LOST_S);
    } while (n.got < count && n.got != before);
    return say_numbers("listen", group, &n, count, start);
}

static int udp_rate(const char *host, unsigned seconds, unsigned size)
{
    char buf[CHUNK] = {0};
    struct request ask = {MAGIC, OP_RESULT, 0}, *req = (struct request *)buf;
    int s = udp_socket(host);
    uint64_t sent = 0;
    double start, took;

    if (size < sizeof(*req) || size > 1472)
        size = size > 1472 ? 1472 : (unsigned)sizeof(*req);
    *req = (struct request){MAGIC, OP_COUNT, 0};
    send(s, &ask, sizeof(ask), 0); /* starts the server's count */
    recv(s, &ask, sizeof(ask), 0);
    start = now();
    while ((took = now() - start) < seconds)
        for (unsigned i = 0; i < 32; i++)
            sent += send(s, buf, size, 0) > 0;
    ask = (struct request){MAGIC, OP_RESULT, 0};
    for (int tries = 0; tries < 5; tries++) {
        usleep(200000);
        if (send(s, &ask, sizeof(ask), 0) > 0 && recv(s, &ask, sizeof(ask), 0) > 0) {
            printf("guest: udp %s size %u sent %llu received %llu rate %.0f/s\n", host, size,
                   (unsigned long long)sent, (unsigned long long)ask.bytes, (double)ask.bytes / took);
            return 0;
        }
    }
    printf("guest: udp %s size %u sent %llu no answer\n", host, size, (unsigned long long)sent);
    return 1;
}

/* Work done in each whole second of the wall clock, by which two guests' lines can be laid beside each other.
 */
static int cpu(unsigned seconds)
{
    volatile uint64_t turns = 0;
    time_t second = time(NULL);

    for (unsigned lines = 0; lines < seconds;) {
        for (unsigned i = 0; i < 100000; i++)
            turns++;
        if (time(NULL) == second)
            continue;
        printf("guest: cpu %lld turns %llu\n", (long long)second, (unsigned long long)turns);
        fflush(stdout);
        second = time(NULL);
        turns = 0;
        lines++;
    }
    return 0;
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "", *host = argc > 2 ? argv[2] : "";
    unsigned n = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 0) : 0;
    unsigned m = argc > 4 ? (unsigned)strtoul(argv[4], NULL, 0) : 0;

    signal(SIGPIPE, SIG_IGN);
    if (!strcmp(what, "serve"))
        return serve();
    if (argc > 2 && !strcmp(what, "cpu"))
        return cpu((unsigned)strtoul(host, NULL, 0));
    if (argc > 3 && !strcmp(what, "ping"))
        return ping(host, n, argc > 4 ? m : 10);
    if (argc > 3 && (!strcmp(what, "get") || !strcmp(what, "put")))
        return transfer(host, (uint64_t)n << 20, what[0] == 'g' ? OP_SEND : OP_RECEIVE);
    if (argc > 3 && !strcmp(what, "rtt"))
        return udp_rtt(host, n);
    if (argc > 4 && !strcmp(what, "number"))
        return udp_number(host, n, m, argc > 5 ? (unsigned)strtoul(argv[5], NULL, 0) : 64);
    if (argc > 5 && !strcmp(what, "cast"))
        return cast(host, n, m, argv[5]);
    if (argc > 4 && !strcmp(what, "listen"))
        return listen_to(host, n, argv[4]);
    if (argc > 4 && !strcmp(what, "udp"))
        return udp_rate(host, n, m);
    printf("usage: traffic serve | ping HOST COUNT [MS] | get|put HOST MB | rtt HOST COUNT | udp HOST "
           "SECONDS SIZE\n");
    return 2;
}
