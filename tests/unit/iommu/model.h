/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the models of both vendors' units share: registers that answer, a clock that runs while the code under
 * test waits for it, and caches that keep what was there, present or not, until they are told. Include first.
 */
#pragma once

#include "tests/unit/test.h"

/* Of kernel/lib/mmio.h only the types: the functions are the model's. */
#define mmio_read32  plain_read32
#define mmio_read64  plain_read64
#define mmio_write32 plain_write32
#define mmio_write64 plain_write64
#include "kernel/lib/mmio.h"
#undef mmio_read32
#undef mmio_read64
#undef mmio_write32
#undef mmio_write64

#include "kernel/cpu/time.h"
#include "kernel/mm/paging.h"

static uint64_t mmio_read64(volatile void *base, reg64_t r);
static void mmio_write64(volatile void *base, reg64_t r, uint64_t v);

#define MODELS 2
#define CACHED 64

static bool hung;
static uint64_t now;

uint64_t time_ns(void)
{
    return now += NS_PER_MS;
}

static void hang(bool on)
{
    hung = on;
}

/* The second unit has bus 2. */
static unsigned model_number(rid_t dev)
{
    return (dev.id >> 8 & 0xff) == 2;
}

static const void *at(uint64_t p)
{
    return hpa_to_ptr(hpa(p));
}

struct cached_page {
    bool used;
    unsigned domain;
    uint64_t page, target; /* target 0 with no permissions: known to be absent */
    bool read, write;
};

struct page_cache {
    struct cached_page page[CACHED];
    unsigned next;
};

static struct cached_page *cached_page(struct page_cache *c, unsigned domain, uint64_t addr)
{
    for (struct cached_page *p = c->page; p < c->page + CACHED; p++)
        if (p->used && p->domain == domain && p->page == addr >> 12)
            return p;
    return NULL;
}

static struct cached_page *cache_page(struct page_cache *c, struct cached_page page)
{
    struct cached_page *p = &c->page[c->next++ % CACHED];

    *p = page;
    return p;
}

struct cached_irte {
    bool used;
    uint64_t key, q[2];
};

struct irte_cache {
    struct cached_irte irte[CACHED];
    unsigned next;
};

/* The one under this key, or else what is in the table now. */
static struct cached_irte *cached_irte(struct irte_cache *c, uint64_t key, const uint64_t now_there[2])
{
    struct cached_irte *e = c->irte;

    while (e < c->irte + CACHED && !(e->used && e->key == key))
        e++;
    if (e == c->irte + CACHED) {
        e = &c->irte[c->next++ % CACHED];
        *e = (struct cached_irte){true, key, {now_there[0], now_there[1]}};
    }
    return e;
}
