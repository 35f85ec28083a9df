/* SPDX-License-Identifier: BSD-2-Clause */
#include "vm/emul/emul.h"
#include "vm/emul/operand.h"
#include "vm/vm.h"

void emul_io(struct vcpu *v, const struct vm_exit *e)
{
    struct io_access a = {.addr = e->io.port, .size = e->io.size, .write = !e->io.in};

    if (e->io.string) {
        vm_complain(v->vm, "INS or OUTS at port %#x, which is not emulated: #GP", e->io.port);
        vcpu_inject_gp(v);
        return;
    }
    a.data = e->io.in ? ~(uint64_t)0 : low_bytes(v->gpr[RAX], a.size);
    (void)vm_io(v, IO_PORT, &a); /* where nothing is, reads give all ones and writes are lost, as on a bus */
    if (e->io.in)
        gpr_set(v, RAX, a.size, a.data);
    vcpu_skip(v, e);
}
