/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * TCP echo: what came in is held as a chain of pbufs until it has been queued for sending; only then is the
 * receive window opened again, so that a peer that does not read stops itself.
 */
#include "drivers/svc/svc.h"
#include "lwip/tcp.h"
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#define ECHO_PORT    7
#define ECHO_BACKLOG 8
#define IDLE_POLLS   240 /* of half a second: a silent peer's connection is closed after 2 minutes */

struct echo {
    struct pbuf *pending;
    unsigned idle;
    bool closing;
};

static void echo_end(struct tcp_pcb *pcb, struct echo *e)
{
    tcp_arg(pcb, NULL);
    if (e->pending)
        pbuf_free(e->pending);
    free(e);
    if (tcp_close(pcb) != ERR_OK)
        tcp_abort(pcb);
}

/* Queues as much as fits. Returns ERR_ABRT if the connection is gone. */
static err_t echo_push(struct tcp_pcb *pcb, struct echo *e)
{
    while (e->pending) {
        struct pbuf *p = e->pending;

        if (p->len > tcp_sndbuf(pcb) || tcp_write(pcb, p->payload, p->len, TCP_WRITE_FLAG_COPY) != ERR_OK)
            break;
        e->pending = p->next;
        if (p->next)
            pbuf_ref(p->next);
        tcp_recved(pcb, p->len);
        pbuf_free(p);
    }
    (void)tcp_output(pcb);
    if (e->closing && !e->pending)
        echo_end(pcb, e);
    return ERR_OK;
}

static err_t echo_recv(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
    struct echo *e = arg;

    (void)err;
    e->idle = 0;
    if (!p)
        e->closing = true;
    else if (e->pending)
        pbuf_cat(e->pending, p);
    else
        e->pending = p;
    return echo_push(pcb, e);
}

static err_t echo_sent(void *arg, struct tcp_pcb *pcb, u16_t len)
{
    struct echo *e = arg;

    (void)len;
    if (!e)
        return ERR_OK;
    e->idle = 0;
    return echo_push(pcb, e);
}

static err_t echo_poll(void *arg, struct tcp_pcb *pcb)
{
    struct echo *e = arg;

    if (!e)
        return ERR_OK;
    if (++e->idle > IDLE_POLLS) {
        echo_end(pcb, e);
        return ERR_OK;
    }
    return echo_push(pcb, e);
}

static void echo_error(void *arg, err_t err)
{
    struct echo *e = arg;

    (void)err;
    if (!e)
        return;
    if (e->pending)
        pbuf_free(e->pending);
    free(e);
}

static err_t echo_accept(void *arg, struct tcp_pcb *pcb, err_t err)
{
    struct echo *e;

    (void)arg;
    if (err != ERR_OK || !pcb)
        return ERR_VAL;
    e = calloc(1, sizeof(*e));
    if (!e)
        return ERR_MEM;
    tcp_arg(pcb, e);
    tcp_recv(pcb, echo_recv);
    tcp_sent(pcb, echo_sent);
    tcp_err(pcb, echo_error);
    tcp_poll(pcb, echo_poll, 1);
    return ERR_OK;
}

int echo_start(void)
{
    struct tcp_pcb *pcb = tcp_new(), *listening;

    if (!pcb)
        return -ENOMEM;
    if (tcp_bind(pcb, IP_ADDR_ANY, ECHO_PORT) != ERR_OK)
        return -EADDRINUSE;
    listening = tcp_listen_with_backlog(pcb, ECHO_BACKLOG);
    if (!listening)
        return -ENOMEM;
    tcp_accept(listening, echo_accept);
    return 0;
}
