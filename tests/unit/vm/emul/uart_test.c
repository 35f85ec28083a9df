/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/test.h"

#include "tests/unit/fake/console.c"
#include "tests/unit/fake/heap.c"
#include "tests/unit/fake/platform.c"

#include "vm/emul/uart.c"

static bool irq_level;
static unsigned irq_edges;

void ioapic_set_irq(struct vm *vm, unsigned pin, bool level)
{
    (void)vm;
    CHECK_EQ(pin, 4);
    irq_edges += level && !irq_level;
    irq_level = level;
}

static struct vcpu *v;
static struct vm *vm;

static void setup(void)
{
    vm = fake_vm_init(1);
    v = &fake_vm.vcpu[0];
    irq_level = false;
    irq_edges = 0;
    fake_console_len = 0;
    fake_console[0] = 0;
    CHECK_EQ(uart_create(vm), 0);
}

static void teardown(void)
{
    fake_channels[0].open = false;
    heap_free(vm->uart, sizeof(*vm->uart));
    CHECK_EQ(fake_heap_out, 0);
}

static uint8_t in(unsigned reg)
{
    return (uint8_t)fake_io_read(v, IO_PORT, UART_PORT + reg, 1);
}

static void out(unsigned reg, unsigned val)
{
    fake_io_write(v, IO_PORT, UART_PORT + reg, 1, val);
}

static void key(char c)
{
    fake_channels[0].input(fake_channels[0].arg, c);
}

TEST(output_is_not_held_back)
{
    setup();
    out(REG_DATA, 'a');
    CHECK(!strcmp(fake_console, "a"));
    CHECK_EQ(in(REG_LSR), LSR_THRE | LSR_TEMT);
    out(REG_DATA, '\n');
    for (unsigned i = 0; i < 20; i++)
        out(REG_DATA, 'x');
    CHECK_EQ(fake_console_len, 22);
    teardown();
}

/* What Linux' 8250 driver does to find out what it has. */
TEST(linux_finds_a_16550a)
{
    unsigned count = 0;

    setup();
    out(REG_IER, 0);
    CHECK_EQ(in(REG_IER), 0);
    out(REG_IER, 0xff);
    CHECK_EQ(in(REG_IER), 0x0f);
    out(REG_IER, 0);
    out(REG_MCR, MCR_LOOP | MCR_OUT2 | MCR_RTS);
    CHECK_EQ(in(REG_MSR)&0xf0, 0x90);
    out(REG_MCR, MCR_LOOP | MCR_DTR | MCR_OUT1);
    CHECK_EQ(in(REG_MSR)&0xf0, 0x60);
    out(REG_MCR, 0);
    out(REG_LCR, 0xbf); /* no extended registers of later chips */
    CHECK_EQ(in(REG_IIR), IIR_NONE);
    out(REG_LCR, 0);
    out(REG_FCR, FCR_ENABLE);
    CHECK_EQ(in(REG_IIR) >> 6, 3);
    out(REG_LCR, 0xbf);
    CHECK(in(REG_IIR) != 0);
    out(REG_LCR, LCR_DLAB);
    out(REG_FCR, FCR_ENABLE | BIT32(5)); /* no 64-byte FIFO */
    CHECK_EQ(in(REG_IIR) >> 5, 6);
    out(REG_LCR, 0);
    out(REG_FCR, 0x07);
    out(REG_MCR, MCR_LOOP); /* how long is the FIFO? */
    for (unsigned i = 0; i < 256; i++)
        out(REG_DATA, i);
    while (in(REG_LSR)&LSR_DR) {
        CHECK_EQ(in(REG_DATA), count);
        count++;
    }
    CHECK_EQ(count, 16);
    CHECK_EQ(fake_console_len, 0);
    out(REG_SCR, 0x5a);
    CHECK_EQ(in(REG_SCR), 0x5a);
    out(REG_LCR, LCR_DLAB);
    out(0, 0x34);
    out(1, 0x12);
    CHECK_EQ(in(0), 0x34);
    CHECK_EQ(in(1), 0x12);
    out(REG_LCR, 0x03);
    CHECK_EQ(in(REG_LCR), 0x03);
    CHECK_EQ(in(REG_IER), 0);
    out(REG_MCR, 0);
    CHECK_EQ(in(REG_MSR), MSR_READY);
    teardown();
}

