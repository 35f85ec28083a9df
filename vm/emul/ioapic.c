/* SPDX-License-Identifier: BSD-2-Clause */
/* I/O APIC: 82093AA (Intel 290566). */
#include "kernel/mm/heap.h"
#include "vm/emul/emul.h"
#include "vm/emul/lapic.h"
#include "vm/emul/regs.h"
#include "vm/migrate/state.h"
#include "vm/vcpu.h"
#include "vm/vm.h"

#define PINS 24

/* Window, 3.1 */
#define IOREGSEL 0x00
#define IOWIN    0x10
#define WINDOW   0x1000

/* Registers behind it, 3.2 */
#define IOAPICID      0x00
#define IOAPICID_ID   GENMASK32(27, 24)
#define IOAPICVER     0x01
#define IOAPICVER_VAL ((PINS - 1) << 16 | 0x11)
#define IOAPICARB     0x02
#define IOREDTBL      0x10 /* two a pin */

/* Low half of an entry; vector, delivery mode and trigger stand where an MSI's data has them. */
#define RTE_MSI        (MSI_VECTOR | MSI_MODE | MSI_TRIGGER)
#define RTE_VECTOR     MSI_VECTOR
#define RTE_LOGICAL    BIT32(11)
#define RTE_REMOTE_IRR BIT32(14) /* RO */
#define RTE_LEVEL      MSI_TRIGGER
#define RTE_MASKED     BIT32(16)
#define RTE_WRITABLE   (GENMASK32(16, 15) | BIT32(13) | GENMASK32(11, 0))
/* High half */
#define RTE_DEST GENMASK32(31, 24)

/* The record. */
struct ioapic_state {
    uint32_t select, id;
    uint32_t lines; /* bit n: pin n is asserted */
    uint32_t pad;
    uint32_t rte[PINS][2];
};

struct ioapic {
    struct spinlock lock; /* taken before any vCPU's; local APICs have none */
    struct vm *vm;
    struct ioapic_state s;
};

/* An entry says what an MSI would say. Lock held. */
static void deliver(struct ioapic *io, unsigned pin)
{
    uint32_t *rte = io->s.rte[pin];
    uint64_t address = MSI_ADDRESS | FIELD_PREP(MSI_DEST, FIELD_GET(RTE_DEST, rte[1])) |
                       (rte[0] & RTE_LOGICAL ? MSI_LOGICAL : 0);

    if (rte[0] & RTE_LEVEL)
        rte[0] |= RTE_REMOTE_IRR;
    lapic_message(io->vm, address, (rte[0] & RTE_MSI) | (rte[0] & RTE_LEVEL ? MSI_LEVEL : 0));
}

/* A level pin that is asserted and not yet being served. Lock held. */
static void deliver_level(struct ioapic *io, unsigned pin)
{
    if ((io->s.rte[pin][0] & (RTE_LEVEL | RTE_MASKED | RTE_REMOTE_IRR)) == RTE_LEVEL &&
        (io->s.lines & BIT32(pin)))
        deliver(io, pin);
}

/* An edge on a masked pin is lost (82093AA 3.2.4, interrupt mask). */
void ioapic_set_irq(struct vm *vm, unsigned pin, bool level)
{
    struct ioapic *io = vm->ioapic;
    bool was;
    spin_guard(&io->lock);

    was = io->s.lines & BIT32(pin);
    io->s.lines = (io->s.lines & ~BIT32(pin)) | (uint32_t)level << pin;
    if (level && !was && !(io->s.rte[pin][0] & (RTE_LEVEL | RTE_MASKED)))
        deliver(io, pin);
    deliver_level(io, pin);
}

void ioapic_eoi(struct vm *vm, uint8_t vector)
{
    struct ioapic *io = vm->ioapic;
    spin_guard(&io->lock);

    for (unsigned pin = 0; pin < PINS; pin++) {
        if ((io->s.rte[pin][0] & (RTE_REMOTE_IRR | RTE_VECTOR)) != (RTE_REMOTE_IRR | vector))
            continue;
        io->s.rte[pin][0] &= ~RTE_REMOTE_IRR;
        deliver_level(io, pin);
    }
}

static uint32_t reg_read(const struct ioapic *io)
{
    unsigned i = io->s.select - (unsigned)IOREDTBL;

    if (io->s.select == IOAPICID || io->s.select == IOAPICARB)
        return io->s.id;
    if (io->s.select == IOAPICVER)
        return IOAPICVER_VAL;
    return i < 2 * PINS ? io->s.rte[i / 2][i % 2] : ~0u;
}

static void reg_write(struct ioapic *io, uint32_t val)
{
    unsigned i = io->s.select - (unsigned)IOREDTBL, pin = i / 2;

    if (io->s.select == IOAPICID)
        io->s.id = val & IOAPICID_ID;
    if (pin >= PINS)
        return;
    if (i % 2)
        io->s.rte[pin][1] = val & RTE_DEST;
    else
        io->s.rte[pin][0] = (val & RTE_WRITABLE) | (val & RTE_LEVEL ? io->s.rte[pin][0] & RTE_REMOTE_IRR : 0);
    deliver_level(io, pin);
}

static void window_access(UNUSED struct vcpu *v, void *dev, struct io_access *a)
{
    struct ioapic *io = dev;
    spin_guard(&io->lock);

    if (a->size != 4)
        return;
    if (a->addr == IOREGSEL && a->write)
        io->s.select = (uint8_t)a->data;
    else if (a->addr == IOREGSEL)
        a->data = io->s.select;
    else if (a->addr == IOWIN && a->write)
        reg_write(io, (uint32_t)a->data);
    else if (a->addr == IOWIN)
        a->data = reg_read(io);
}

void ioapic_reset(struct vm *vm)
{
    struct ioapic *io = vm->ioapic;
    spin_guard(&io->lock);

    io->s.select = 0;
    io->s.id = 0;
    for (unsigned pin = 0; pin < PINS; pin++) {
        io->s.rte[pin][0] = RTE_MASKED;
        io->s.rte[pin][1] = 0;
    }
}

static void *ioapic_at(struct vm *vm, UNUSED unsigned i)
{
    return &vm->ioapic->s;
}

static const char *ioapic_check(UNUSED const struct vm *vm, UNUSED unsigned i, const void *data)
{
    const struct ioapic_state *s = data;

    for (unsigned pin = 0; pin < PINS; pin++)
        if ((s->rte[pin][0] & ~(RTE_WRITABLE | RTE_REMOTE_IRR)) || (s->rte[pin][1] & ~RTE_DEST))
            return "entry";
    return s->select > UINT8_MAX ? "select" : s->id & ~IOAPICID_ID ? "id" : s->lines >> PINS ? "lines" : NULL;
}

const struct state_part ioapic_part = {
    "ioapic", sizeof(struct ioapic_state), false, ioapic_at, NULL, ioapic_check, NULL};

int ioapic_create(struct vm *vm)
{
    vm->ioapic = heap_alloc(sizeof(*vm->ioapic));
    if (!vm->ioapic)
        return -ENOMEM;
    vm->ioapic->vm = vm;
    ioapic_reset(vm);
    return vm_io_register(vm, IO_MEM, GPA_IOAPIC, WINDOW, window_access, vm->ioapic);
}
