/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An I/O domain that dies when it is told to: linked with the product's own objects, it listens on TCP port 9 for one word. `crash`: a triple
 * fault; `hang`: a loop; `halt`: HLT with interrupts off.
 */
#include "drivers/svc/svc.h"
#include "drivers/sys/sys.h"
#include "lwip/tcp.h"
#include <errno.h>
#include <string.h>

#define ORDERS_PORT 9

int __real_echo_start(void);
int __wrap_echo_start(void);

static void hang(void)
{
    for (;;)
        __builtin_ia32_pause();
}

static void halt(void)
{
    for (;;)
        __asm__ volatile("cli; hlt");
}

static void crash(void)
{
    sys_crash("by order");
}

static err_t obey(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
    static const struct {
        const char *word;
        void (*run)(void);
    } orders[] = {{"crash", crash}, {"hang", hang}, {"halt", halt}};

    (void)arg, (void)err;
    for (unsigned i = 0; p && i < ARRAY_SIZE(orders); i++)
        if (p->len >= strlen(orders[i].word) &&
            memcmp(p->payload, orders[i].word, strlen(orders[i].word)) == 0)
            orders[i].run();
    if (p)
        pbuf_free(p);
    else
        (void)tcp_close(pcb);
    return ERR_OK;
}

static err_t take(void *arg, struct tcp_pcb *pcb, err_t err)
{
    (void)arg;
    if (err == ERR_OK && pcb)
        tcp_recv(pcb, obey);
    return ERR_OK;
}

/* In the place of the product's, which it calls (ld --wrap). */
int __wrap_echo_start(void)
{
    struct tcp_pcb *pcb = tcp_new(), *listening;
    int err = __real_echo_start();

    if (!pcb || tcp_bind(pcb, IP_ADDR_ANY, ORDERS_PORT) != ERR_OK)
        return -EADDRINUSE;
    listening = tcp_listen_with_backlog(pcb, 1);
    if (!listening)
        return -ENOMEM;
    tcp_accept(listening, take);
    return err;
}
