/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hypercalls: VMMCALL (AMD) or VMCALL (Intel) at CPL 0 with the number in RAX and arguments in RDI, RSI, RDX; the result (0, a count, or a
 * negative errno) comes back in RAX, all other registers stay. -ENOSYS: no such number; -EPERM: this domain may not, or CPL is not 0.
 * Addresses are guest physical and must lie in the caller's RAM.
 */
#pragma once

enum {
    HC_VERSION = 0,    /* any: returns ABI_VERSION */
    HC_LOG = 1,        /* any: RDI = address, RSI = length (1..256) of a text for the hypervisor's log; rate-limited */
    HC_NIC_READY = 2,  /* I/O domain: RDI = NIC index; its PF is up and answers VF mailboxes. Starts the guests that wait for it */
    HC_VF_STATUS = 3,  /* I/O domain: RDI = NIC index, RSI = VF index, RDX = 1 VF driver completed its reset handshake, 0 VF was reset.
                          Returns 0 while a guest uses the VF, -EBUSY while it has it closed (no link for the guest until the next reset),
                          else the number of its last reset: it waits to be found clean */
    HC_CYCLES = 4,     /* any: returns the exits of the calling vCPU so far, total or of one kind (RDI = kind + 1, 0 for the total) */
    HC_VF_CLEAN = 5,   /* I/O domain: RDI = NIC index, RSI = VF index, RDX = number of its last reset. Nothing of the last owner is left:
                          scrubbed and read back after that number was returned. The VF may be given to the next one */
    HC_ALIVE = 6,      /* I/O domain: it calls this again within RDI milliseconds (1 to 2^32 - 1). If not, it is taken for hung, and started anew.
                          Before its first call it has half a minute */
    HC_KEEP = 7,       /* I/O domain: its keepsake, IODOM_KEEP_MAX bytes that outlive it, zero when the machine starts. RDI = address,
                          RSI = length, RDX = 1: they become its first bytes, all at once; 0: its first bytes go there */
    HC_MOVE = 8,        /* I/O domain: a step of a move of a guest from one VF to another (vm/abi/migrate.h) */
    HC_ORDER = 9,       /* I/O domain: takes the operator's next order for such a move (there) */
};

#define ABI_VERSION 1
