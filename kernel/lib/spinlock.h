/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ticket lock. The hypervisor runs with interrupts off but for windows (ARCHITECTURE.md, section 5) in which no lock is held;
 * so there is no interrupt-saving variant. Order of locks: ARCHITECTURE.md, "Locks".
 */
#pragma once

#include <stdint.h>

struct spinlock {
    uint16_t next, owner;
};

static inline void spin_lock(struct spinlock *l)
{
    uint16_t me = __atomic_fetch_add(&l->next, 1, __ATOMIC_RELAXED);

    while (__atomic_load_n(&l->owner, __ATOMIC_ACQUIRE) != me)
        __builtin_ia32_pause();
}

static inline void spin_unlock(struct spinlock *l)
{
    __atomic_store_n(&l->owner, (uint16_t)(l->owner + 1), __ATOMIC_RELEASE);
}

/* Holds the lock from here to the end of the block, however that is left. */
#define spin_guard(lock)                                                                                     \
    __attribute__((cleanup(spin_guard_end))) struct spinlock *spin_guarded = (lock);                         \
    spin_lock(spin_guarded)

static inline void spin_guard_end(struct spinlock **l)
{
    spin_unlock(*l);
}
