/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/sys/keep.h"
#include "drivers/sys/sys.h"
#include "vm/abi/hypercall.h"
#include <errno.h>
#include <string.h>

/* What the hypervisor has, and behind `used` nothing but zeros. */
static uint8_t blob[IODOM_KEEP_MAX] __attribute__((aligned(KEEP_ALIGN)));
static size_t used;

static size_t size_of(size_t length)
{
    return sizeof(struct keep_record) + ((length + KEEP_ALIGN - 1) & ~(size_t)(KEEP_ALIGN - 1));
}

static struct keep_record *record_at(size_t at)
{
    return (struct keep_record *)(void *)(blob + at);
}

/* Where the record is, or `used`. */
static size_t find(enum keep_type type, unsigned index)
{
    size_t at = 0;

    while (at < used && (record_at(at)->type != type || record_at(at)->index != index))
        at += size_of(record_at(at)->length);
    return at;
}

/* With the zero type behind the last one. */
static void store(void)
{
    size_t size = used + sizeof(struct keep_record);

    (void)hypercall(HC_KEEP, (uintptr_t)blob, size < sizeof(blob) ? size : sizeof(blob), 1);
}

void keep_init(void)
{
    used = 0;
    if (hypercall(HC_KEEP, (uintptr_t)blob, sizeof(blob), 0) != 0)
        memset(blob, 0, sizeof(blob));
    while (used < sizeof(blob) && record_at(used)->type != 0) {
        const struct keep_record r = *record_at(used);

        /* Each is there once. */
        if (r.length > sizeof(blob) || size_of(r.length) > sizeof(blob) - used ||
            find(r.type, r.index) < used)
            memset(blob, 0, sizeof(blob)); /* and so it ends */
        used = record_at(0)->type ? used + size_of(r.length) : 0;
    }
    memset(blob + used, 0, sizeof(blob) - used);
}

bool keep_get(enum keep_type type, unsigned index, unsigned version, void *data, size_t length)
{
    size_t at = find(type, index);

    if (at == used || record_at(at)->version != version || record_at(at)->length != length)
        return false;
    memcpy(data, record_at(at) + 1, length);
    return true;
}

static void cut(size_t at)
{
    size_t size = size_of(record_at(at)->length);

    memmove(blob + at, blob + at + size, used - at - size);
    used -= size;
    memset(blob + used, 0, size);
}

int keep_put(enum keep_type type, unsigned index, unsigned version, const void *data, size_t length)
{
    const struct keep_record r = {(uint16_t)type, (uint8_t)version, (uint8_t)index, (uint32_t)length};
    size_t at = find(type, index);
    bool fits;

    if (at < used && memcmp(record_at(at), &r, sizeof(r)) == 0 &&
        memcmp(record_at(at) + 1, data, length) == 0)
        return 0;
    if (at < used)
        cut(at);
    fits = length <= sizeof(blob) && size_of(length) <= sizeof(blob) - used;
    if (fits) {
        *record_at(used) = r;
        memcpy(record_at(used) + 1, data, length);
        used += size_of(length);
    }
    store();
    return fits ? 0 : -ENOSPC;
}

void keep_drop(enum keep_type type, unsigned index)
{
    size_t at = find(type, index);

    if (at == used)
        return;
    cut(at);
    store();
}