TEST(transmitter_interrupt)
{
    setup();
    out(REG_MCR, MCR_OUT2);
    out(REG_IER, IER_THRE);
    CHECK(irq_level);
    CHECK_EQ(in(REG_IIR), IIR_THRE);
    CHECK(!irq_level);
    CHECK_EQ(in(REG_IIR), IIR_NONE);  /* reading it has cleared it */
    out(REG_IER, IER_THRE | IER_RDA); /* it was on */
    CHECK_EQ(in(REG_IIR), IIR_NONE);
    out(REG_IER, 0);
    out(REG_IER, IER_THRE); /* again, as Linux' test for a broken one wants */
    CHECK_EQ(in(REG_IIR), IIR_THRE);
    out(REG_DATA, 'x');
    CHECK(irq_level);
    CHECK_EQ(irq_edges, 3);
    out(REG_MCR, 0); /* OUT2 gates it */
    CHECK(!irq_level);
    teardown();
}

TEST(receiver_interrupt)
{
    setup();
    out(REG_MCR, MCR_OUT2);
    key('a');
    CHECK(!irq_level);
    out(REG_IER, IER_RDA);
    CHECK(irq_level);
    CHECK_EQ(in(REG_IIR), IIR_RDA);
    CHECK_EQ(in(REG_LSR)&LSR_DR, LSR_DR);
    CHECK_EQ(in(REG_DATA), 'a');
    CHECK(!irq_level);
    out(REG_FCR, FCR_ENABLE | 0x40); /* trigger levels are not waited for */
    key('b');
    CHECK_EQ(in(REG_IIR), IIR_FIFO | IIR_RDA);
    out(REG_FCR, FCR_ENABLE | FCR_CLEAR_RX);
    CHECK_EQ(in(REG_IIR), IIR_FIFO | IIR_NONE);
    key('c');
    out(REG_FCR, 0); /* switching it off clears it */
    CHECK_EQ(in(REG_IIR), IIR_NONE);
    CHECK_EQ(in(REG_DATA), 0);
    teardown();
}

TEST(priorities)
{
    setup();
    out(REG_MCR, MCR_OUT2);
    out(REG_IER, IER_RDA | IER_THRE);
    for (unsigned i = 0; i < RX_QUEUE + 1; i++)
        key((char)i);
    CHECK_EQ(in(REG_LSR), LSR_DR | LSR_THRE | LSR_TEMT);
    CHECK_EQ(in(REG_IIR), IIR_RDA);
    for (unsigned i = 0; i < RX_QUEUE; i++)
        CHECK_EQ(in(REG_DATA), i & 0xff);
    CHECK_EQ(in(REG_IIR), IIR_THRE);
    CHECK_EQ(in(REG_IIR), IIR_NONE);
    CHECK_EQ(irq_edges, 1);
    teardown();
}

TEST(other_sizes_and_states)
{
    setup();
    CHECK_EQ(fake_io_read(v, IO_PORT, UART_PORT, 2), 0xffff);
    fake_io_write(v, IO_PORT, UART_PORT, 4, 0x41414141);
    (void)in(REG_LSR);
    CHECK_EQ(fake_console_len, 0);
    vm->state = VM_STOPPED; /* keys for a guest that is down are lost */
    key('x');
    CHECK_EQ(in(REG_LSR)&LSR_DR, 0);
    teardown();
}

TEST(creation_fails)
{
    vm = fake_vm_init(1);
    fake_vm.register_fails_after = 1;
    CHECK_EQ(uart_create(vm), -ENOSPC);
    teardown();
    fake_heap_fail_after = 0;
    CHECK_EQ(uart_create(vm), -ENOMEM);
    fake_heap_fail_after = -1;
}

TEST_MAIN()
