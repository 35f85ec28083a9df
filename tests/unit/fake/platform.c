/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stands in for what devices call in vm/vm.h and vm/vcpu.h: trapped ranges that a test reaches through
 * fake_io(), requests to vCPUs that are only noted, complaints, power, exceptions.
 */
#include "vm/vcpu.h"
#include "vm/vm.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static struct {
    struct vm vm;
    struct vcpu vcpu[BOOT_VCPUS_MAX];
    unsigned requests[BOOT_VCPUS_MAX]; /* calls of vcpu_request() */
    unsigned complaints, skips, exceptions;
    uint8_t vector;
    int power;                     /* enum vm_end, or -1 */
    unsigned register_fails_after; /* so many registrations succeed; 0: all */
    char complaint[256];
} fake_vm = {.power = -1};

/* Forgets everything; `nvcpus` vCPUs without APICs, running. */
static inline struct vm *fake_vm_init(unsigned nvcpus)
{
    memset(&fake_vm, 0, sizeof(fake_vm));
    fake_vm.power = -1;
    fake_vm.vm.nvcpus = nvcpus;
    fake_vm.vm.state = VM_RUNNING;
    for (unsigned i = 0; i < nvcpus; i++) {
        fake_vm.vcpu[i].vm = &fake_vm.vm;
        fake_vm.vcpu[i].id = i;
        fake_vm.vm.vcpu[i] = &fake_vm.vcpu[i];
    }
    return &fake_vm.vm;
}

void vcpu_request(struct vcpu *v, uint32_t bits)
{
    v->requests |= bits;
    fake_vm.requests[v->id]++;
}

void vcpu_exception(struct vcpu *v, uint8_t vector, bool has_error, uint32_t error)
{
    (void)v, (void)has_error, (void)error;
    fake_vm.exceptions++;
    fake_vm.vector = vector;
}

void vcpu_skip(struct vcpu *v, const struct vm_exit *e)
{
    (void)v, (void)e;
    fake_vm.skips++;
}

void vm_complain(struct vm *vm, const char *fmt, ...)
{
    va_list ap;

    (void)vm;
    fake_vm.complaints++;
    va_start(ap, fmt);
    vsnprintf(fake_vm.complaint, sizeof(fake_vm.complaint), fmt, ap);
    va_end(ap);
}

void vm_stop(struct vm *vm, struct vcpu *culprit, enum vm_end end, const char *fmt, ...)
{
    (void)vm, (void)culprit, (void)fmt;
    fake_vm.power = (int)end;
}

int vm_io_register(struct vm *vm, enum io_space space, uint64_t base, uint64_t size, io_fn *fn, void *dev)
{
    unsigned n = vm->nio[space];

    if (fake_vm.register_fails_after && --fake_vm.register_fails_after == 0)
        return -ENOSPC;
    for (unsigned i = 0; i < n; i++)
        if (base < vm->io[space][i].base + vm->io[space][i].size && vm->io[space][i].base < base + size)
            return -EEXIST;
    if (n == VM_IO_REGIONS)
        return -ENOSPC;
    vm->io[space][vm->nio[space]++] = (struct io_region){base, size, fn, dev};
    return 0;
}

void vm_io_unregister(struct vm *vm, enum io_space space, uint64_t base)
{
    for (unsigned i = 0; i < vm->nio[space]; i++)
        if (vm->io[space][i].base == base)
            vm->io[space][i--] = vm->io[space][--vm->nio[space]];
}

bool vm_io(struct vcpu *v, enum io_space space, struct io_access *a)
{
    for (unsigned i = 0; i < v->vm->nio[space]; i++) {
        struct io_region *r = &v->vm->io[space][i];

        if (a->addr < r->base || a->addr >= r->base + r->size)
            continue;
        a->addr -= r->base;
        if (!a->write)
            a->data = ~(uint64_t)0;
        r->fn(v, r->dev, a);
        return true;
    }
    a->data = ~(uint64_t)0;
    return false;
}

static inline uint64_t fake_io_read(struct vcpu *v, enum io_space space, uint64_t addr, unsigned size)
{
    struct io_access a = {.addr = addr, .size = size};

    (void)vm_io(v, space, &a);
    return a.data & (~(uint64_t)0 >> (64 - 8 * size));
}

static inline void fake_io_write(struct vcpu *v, enum io_space space, uint64_t addr, unsigned size,
                                 uint64_t data)
{
    struct io_access a = {.addr = addr, .size = size, .write = true, .data = data};

    (void)vm_io(v, space, &a);
}
