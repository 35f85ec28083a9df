/* SPDX-License-Identifier: BSD-2-Clause */
#include "vm/emul/decode.h"
#include "vm/emul/emul.h"
#include "vm/emul/operand.h"
#include "vm/guestmem.h"
#include "vm/vcpu.h"
#include "vm/vm.h"

/* Not every CPU says which segment and address size a string instruction has, so it is decoded. */
static void string_io(struct vcpu *v)
{
    uint8_t buf[INSN_MAX];
    unsigned n = guest_fetch(v, buf);
    struct insn insn;

    if (insn_decode(buf, n, guest_bits(v), &insn) || (insn.op != INSN_INS && insn.op != INSN_OUTS))
        return; /* the guest changed the code under its own feet: what is there now runs next */
    if (string_run(v, &insn))
        insn_advance(v, &insn);
}

void emul_io(struct vcpu *v, const struct vm_exit *e)
{
    struct io_access a = {.addr = e->io.port, .size = e->io.size, .write = !e->io.in};

    if (e->io.string) {
        string_io(v);
        return;
    }
    a.data = e->io.in ? ~(uint64_t)0 : gpr_get(v, RAX, a.size, false);
    (void)vm_io(v, IO_PORT, &a); /* where nothing is, reads give all ones and writes are lost, as on a bus */
    if (e->io.in)
        gpr_set(v, RAX, a.size, false, a.data);
    vcpu_skip(v, e);
}
