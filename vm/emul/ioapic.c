/* SPDX-License-Identifier: BSD-2-Clause */
/* I/O APIC: 82093AA (Intel 290566) with the EOI register of its successors (version 20h). */
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"
#include "kernel/mm/heap.h"
#include "vm/emul/emul.h"
#include "vm/emul/lapic.h"
#include "vm/emul/regs.h"
#include "vm/vcpu.h"
#include "vm/vm.h"

#define PINS 24

/* Window, 3.1 */
#define IOREGSEL 0x00
#define IOWIN    0x10
#define IOEOI    0x40
#define WINDOW   0x1000

/* Registers behind it, 3.2 */
#define IOAPICID      0x00
#define IOAPICID_ID   GENMASK32(27, 24)
#define IOAPICVER     0x01
#define IOAPICVER_VAL ((PINS - 1) << 16 | 0x20)
#define IOAPICARB     0x02
#define IOREDTBL      0x10 /* two a pin */

#define RTE_VECTOR     GENMASK(7, 0)
#define RTE_MODE       GENMASK(10, 8)
#define RTE_LOGICAL    BIT(11)
#define RTE_REMOTE_IRR BIT(14) /* RO */
#define RTE_LEVEL      BIT(15)
#define RTE_MASKED     BIT(16)
#define RTE_DEST       GENMASK(63, 56)
#define RTE_WRITABLE   (RTE_DEST | GENMASK(16, 15) | BIT(13) | GENMASK(11, 0))

struct ioapic {
    struct spinlock lock; /* taken before any vCPU's; local APICs have none */
    struct vm *vm;
    uint8_t select;
    uint32_t id;
    uint32_t lines; /* bit n: pin n is asserted */
    uint64_t rte[PINS];
};

/* An entry says what an MSI would say. Lock held. */
static void deliver(struct ioapic *io, unsigned pin)
{
    uint64_t rte = io->rte[pin];
    uint64_t address =
        MSI_ADDRESS | FIELD_PREP(MSI_DEST, FIELD_GET(RTE_DEST, rte)) | (rte & RTE_LOGICAL ? MSI_LOGICAL : 0);
    uint64_t data = FIELD_PREP(MSI_VECTOR, FIELD_GET(RTE_VECTOR, rte)) |
                    FIELD_PREP(MSI_MODE, FIELD_GET(RTE_MODE, rte)) |
                    (rte & RTE_LEVEL ? MSI_TRIGGER | MSI_LEVEL : 0);

    if (rte & RTE_LEVEL)
        io->rte[pin] |= RTE_REMOTE_IRR;
    lapic_message(io->vm, address, (uint32_t)data);
}

/* A level pin that is asserted and not yet being served. Lock held. */
static void deliver_level(struct ioapic *io, unsigned pin)
{
    if ((io->rte[pin] & (RTE_LEVEL | RTE_MASKED | RTE_REMOTE_IRR)) == RTE_LEVEL && (io->lines & BIT32(pin)))
        deliver(io, pin);
}

/* An edge on a masked pin is lost (82093AA 3.2.4, interrupt mask). */
void ioapic_set_irq(struct vm *vm, unsigned pin, bool level)
{
    struct ioapic *io = vm->ioapic;
    bool was;

    if (!io || pin >= PINS)
        return;
    spin_lock(&io->lock);
    was = io->lines & BIT32(pin);
    io->lines = (io->lines & ~BIT32(pin)) | (uint32_t)level << pin;
    if (level && !was && !(io->rte[pin] & (RTE_LEVEL | RTE_MASKED)))
        deliver(io, pin);
    deliver_level(io, pin);
    spin_unlock(&io->lock);
}

void ioapic_eoi(struct vm *vm, uint8_t vector)
{
    struct ioapic *io = vm->ioapic;

    spin_lock(&io->lock);
    for (unsigned pin = 0; pin < PINS; pin++) {
        if (!(io->rte[pin] & RTE_REMOTE_IRR) || FIELD_GET(RTE_VECTOR, io->rte[pin]) != vector)
            continue;
        io->rte[pin] &= ~RTE_REMOTE_IRR;
        deliver_level(io, pin);
    }
    spin_unlock(&io->lock);
}

static uint32_t reg_read(const struct ioapic *io)
{
    unsigned pin = (io->select - (unsigned)IOREDTBL) / 2;

    if (io->select == IOAPICID || io->select == IOAPICARB)
        return io->id;
    if (io->select == IOAPICVER)
        return IOAPICVER_VAL;
    if (pin >= PINS)
        return ~0u;
    return (uint32_t)(io->select & 1 ? io->rte[pin] >> 32 : io->rte[pin]);
}

static void rte_write(struct ioapic *io, unsigned pin, bool high, uint32_t val)
{
    uint64_t old = io->rte[pin];
    uint64_t rte = high ? (uint64_t)val << 32 | (uint32_t)old : (old & GENMASK(63, 32)) | val;

    io->rte[pin] = (rte & RTE_WRITABLE) | (rte & RTE_LEVEL ? old & RTE_REMOTE_IRR : 0);
    deliver_level(io, pin);
}

static void reg_write(struct ioapic *io, uint32_t val)
{
    unsigned pin = (io->select - (unsigned)IOREDTBL) / 2;

    if (io->select == IOAPICID)
        io->id = val & IOAPICID_ID;
    else if (pin < PINS)
        rte_write(io, pin, io->select & 1, val);
}

static void window_access(struct vcpu *v, void *dev, struct io_access *a)
{
    struct ioapic *io = dev;

    if (a->size != 4)
        return;
    if (a->addr == IOEOI && a->write) {
        ioapic_eoi(v->vm, (uint8_t)a->data);
        return;
    }
    spin_lock(&io->lock);
    if (a->addr == IOREGSEL && a->write)
        io->select = (uint8_t)a->data;
    else if (a->addr == IOREGSEL)
        a->data = io->select;
    else if (a->addr == IOWIN && a->write)
        reg_write(io, (uint32_t)a->data);
    else if (a->addr == IOWIN)
        a->data = reg_read(io);
    spin_unlock(&io->lock);
}

void ioapic_reset(struct vm *vm)
{
    struct ioapic *io = vm->ioapic;

    spin_lock(&io->lock);
    io->select = 0;
    io->id = 0;
    for (unsigned pin = 0; pin < PINS; pin++)
        io->rte[pin] = RTE_MASKED;
    spin_unlock(&io->lock);
}

int ioapic_create(struct vm *vm)
{
    struct ioapic *io = heap_alloc(sizeof(*io));
    int err;

    if (!io)
        return -ENOMEM;
    vm->ioapic = io;
    io->vm = vm;
    ioapic_reset(vm);
    err = vm_io_register(vm, IO_MEM, GPA_IOAPIC, WINDOW, window_access, io);
    if (err)
        ioapic_destroy(vm);
    return err;
}

void ioapic_destroy(struct vm *vm)
{
    if (!vm->ioapic)
        return;
    vm_io_unregister(vm, IO_MEM, GPA_IOAPIC);
    heap_free(vm->ioapic, sizeof(*vm->ioapic));
    vm->ioapic = NULL;
}
