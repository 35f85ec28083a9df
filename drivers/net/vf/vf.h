/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Contract of a NIC whose driver can move a guest from one of its channels (VFs) to another, of the same NIC or of another with the same driver, while the guest
 * runs: frames are parked, the VF is silenced, its state is saved and loaded into the other. drivers/svc/migrate.c calls the steps in the order of struct vf_ops,
 * one move at a time, each with the source's NIC, and asks the hypervisor for what the driver cannot do. Errors are negative errno; a step that fails leaves it to
 * the caller to undo(). Whatever dies before the destination is the guest's, the source needs no more than queues switched on and filters; and of the destination,
 * afterwards, only tails and filters.
 */
#pragma once

#include <stdbool.h>
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
    /* NULL, or the reason for which a move to channel `to` of `dest` is refused. To itself: the VF is to be quiesced only. */
    const char *(*refuses)(struct nic *nic, unsigned from, struct nic *dest, unsigned to);
    /* Prepares the destination in its staging domain, heads up to where the source's are now. */
    int (*stage)(struct nic *nic, unsigned from, struct nic *dest, unsigned to, const struct vf_host *host);
    /* From here on the guest's frames go to the parking queue. */
    void (*park)(struct nic *nic);
    /* Takes in what has come for it. */
    void (*poll)(struct nic *nic);
    /* The guest stands still. -EAGAIN: it was in the middle of something that only it can end. */
    int (*stop)(struct nic *nic);
    /* The VF is silent. */
    int (*save)(struct nic *nic);
    /* Puts parked frames into the guest's buffers as the NIC would have, as long as there is room for them, and what the NIC says of them into a copy of its ring. */
    int (*replay)(struct nic *nic);
    /* That copy: it must be at `*at` in the guest's memory when the destination is the guest's, and not before. */
    const void *(*ring)(struct nic *nic, uint64_t *at, uint32_t *length);
    /* Brings the destination to where the guest's VF stands now, but for its tails. May be called again after more frames were replayed. */
    int (*load)(struct nic *nic);
    /* The destination is the guest's: its tails, its filters; frames flow. */
    void (*start)(struct nic *nic);
    /* The guest runs; what is left to do. */
    void (*finish)(struct nic *nic);
    /*
     * After a move to another NIC, a few times: tells the network once more where the guest's addresses are now. What still comes to the source is handed on,
     * until the `last` time. Returns how many frames that were.
     */
    unsigned (*announce)(bool last);
    /* The source is as it was before stage(). `still`: the guest stands still if it did; else it goes on already, and wake() comes. */
    void (*undo)(struct nic *nic, bool still);
    /*
     * A VF that a driver left silent goes on; its guest stands still, but ran meanwhile. `record` is of the move in which it was left, of which this is the
     * destination; or its length is 0, and it is the source.
     */
    int (*wake)(struct nic *nic, unsigned vf, const void *record, uint32_t length);
    const void *(*record)(struct nic *nic, uint32_t *length);
    /*
     * A guest that is saved, and comes back later: pack(), after save() with no frames parked, gives the record with all that its VF is. unpack(): brings `nic`'s channel `vf`, which is as after a reset, to what the record says, as stage() and save() do; load() and
     * record() follow, and go_on() in the place of start() and finish(). `old` and `was`: what the guest had.
     */
    const void *(*pack)(struct nic *nic, uint32_t *length);
    int (*unpack)(struct nic *nic, unsigned vf, const void *record, uint32_t length,
                  const struct vf_host *host);
    int (*go_on)(struct nic *old, unsigned was);
    const struct vf_figures *(*figures)(struct nic *nic);
    unsigned (*accesses)(void); /* to registers, since start */
};
