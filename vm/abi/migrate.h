/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Moving a guest from one VF to another while it runs: what the I/O domain, which knows the device, may ask of the hypervisor, which does not. One move at a
 * time. HC_MOVE: RDI = enum move_step, RSI = address of a struct move. HC_ORDER: RDI = address of a struct move_order, RSI = vector that the caller's first
 * processor is to be sent when there is an order; returns 1 with an order, 0 if there is none.
 */
#pragma once

#include <stdint.h>

#define MOVE_VERSION    3
#define MOVE_ALONE      0xffffffffu /* for `to`: the VF is only to be quiesced */
#define MOVE_COPY_MAX   65536u      /* bytes of one MOVE_READ or MOVE_WRITE */
#define MOVE_PAGES_MAX  64u         /* that MOVE_MAP may map */
#define MOVE_RECORD_MAX 512u

/* States of a VF in the words of Linux's VFIO migration protocol, version 2, and with its numbers. Of a move without a destination that one is MOVE_ERROR. */
enum move_state {
    MOVE_ERROR = 0,
    MOVE_STOP = 1,
    MOVE_RUNNING = 2,
    MOVE_STOP_COPY = 3,
    MOVE_RESUMING = 4,
    MOVE_PRE_COPY = 6, /* reserved: nothing goes there */
};

/*
 * The steps in their order. Each is refused with -EINVAL and changes nothing where the states do not allow it. All but MOVE_CHECK and MOVE_BEGIN belong to
 * the move that is under way, whatever nic, from, to_nic and to say.
 */
enum move_step {
    MOVE_CHECK, /* as MOVE_BEGIN, but nothing begins */
    MOVE_BEGIN, /* -EBUSY: another move, or `to` is somebody's; -EAGAIN: `to` is not clean yet, `from` is in a reset; -ENODEV: another model;
                     -ESRCH: no guest that runs has `from`; -EPERM: `from` is in quarantine; -EACCES: no order of the last 10 s says so. `to` reaches an empty staging domain */
    MOVE_MAP,   /* I/O virtual page `at` of the staging domain is the caller's page `own` */
    MOVE_FREEZE,  /* the guest's processors leave it: -EAGAIN until all have */
    MOVE_QUIESCE, /* `from`, whose queues are off, has Bus Master off and interrupts held; it is out of the guest's memory, and drained. Returns 1 if
                     transactions were still pending after 1 ms */
    MOVE_READ, /* `length` bytes of the guest's RAM, from `at` on, to the caller's `own`, which crosses no border of 2 MiB */
    MOVE_WRITE,  /* the other way */
    MOVE_RECORD, /* the caller's `own` holds `length` bytes (at most MOVE_RECORD_MAX) that the next I/O domain would need if this one dies after MOVE_SWITCH */
    MOVE_SWITCH, /* the guest's function is `to` from here on: registers, interrupts (each raised once), DMA; and `length` bytes at `own` are in its RAM from
                     `at` on. Neither range crosses a border of 2 MiB. All of that, or with an error nothing that MOVE_ABORT does not take back */
    MOVE_ABORT, /* until MOVE_SWITCH: the guest has `from` as it was (each interrupt raised once), and stands still if it did; `to` is reset */
    MOVE_SAVE, /* the guest's records are kept, with that of MOVE_RECORD for its VF, and it is stopped: the move is over. -ENODEV: it has more than one function; -ENOMEM */
    MOVE_RESUME, /* after MOVE_SWITCH or MOVE_ABORT: it goes on; `from` is reset if it has it no more. Returns the ns that it stood still */
    MOVE_STEPS
};

struct move {
    uint32_t version, size;         /* MOVE_VERSION, of this structure */
    uint32_t nic, from, to_nic, to; /* as HC_VF_STATUS has them */
    uint32_t length, pad;
    uint64_t at, own;
};

/*
 * ORDER_WAKE comes after a move that the hypervisor had to end because the I/O domain died or stood still: VF `from` is its guest's again, or (with a record)
 * still; its queues, filters and tails are to be put right. ORDER_SAVE: as ORDER_QUIESCE, to be ended with MOVE_RECORD and MOVE_SAVE. ORDER_LOAD: the guest is
 * back and stands still, with `to`, which is as after its reset and is to become what `record` says of `from`, which the guest had: MOVE_BEGIN makes `to` source and
 * destination of a move that begins with what MOVE_QUIESCE leads to. If it ends with MOVE_ABORT, the guest remains saved.
 */
enum move_op {
    ORDER_MOVE = 1,
    ORDER_DRY_RUN,
    ORDER_QUIESCE,
    ORDER_RESUME,
    ORDER_WAKE,
    ORDER_SAVE,
    ORDER_LOAD
};

struct move_order {
    uint32_t version, size;
    uint32_t op, nic, from, to;
    char guest[16];
    uint32_t to_nic, length;
    uint8_t record[MOVE_RECORD_MAX];
};
