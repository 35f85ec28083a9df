/* SPDX-License-Identifier: BSD-2-Clause */
/* Does a guest start, with its command line, on a hypervisor that says so? */
#include "tests/guest/lib/lib.h"
#include "vm/abi/hypercall.h"

int main(const char *cmdline)
{
    struct cpuid_regs r = cpuid(0x40000000, 0);
    char name[13] = {0};

    memcpy(name, &r.ebx, 4);
    memcpy(name + 4, &r.ecx, 4);
    memcpy(name + 8, &r.edx, 4);
    print("hello: command line '%s'\n", cmdline);
    print("hello: hypervisor '%s' abi %ld\n", name, hypercall(HC_VERSION, 0, 0, 0));
    if (option(cmdline, "reset", 0))
        reset();
    print("hello: done\n");
    return 0;
}
