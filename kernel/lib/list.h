/* SPDX-License-Identifier: BSD-2-Clause */
/* Doubly linked ring with a head; a node sits inside the struct that it links (container_of). No locking of
 * its own. */
#pragma once

#include "kernel/lib/types.h"

struct list {
    struct list *next, *prev;
};

static inline void list_init(struct list *l)
{
    l->next = l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
    return l->next == l;
}

/* Puts `n` before `pos`; with a head as `pos`, at the end. */
static inline void list_add_before(struct list *n, struct list *pos)
{
    n->next = pos;
    n->prev = pos->prev;
    pos->prev->next = n;
    pos->prev = n;
}

/* Takes `n` out and leaves it pointing at itself, so that taking it out twice does no harm. */
static inline void list_del(struct list *n)
{
    n->prev->next = n->next;
    n->next->prev = n->prev;
    list_init(n);
}

#define list_for_each(pos, head) for (struct list *pos = (head)->next; pos != (head); pos = pos->next)
