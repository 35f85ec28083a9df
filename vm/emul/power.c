/* SPDX-License-Identifier: BSD-2-Clause */
/* Off and reset: the ports that the FADT names (ACPI 6.5 4.8.3.7, 4.8.3.6), and the keyboard controller's
 * reset line. */
#include "kernel/lib/bits.h"
#include "vm/emul/emul.h"
#include "vm/emul/tables.h"
#include "vm/vcpu.h"
#include "vm/vm.h"

/* Sleep control register, ACPI 6.5 table 4.19 */
#define SLP_TYP    GENMASK(4, 2)
#define SLP_TYP_S5 5 /* as \_S5 in dsdt.asl says */
#define SLP_EN     BIT(5)

#define RESET_CPU BIT(2) /* of port CF9h */

#define I8042_COMMAND 0x64
#define I8042_RESET   0xfe

#define PORT_B     0x61 /* NMI status and speaker */
#define PORT_DELAY 0x80 /* power-on codes; written to lose a microsecond */

static void sleep_access(struct vcpu *v, void *dev, struct io_access *a)
{
    (void)dev;
    if (!a->write)
        a->data = 0; /* control reads as nothing set, status as never slept */
    else if (a->addr == 0 && (a->data & SLP_EN) && FIELD_GET(SLP_TYP, a->data) == SLP_TYP_S5)
        vm_power(v->vm, VM_POWER_OFF);
}

static void reset_access(struct vcpu *v, void *dev, struct io_access *a)
{
    (void)dev;
    if (!a->write)
        a->data = 0;
    else if (a->data & RESET_CPU)
        vm_power(v->vm, VM_POWER_RESET);
}

/* There is no keyboard: reads give all ones. */
static void i8042_access(struct vcpu *v, void *dev, struct io_access *a)
{
    (void)dev;
    if (a->write && (uint8_t)a->data == I8042_RESET)
        vm_power(v->vm, VM_POWER_RESET);
}

static void zero_access(struct vcpu *v, void *dev, struct io_access *a)
{
    (void)v;
    (void)dev;
    if (!a->write)
        a->data = 0;
}

int power_create(struct vm *vm)
{
    static const struct {
        uint16_t port, size;
        io_fn *fn;
    } ports[] = {
        {POWER_SLEEP_CONTROL, 2, sleep_access}, {POWER_RESET, 1, reset_access},
        {I8042_COMMAND, 1, i8042_access},       {PORT_B, 1, zero_access},
        {PORT_DELAY, 1, zero_access},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(ports); i++) {
        int err = vm_io_register(vm, IO_PORT, ports[i].port, ports[i].size, ports[i].fn, NULL);

        while (err && i > 0)
            vm_io_unregister(vm, IO_PORT, ports[--i].port);
        if (err)
            return err;
    }
    return 0;
}
