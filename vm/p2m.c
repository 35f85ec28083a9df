/* SPDX-License-Identifier: BSD-2-Clause */
#include "vm/p2m.h"
#include "kernel/lib/string.h"
#include "kernel/mm/paging.h"
#include "vm/hvm.h"

int p2m_init(struct p2m *p, const struct boot_guest *cfg)
{
    int err = hvm->p2m_init(&p->table);

    p->ram_low = MIN(cfg->memory, (uint64_t)GPA_PCI_WINDOW);
    p->ram_high = cfg->memory - p->ram_low;
    p->block = cfg->block;
    p->end = cfg->block + cfg->nblocks;
    for (const struct boot_block *b = p->block; b < p->end && !err; b++)
        err = radix_map(&p->table, b->at, hpa(b->base), b->size, RADIX_R | RADIX_W | RADIX_X);
    return err;
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
