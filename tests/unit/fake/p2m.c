/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stands in for vm/p2m.h: a guest's RAM is one malloc'ed block (so that ASan guards its ends), low RAM first,
 * then what lies above 4 GiB. The block hangs in p->block.
 */
#include "vm/p2m.h"
#include <stdlib.h>
#include <string.h>

static int fake_p2m_fail; /* the next p2m_map() returns this */
static unsigned fake_p2m_maps, fake_p2m_unmaps;

/* Instead of p2m_init(). */
static int fake_p2m_init(struct p2m *p, uint64_t bytes)
{
    void *ram = aligned_alloc(PAGE_SIZE, bytes);

    memset(p, 0, sizeof(*p));
    p->ram_low = bytes < GPA_PCI_WINDOW ? bytes : GPA_PCI_WINDOW;
    p->ram_high = bytes - p->ram_low;
    p->block = ram;
    p->end = p->block; /* none that says where in the machine it is */
    memset(ram, 0, bytes);
    return 0;
}

__attribute__((unused)) static void fake_p2m_destroy(struct p2m *p)
{
    free((void *)(uintptr_t)p->block);
    p->block = p->end = NULL;
}

static bool p2m_is_ram(const struct p2m *p, gpa_t at, uint64_t size)
{
    uint64_t base = at.a < GPA_HIGH_RAM ? 0 : GPA_HIGH_RAM;
    uint64_t len = at.a < GPA_HIGH_RAM ? p->ram_low : p->ram_high;

    return at.a - base <= len && size <= len - (at.a - base);
}

void *p2m_ram(const struct p2m *p, gpa_t at, uint64_t size)
{
    uint64_t off = at.a < GPA_HIGH_RAM ? at.a : at.a - GPA_HIGH_RAM + p->ram_low;

    return p2m_is_ram(p, at, size) ? (char *)(uintptr_t)p->block + off : NULL;
}

int p2m_read(const struct p2m *p, gpa_t at, void *dst, uint64_t size)
{
    if (!p2m_is_ram(p, at, size))
        return -EFAULT;
    if (size)
        memcpy(dst, p2m_ram(p, at, size), size);
    return 0;
}

int p2m_write(const struct p2m *p, gpa_t at, const void *src, uint64_t size)
{
    if (!p2m_is_ram(p, at, size))
        return -EFAULT;
    if (size)
        memcpy(p2m_ram(p, at, size), src, size);
    return 0;
}

int p2m_map(struct p2m *p, gpa_t at, hpa_t target, uint64_t size, unsigned flags)
{
    int err = fake_p2m_fail;

    (void)at, (void)target, (void)size, (void)flags;
    fake_p2m_fail = 0;
    if (err)
        return err;
    p->generation++;
    fake_p2m_maps++;
    return 0;
}

int p2m_unmap(struct p2m *p, gpa_t at, uint64_t size)
{
    (void)at, (void)size;
    p->generation++;
    fake_p2m_unmaps++;
    return 0;
}
