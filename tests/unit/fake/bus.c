/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stands in for what emulation calls in vm/vm.h and vm/vcpu.h: vm_io() with one trapped range of memory and
 * one of ports that remember what is written and keep a log, and exceptions that are only noted.
 */
#include "vm/vcpu.h"
#include "vm/vm.h"
#include <string.h>

#define FAKE_MMIO      0xfee00000
#define FAKE_MMIO_SIZE 0x1000
#define FAKE_PORT_BASE 0x100
#define FAKE_PORTS     16

static struct {
    uint8_t mem[FAKE_MMIO_SIZE], port[FAKE_PORTS];
    struct io_access last;
    enum io_space last_space;
    unsigned reads, writes, missed;
    unsigned exceptions, skips, complaints;
    uint8_t vector;
    uint32_t error;
} fake_bus;

bool vm_io(struct vcpu *v, enum io_space space, struct io_access *a)
{
    uint64_t base = space == IO_MEM ? FAKE_MMIO : FAKE_PORT_BASE,
             size = space == IO_MEM ? FAKE_MMIO_SIZE : FAKE_PORTS;
    uint8_t *at = space == IO_MEM ? fake_bus.mem : fake_bus.port;

    (void)v;
    fake_bus.last = *a;
    fake_bus.last_space = space;
    if (a->addr < base || a->addr + a->size > base + size) {
        fake_bus.missed++;
        a->data = ~(uint64_t)0;
        return false;
    }
    if (a->write) {
        fake_bus.writes++;
        memcpy(at + (a->addr - base), &a->data, a->size);
    } else {
        fake_bus.reads++;
        memcpy(&a->data, at + (a->addr - base), a->size);
    }
    return true;
}

void vcpu_exception(struct vcpu *v, uint8_t vector, bool has_error, uint32_t error)
{
    (void)v, (void)has_error;
    fake_bus.exceptions++;
    fake_bus.vector = vector;
    fake_bus.error = error;
}

void vm_complain(struct vm *vm, const char *fmt, ...)
{
    (void)vm, (void)fmt;
    fake_bus.complaints++;
}

void vcpu_skip(struct vcpu *v, const struct vm_exit *e)
{
    fake_bus.skips++;
    v->rip += e->len;
}
