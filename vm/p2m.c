/* SPDX-License-Identifier: BSD-2-Clause */
#include "vm/p2m.h"
#include "kernel/lib/string.h"
#include "kernel/mm/frame.h"
#include "kernel/mm/heap.h"
#include "kernel/mm/paging.h"
#include "vm/hvm.h"

/* The largest block that alignment and rest allow and that there is memory for. */
static int chunk_alloc(struct p2m_chunk *c, uint64_t at, uint64_t left)
{
    for (unsigned order = FRAME_ORDER_MAX; order >= FRAME_ORDER_2M; order--) {
        c->at = at;
        c->size = PAGE_SIZE << order;
        if (c->size > left || !IS_ALIGNED(at, c->size))
            continue;
        c->block = frame_alloc(order);
        if (c->block.a != 0)
            return 0;
    }
    return -ENOMEM;
}

static int ram_add(struct p2m *p, uint64_t at, uint64_t bytes)
{
    int err = 0;

    for (uint64_t end = at + bytes; at < end && !err; at += p->chunks[p->nchunks - 1].size) {
        struct p2m_chunk *c = &p->chunks[p->nchunks];

        if (p->nchunks == P2M_CHUNKS || chunk_alloc(c, at, end - at) != 0)
            return -ENOMEM;
        p->nchunks++;
        err = radix_map(&p->table, at, c->block, c->size, RADIX_R | RADIX_W | RADIX_X);
    }
    return err;
}

int p2m_init(struct p2m *p, uint64_t bytes)
{
    int err;

    memset(p, 0, sizeof(*p));
    if (bytes == 0 || !IS_ALIGNED(bytes, SIZE_2M))
        return -EINVAL;
    p->ram_low = MIN(bytes, (uint64_t)GPA_PCI_WINDOW);
    p->ram_high = bytes - p->ram_low;
    err = hvm->p2m_init(&p->table);
    if (err)
        return err;
    p->chunks = heap_alloc(P2M_CHUNKS * sizeof(*p->chunks));
    err = p->chunks ? ram_add(p, 0, p->ram_low) : -ENOMEM;
    if (!err)
        err = ram_add(p, GPA_HIGH_RAM, p->ram_high);
    if (err)
        p2m_destroy(p);
    return err;
}

void p2m_destroy(struct p2m *p)
{
    if (p->table.root.a == 0)
        return;
    radix_destroy(&p->table);
    for (const struct p2m_chunk *c = p->chunks; c < p->chunks + p->nchunks; c++)
        frame_free(c->block, (unsigned)__builtin_ctzll(c->size / PAGE_SIZE));
    heap_free(p->chunks, P2M_CHUNKS * sizeof(*p->chunks));
    p->chunks = NULL;
}

/* Blocks are 2 MiB or a multiple of it, and there is none across the hole. */
bool p2m_zero(struct p2m *p, uint64_t *done)
{
    uint64_t at = *done < p->ram_low ? *done : GPA_HIGH_RAM + (*done - p->ram_low);

    if (*done == p->ram_low + p->ram_high)
        return false;
    memset(p2m_ram(p, gpa(at), SIZE_2M), 0, SIZE_2M);
    *done += SIZE_2M;
    return true;
}

int p2m_map(struct p2m *p, gpa_t at, hpa_t target, uint64_t size, unsigned flags)
{
    int err;

    spin_lock(&p->lock);
    err = flags ? radix_map(&p->table, at.a, target, size, flags) : radix_unmap(&p->table, at.a, size);
    __atomic_fetch_add(&p->generation, 1, __ATOMIC_RELEASE);
    spin_unlock(&p->lock);
    return err;
}

int p2m_unmap(struct p2m *p, gpa_t at, uint64_t size)
{
    return p2m_map(p, at, hpa(0), size, 0);
}

static bool p2m_is_ram(const struct p2m *p, gpa_t at, uint64_t size)
{
    uint64_t base = at.a < GPA_HIGH_RAM ? 0 : GPA_HIGH_RAM;
    uint64_t len = at.a < GPA_HIGH_RAM ? p->ram_low : p->ram_high;

    return at.a - base < len && size <= len - (at.a - base);
}

/* What is RAM never changes its place in the table. */
void *p2m_ram(const struct p2m *p, gpa_t at, uint64_t size)
{
    hpa_t target;

    if (!p2m_is_ram(p, at, size) || size > SIZE_2M - (at.a & (SIZE_2M - 1)) ||
        !radix_lookup(&p->table, at.a, &target, NULL))
        return NULL;
    return hpa_to_ptr(target);
}

/* Bytes from `at` to the end of its 2 MiB, in which RAM is contiguous; `size` at most. */
static uint64_t piece(gpa_t at, uint64_t size)
{
    return MIN(size, SIZE_2M - (at.a & (SIZE_2M - 1)));
}

int p2m_read(const struct p2m *p, gpa_t at, void *dst, uint64_t size)
{
    if (!p2m_is_ram(p, at, size))
        return -EFAULT;
    for (uint64_t n; size > 0; size -= n, at.a += n, dst = (char *)dst + n) {
        n = piece(at, size);
        memcpy(dst, p2m_ram(p, at, n), n);
    }
    return 0;
}

int p2m_write(const struct p2m *p, gpa_t at, const void *src, uint64_t size)
{
    if (!p2m_is_ram(p, at, size))
        return -EFAULT;
    for (uint64_t n; size > 0; size -= n, at.a += n, src = (const char *)src + n) {
        n = piece(at, size);
        memcpy(p2m_ram(p, at, n), src, n);
    }
    return 0;
}
