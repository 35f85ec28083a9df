/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Contract of a NIC whose driver can move a guest from one of its channels (VFs) to another while the guest runs: frames are parked, the VF is silenced, its
 * state is saved and loaded into the other. drivers/svc/migrate.c calls the steps in the order of struct vf_ops, one move at a time, and asks the hypervisor for
 * what the driver cannot do. Errors are negative errno; a step that fails leaves it to the caller to unreplay() and undo().
 */
#pragma once

#include <stdint.h>

struct nic;

/* What the driver may ask for. */
struct vf_host {
    int (*map)(uint64_t iova, void *page); /* for the destination, as long as it is not the guest's */
    int (*read)(
        uint64_t at, void *own,
        uint32_t
            length); /* the guest's memory, while it stands still and its VF is silent. `own`: inside 2 MiB */
    int (*write)(uint64_t at, const void *own, uint32_t length);
};

/* Evidence. Of heads: when the VF was silent, and what the guest goes on with. */
struct vf_figures {
    unsigned rx_head[2], rx_tail, tx_head[2], tx_tail;
    unsigned polls; /* looks at queues until they were off */
    unsigned parked, replayed, looped, overflowed;
};

struct vf_ops {
    /* NULL, or the reason for which a move is refused. to == from: the VF is to be quiesced only. */
    const char *(*refuses)(struct nic *nic, unsigned from, unsigned to);
    /* Prepares the destination in its staging domain, heads up to where the source's are now. */
    int (*stage)(struct nic *nic, unsigned from, unsigned to, const struct vf_host *host);
    /* From here on the guest's frames go to the parking queue. */
    void (*park)(struct nic *nic);
    /* Takes in what has come for it. */
    void (*poll)(struct nic *nic);
    /* The guest stands still. -EAGAIN: it was in the middle of something that only it can end. */
    int (*stop)(struct nic *nic);
    /* The VF is silent. */
    int (*save)(struct nic *nic);
    /* Puts parked frames into the guest's memory as the NIC would have, as long as there is room for them. */
    int (*replay)(struct nic *nic);
    /* Brings the destination's heads to where the guest's rings stand now. May be called again after more frames were replayed. */
    int (*load)(struct nic *nic);
    /* The destination is the guest's: everything else of its state, its tails, its filters; frames flow. */
    void (*start)(struct nic *nic);
    /* The guest runs; what is left to do. */
    void (*finish)(struct nic *nic);
    /* Takes replay() back; before the guest's memory is out of reach. */
    void (*unreplay)(struct nic *nic);
    /* The source is the guest's again, which still stands still if it did: as it was before stage(). */
    void (*undo)(struct nic *nic);
    /* A VF that a dead driver left silent goes on; its guest stands still. `record` is of the move that it died in, or its length is 0. */
    int (*wake)(struct nic *nic, unsigned vf, const void *record, uint32_t length);
    const void *(*record)(struct nic *nic, uint32_t *length);
    const struct vf_figures *(*figures)(struct nic *nic);
    unsigned (*accesses)(void); /* to registers, since start */
};
