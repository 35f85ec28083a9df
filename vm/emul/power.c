/* SPDX-License-Identifier: BSD-2-Clause */
/* Off and reset: the ports that the FADT names (ACPI 6.5 4.8.3.7, 4.8.3.6), and the keyboard controller's
 * reset line. */
#include "vm/abi/platform.h"
#include "vm/emul/emul.h"
#include "vm/vcpu.h"
#include "vm/vm.h"

/* Sleep control register, ACPI 6.5 table 4.19; SLP_TYP 5 is what \_S5 in dsdt.asl says */
#define SLP_TYP    GENMASK32(4, 2)
#define SLP_TYP_S5 (5 << 2)
#define SLP_EN     BIT32(5)

#define RESET_CPU BIT32(2) /* of port CF9h */

#define I8042_COMMAND 0x64
#define I8042_RESET   0xfe

#define PORT_B 0x61 /* NMI status and speaker */

/* Registers of the chipset that Linux (7.3 for one) reads on a Zen to tell why it was reset; nothing answers. */
#define FCH_MMIO      0xfed80000
#define FCH_MMIO_SIZE 0x2000

static struct trap {
    enum io_space space;
    uint64_t base, size;
    uint64_t reads;
    uint8_t mask, value; /* a write with these bits does `what`; mask 0: none does anything */
    enum vm_end what;
} traps[] = {
    {IO_PORT, POWER_SLEEP_CONTROL, 1, 0, SLP_EN | SLP_TYP, SLP_EN | SLP_TYP_S5, VM_POWER_OFF},
    {IO_PORT, POWER_SLEEP_STATUS, 1, 0, 0, 0, VM_POWER_OFF}, /* never slept */
    {IO_PORT, POWER_RESET, 1, 0, RESET_CPU, RESET_CPU, VM_POWER_RESET},
    {IO_PORT, I8042_COMMAND, 1, ~0ull, 0xff, I8042_RESET, VM_POWER_RESET}, /* there is no keyboard */
    {IO_PORT, PORT_B, 1, 0, 0, 0, VM_POWER_OFF},
    {IO_MEM, FCH_MMIO, FCH_MMIO_SIZE, ~0ull, 0, 0, VM_POWER_OFF},
};

static void access(struct vcpu *v, void *dev, struct io_access *a)
{
    const struct trap *t = dev;

    if (!a->write)
        a->data = t->reads;
    else if (t->mask && (a->data & t->mask) == t->value)
        vm_stop(v->vm, NULL, t->what, "%s by the guest", t->what == VM_POWER_RESET ? "reset" : "powered off");
}

int power_create(struct vm *vm)
{
    int err = 0;

    for (struct trap *t = traps; t < traps + ARRAY_SIZE(traps) && !err; t++)
        err = vm_io_register(vm, t->space, t->base, t->size, access, t);
    return err;
}
