/* SPDX-License-Identifier: BSD-2-Clause */
/* Off and reset: the ports that the FADT names (ACPI 6.5 4.8.3.7, 4.8.3.6), and the keyboard controller's
 * reset line. */
#include "kernel/lib/bits.h"
#include "vm/emul/emul.h"
#include "vm/emul/tables.h"
#include "vm/vcpu.h"
#include "vm/vm.h"

/* Sleep control register, ACPI 6.5 table 4.19; SLP_TYP 5 is what \_S5 in dsdt.asl says */
#define SLP_TYP    GENMASK32(4, 2)
#define SLP_TYP_S5 (5 << 2)
#define SLP_EN     BIT32(5)

#define RESET_CPU BIT32(2) /* of port CF9h */

#define I8042_COMMAND 0x64
#define I8042_RESET   0xfe

#define PORT_B     0x61 /* NMI status and speaker */
#define PORT_DELAY 0x80 /* power-on codes; written to lose a microsecond */

/* Registers of the chipset that Linux (7.3 for one) reads on a Zen to tell why it was reset; nothing answers. */
#define FCH_MMIO      0xfed80000
#define FCH_MMIO_SIZE 0x2000

static struct port {
    uint16_t number;
    uint32_t reads;
    uint8_t mask, value; /* a write with these bits does `what`; mask 0: none does anything */
    enum vm_power what;
} ports[] = {
    {POWER_SLEEP_CONTROL, 0, SLP_EN | SLP_TYP, SLP_EN | SLP_TYP_S5, VM_POWER_OFF},
    {POWER_SLEEP_STATUS, 0, 0, 0, VM_POWER_OFF}, /* never slept */
    {POWER_RESET, 0, RESET_CPU, RESET_CPU, VM_POWER_RESET},
    {I8042_COMMAND, ~0u, 0xff, I8042_RESET, VM_POWER_RESET}, /* there is no keyboard */
    {PORT_B, 0, 0, 0, VM_POWER_OFF},
    {PORT_DELAY, 0, 0, 0, VM_POWER_OFF},
};

static void port_access(struct vcpu *v, void *dev, struct io_access *a)
{
    const struct port *p = dev;

    if (!a->write)
        a->data = p->reads;
    else if (p->mask && (a->data & p->mask) == p->value)
        vm_power(v->vm, p->what);
}

static void no_answer(struct vcpu *v, void *dev, struct io_access *a)
{
    (void)v;
    (void)dev;
    (void)a;
}

int power_create(struct vm *vm)
{
    int err = vm_io_register(vm, IO_MEM, FCH_MMIO, FCH_MMIO_SIZE, no_answer, NULL);

    for (unsigned i = 0; i < ARRAY_SIZE(ports) && !err; i++)
        err = vm_io_register(vm, IO_PORT, ports[i].number, 1, port_access, &ports[i]);
    return err;
}
