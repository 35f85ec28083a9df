/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An I/O domain that dies or fails when it is told to: linked with the product's own objects, it listens on TCP port 9 for a line. `crash`: a triple fault;
 * `reset`: through its reset port, which counts as no crash; `hang`: a loop; `halt`: HLT with interrupts off; `error`: a step of a move fails; `starve`: there
 * are no buffers until the move is over. A step's name behind that puts it off until the next move comes to that step: `reset load`.
 */
#include "drivers/net/buf.h"
#include "drivers/net/vf/vf.h"
#include "drivers/svc/phase.h"
#include "drivers/svc/svc.h"
#include "drivers/sys/hypercall.h"
#include "drivers/sys/sys.h"
#include "drivers/sys/x86.h"
#include "lwip/tcp.h"
#include "vm/abi/hypercall.h"
#include "vm/abi/migrate.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define ORDERS_PORT 9
#define PORT_RESET  0xcf9
#define RESET_CPU   4

static struct {
    void (*run)(void);
    enum phase phase;
    bool moving; /* an order to move is carried out */
    bool fails, starves;
} armed = {.phase = PHASES};

int __real_echo_start(void);
int __wrap_echo_start(void);
long __real_hypercall(unsigned nr, uint64_t a, uint64_t b, uint64_t c);
long __wrap_hypercall(unsigned nr, uint64_t a, uint64_t b, uint64_t c);
struct nic_buf *__real_buf_alloc(void);
struct nic_buf *__wrap_buf_alloc(void);
extern const struct vf_ops __real_igb_vf_ops;
extern struct vf_ops __wrap_igb_vf_ops;
struct vf_ops __wrap_igb_vf_ops;

/* --- what can be ordered --- */

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

static void reset(void)
{
    outb(PORT_RESET, RESET_CPU);
    hang();
}

static void fail(void)
{
    armed.fails = true;
}

static void starve(void)
{
    armed.starves = true;
}

static const struct {
    const char *word;
    void (*run)(void);
} orders[] = {{"crash", crash}, {"hang", hang},  {"halt", halt},
              {"reset", reset}, {"error", fail}, {"starve", starve}};

/* --- where it is carried out: in the place of the product's, which they call (ld --wrap) --- */

/* True if this step is to fail, each time that it is tried. */
static bool comes_to(enum phase phase)
{
    if (!armed.moving || phase == PHASES || phase != armed.phase)
        return false;
    armed.run();
    return armed.fails;
}

static long order(unsigned nr, uint64_t a, uint64_t b, uint64_t c)
{
    long rc;

    if (armed.moving) /* it has done with that */
        armed = (__typeof__(armed)){.phase = PHASES};
    rc = __real_hypercall(nr, a, b, c);
    armed.moving = rc == 1 && ((const struct move_order *)(uintptr_t)a)->op == ORDER_MOVE;
    return rc;
}

long __wrap_hypercall(unsigned nr, uint64_t a, uint64_t b, uint64_t c)
{
    static const enum phase of_step[MOVE_STEPS] = {
        [MOVE_CHECK] = PHASES,    [MOVE_BEGIN] = BEGIN,  [MOVE_MAP] = STAGE,     [MOVE_FREEZE] = FREEZE,
        [MOVE_QUIESCE] = QUIESCE, [MOVE_READ] = PHASES,  [MOVE_WRITE] = PHASES,  [MOVE_RECORD] = SWITCH,
        [MOVE_SWITCH] = PHASES,   [MOVE_ABORT] = PHASES, [MOVE_RESUME] = RESUME,
    };

    if (nr == HC_ORDER)
        return order(nr, a, b, c);
    if (nr == HC_MOVE && a < MOVE_STEPS && comes_to(of_step[a]))
        return -EIO;
    return __real_hypercall(nr, a, b, c);
}

struct nic_buf *__wrap_buf_alloc(void)
{
    return armed.starves ? NULL : __real_buf_alloc();
}

static void park(struct nic *nic)
{
    (void)comes_to(PARK);
    __real_igb_vf_ops.park(nic);
}

static int stop(struct nic *nic)
{
    return comes_to(STOP) ? -EIO : __real_igb_vf_ops.stop(nic);
}

static int save(struct nic *nic)
{
    return comes_to(SAVE) ? -EIO : __real_igb_vf_ops.save(nic);
}

static int replay(struct nic *nic)
{
    return comes_to(REPLAY) ? -EIO : __real_igb_vf_ops.replay(nic);
}

static int load(struct nic *nic)
{
    return comes_to(LOAD) ? -EIO : __real_igb_vf_ops.load(nic);
}

static void start(struct nic *nic)
{
    (void)comes_to(START);
    __real_igb_vf_ops.start(nic);
}

static void finish(struct nic *nic)
{
    (void)comes_to(FINISH);
    __real_igb_vf_ops.finish(nic);
}

static void wrap_steps(void)
{
    struct vf_ops *ops = &__wrap_igb_vf_ops;

    *ops = __real_igb_vf_ops;
    ops->park = park;
    ops->stop = stop;
    ops->save = save;
    ops->replay = replay;
    ops->load = load;
    ops->start = start;
    ops->finish = finish;
}

/* --- orders --- */

static bool begins(const char *text, size_t length, const char *word)
{
    return length >= strlen(word) && memcmp(text, word, strlen(word)) == 0;
}

static void obey(const char *text, size_t length)
{
    for (unsigned i = 0; i < ARRAY_SIZE(orders); i++) {
        size_t used = strlen(orders[i].word) + 1;

        if (!begins(text, length, orders[i].word))
            continue;
        armed.run = orders[i].run;
        for (enum phase p = BEGIN; length > used && p < PHASES; p++)
            if (begins(text + used, length - used, phase_name[p]))
                armed.phase = p;
        if (armed.phase == PHASES)
            armed.run();
        else
            printf("iodom: armed: %s at %s\n", orders[i].word, phase_name[armed.phase]);
        return;
    }
}

static err_t receive(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
    (void)arg, (void)err;
    if (p) {
        obey(p->payload, p->len);
        pbuf_free(p);
    } else {
        (void)tcp_close(pcb);
    }
    return ERR_OK;
}

static err_t take(void *arg, struct tcp_pcb *pcb, err_t err)
{
    (void)arg;
    if (err == ERR_OK && pcb)
        tcp_recv(pcb, receive);
    return ERR_OK;
}

int __wrap_echo_start(void)
{
    struct tcp_pcb *pcb = tcp_new(), *listening;
    int err = __real_echo_start();

    wrap_steps();
    if (!pcb || tcp_bind(pcb, IP_ADDR_ANY, ORDERS_PORT) != ERR_OK)
        return -EADDRINUSE;
    listening = tcp_listen_with_backlog(pcb, 1);
    if (!listening)
        return -ENOMEM;
    tcp_accept(listening, take);
    return err;
}
