/* SPDX-License-Identifier: BSD-2-Clause */
#include "vm/loader.h"
#include "kernel/lib/string.h"
#include "kernel/mm/paging.h"
#include "vm/cpustate.h"
#include "vm/hvm.h"
#include "vm/vm.h"

#define COPY_MAX SIZE_2M

int loader_load(struct vm *vm, uint64_t *done)
{
    const struct boot_start *s = &vm->cfg->start;
    uint64_t off = *done;

    for (const struct boot_piece *p = s->piece; p < s->piece + s->npieces; p++) {
        const void *from, *to;
        uint64_t n;

        if (off >= p->size) {
            off -= p->size;
            continue;
        }
        n = MIN(p->size - off, COPY_MAX);
        *done += n;
        from = hpa_to_ptr(hpa(p->source + off));
        to = p2m_ram(&vm->p2m, gpa(p->at + off), n);
        if (to && memcmp(to, from, n) == 0)
            return 1; /* code that is not written again stays in caches, which the I/O domain's restart gains by */
        return p2m_write(&vm->p2m, gpa(p->at + off), from, n) ? -EFAULT : 1;
    }
    __atomic_fetch_add(&vm->p2m.generation, 1, __ATOMIC_RELEASE); /* other code at the same addresses */
    hvm->reset(vm->vcpu[0]);
    cpustate_set(vm->vcpu[0], &s->vcpu, hvm);
    return 0;
}
