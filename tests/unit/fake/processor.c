/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The processor's description and the permission maps as the boot loader hands them over. The test includes boot/cpu.c and
 * boot/permissions.c, and answers CPUID and RDMSR (fake/x86.h).
 */
#include "boot/check.h"
#include "boot/cpu.h"
#include "boot/permissions.h"

struct boot_cpu hvm_cpu;
static uint8_t maps[BOOT_MAPS_BYTES];

/* NULL, or what the boot loader refuses the processor for; `virt` is what it must have. */
static const char *look(enum boot_virt virt)
{
    struct boot_facts f = {0};

    cpu_look(&f);
    hvm_cpu = f.machine.processor;
    hvm_cpu.maps = ptr_to_hpa(maps).a;
    permissions_fill(maps, &hvm_cpu);
    return hvm_cpu.virt != virt ? "not there" : f.virt_locked ? "locked" : f.cpu_lacks;
}
