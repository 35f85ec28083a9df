/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/test.h"

#include "tests/unit/fake/heap.c"
#include "tests/unit/fake/platform.c"

#include "vm/emul/ioapic.c"

static struct {
    unsigned count;
    uint64_t address;
    uint32_t data;
} message;

void lapic_message(struct vm *vm, uint64_t address, uint32_t data)
{
    (void)vm;
    message.count++;
    message.address = address;
    message.data = data;
}

static struct vcpu *v;
static struct vm *vm;

static void setup(void)
{
    vm = fake_vm_init(1);
    v = &fake_vm.vcpu[0];
    memset(&message, 0, sizeof(message));
    CHECK_EQ(ioapic_create(vm), 0);
}

static void teardown(void)
{
    heap_free(vm->ioapic, sizeof(*vm->ioapic));
    CHECK_EQ(fake_heap_out, 0);
}

static uint32_t get(unsigned reg)
{
    fake_io_write(v, IO_MEM, GPA_IOAPIC + IOREGSEL, 4, reg);
    return (uint32_t)fake_io_read(v, IO_MEM, GPA_IOAPIC + IOWIN, 4);
}

static void put(unsigned reg, uint32_t val)
{
    fake_io_write(v, IO_MEM, GPA_IOAPIC + IOREGSEL, 4, reg);
    fake_io_write(v, IO_MEM, GPA_IOAPIC + IOWIN, 4, val);
}

TEST(registers)
{
    setup();
    CHECK_EQ(get(IOAPICVER), 0x00170011);
    put(IOAPICID, 0xffffffff);
    CHECK_EQ(get(IOAPICID), 0x0f000000);
    CHECK_EQ(get(IOREDTBL), 0x10000);
    CHECK_EQ(get(IOREDTBL + 47), 0);
    put(IOREDTBL + 47, 0xffffffff);
    CHECK_EQ(get(IOREDTBL + 47), 0xff000000);
    put(IOREDTBL + 46, 0xffffffff);
    CHECK_EQ(get(IOREDTBL + 46), 0x1afff); /* not the read-only bits */
    CHECK_EQ(get(IOREDTBL + 48), 0xffffffff);
    CHECK_EQ(get(0xff), 0xffffffff);
    CHECK_EQ(get(0x05), 0xffffffff);
    put(0x05, 0);
    CHECK_EQ(fake_io_read(v, IO_MEM, GPA_IOAPIC + IOREGSEL, 4), 0x05);
    CHECK_EQ(fake_io_read(v, IO_MEM, GPA_IOAPIC + IOWIN, 2), 0xffff);
    CHECK_EQ(fake_io_read(v, IO_MEM, GPA_IOAPIC + 0x20, 4), 0xffffffff);
    teardown();
}

TEST(edge_pin)
{
    setup();
    put(IOREDTBL + 9, 2u << 24);
    put(IOREDTBL + 8, 0x835);
    ioapic_set_irq(vm, 4, true);
    CHECK_EQ(message.count, 1);
    CHECK_EQ(message.address, 0xfee02004);
    CHECK_EQ(message.data, 0x35);
    ioapic_set_irq(vm, 4, true); /* still up: no edge */
    CHECK_EQ(message.count, 1);
    ioapic_set_irq(vm, 4, false);
    ioapic_set_irq(vm, 4, true);
    CHECK_EQ(message.count, 2);
    ioapic_set_irq(vm, 4, false);
    put(IOREDTBL + 8, 0x10035);
    ioapic_set_irq(vm, 4, true); /* masked: lost */
    put(IOREDTBL + 8, 0x35);
    CHECK_EQ(message.count, 2);
    teardown();
}

TEST(level_pin)
{
    setup();
    put(IOREDTBL + 20, 0x8040);
    ioapic_set_irq(vm, 10, true);
    CHECK_EQ(message.count, 1);
    CHECK_EQ(message.data, 0xc040);
    CHECK_EQ(get(IOREDTBL + 20), 0xc040); /* remote IRR */
    ioapic_set_irq(vm, 10, false);
    ioapic_set_irq(vm, 10, true); /* being served: waits */
    CHECK_EQ(message.count, 1);
    ioapic_eoi(vm, 0x41);
    CHECK_EQ(message.count, 1);
    ioapic_eoi(vm, 0x40); /* still asserted: again */
    CHECK_EQ(message.count, 2);
    ioapic_set_irq(vm, 10, false);
    ioapic_eoi(vm, 0x40);
    CHECK_EQ(get(IOREDTBL + 20), 0x8040);
    CHECK_EQ(message.count, 2);
    put(IOREDTBL + 20, 0x18040);
    ioapic_set_irq(vm, 10, true); /* masked: held */
    CHECK_EQ(message.count, 2);
    put(IOREDTBL + 20, 0x8040);
    CHECK_EQ(message.count, 3);
    put(IOREDTBL + 20, 0x10040); /* to edge: remote IRR goes */
    CHECK_EQ(get(IOREDTBL + 20), 0x10040);
    teardown();
}

TEST(delivery_modes_pass_through)
{
    setup();
    put(IOREDTBL + 8, 0x135);
    ioapic_set_irq(vm, 4, true);
    CHECK_EQ(message.data, 0x135);
    teardown();
}

TEST(creation_and_failure)
{
    setup();
    CHECK_EQ(get(IOREDTBL + 8), 0x10000);
    teardown();
    fake_vm.register_fails_after = 1;
    CHECK_EQ(ioapic_create(vm), -ENOSPC);
    heap_free(vm->ioapic, sizeof(*vm->ioapic));
    CHECK_EQ(fake_heap_out, 0);
    fake_heap_fail_after = 0;
    CHECK_EQ(ioapic_create(vm), -ENOMEM);
    fake_heap_fail_after = -1;
}

TEST_MAIN()
