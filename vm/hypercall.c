/* SPDX-License-Identifier: BSD-2-Clause */
#include "vm/hypercall.h"
#include "vm/abi/hypercall.h"
#include "vm/abi/iodom.h"
#include "vm/hvm.h"
#include "vm/migrate/migrate.h"
#include "vm/setup.h"
#include "vm/vcpu.h"
#include "vm/vm.h"

#define LOG_MAX 256

static int64_t hc_version(UNUSED struct vcpu *v, UNUSED const uint64_t arg[3])
{
    return ABI_VERSION;
}

/* Copied once; log_print() makes it printable. */
static int64_t hc_log(struct vcpu *v, const uint64_t arg[3])
{
    uint64_t size = arg[1];
    char text[LOG_MAX + 1];

    if (size == 0 || size > LOG_MAX)
        return -EINVAL;
    if (p2m_read(&v->vm->p2m, gpa(arg[0]), text, size))
        return -EFAULT;
    text[size] = '\0';
    vm_complain(v->vm, "%s", text);
    return 0;
}

/* Nothing of it is looked at here. Its owner has one vCPU. */
static int64_t hc_keep(struct vcpu *v, const uint64_t arg[3])
{
    static uint8_t keepsake[IODOM_KEEP_MAX];
    uint64_t size = arg[1];

    if (size > sizeof(keepsake) || arg[2] > 1)
        return -EINVAL;
    return arg[2] ? p2m_read(&v->vm->p2m, gpa(arg[0]), keepsake, size)
                  : p2m_write(&v->vm->p2m, gpa(arg[0]), keepsake, size);
}

static int64_t hc_move(struct vcpu *v, const uint64_t arg[3])
{
    return migrate_step(v->vm, arg[0], gpa(arg[1]));
}

static int64_t hc_order(struct vcpu *v, const uint64_t arg[3])
{
    return migrate_fetch(v->vm, gpa(arg[0]), arg[1]);
}

static int64_t hc_cycles(struct vcpu *v, const uint64_t arg[3])
{
    uint64_t kind = arg[0], total = 0;

    if (kind > VM_EXIT_KINDS)
        return -EINVAL;
    for (unsigned i = 0; i < VM_EXIT_KINDS; i++)
        total += kind == 0 || kind == i + 1 ? v->exits[i] : 0;
    return (int64_t)total;
}

enum hypercall_right { HC_NOBODY, HC_ANY, HC_PRIVILEGED };

/* Who may call: a row that says nothing is nobody's. Arguments are in RDI, RSI and RDX. */
static const struct {
    enum hypercall_right right;
    int64_t (*fn)(struct vcpu *v, const uint64_t arg[3]);
} rows[] = {
    [HC_VERSION] = {HC_ANY, hc_version},
    [HC_LOG] = {HC_ANY, hc_log},
    [HC_NIC_READY] = {HC_PRIVILEGED, setup_nic_ready},
    [HC_VF_STATUS] = {HC_PRIVILEGED, setup_vf_status},
    [HC_CYCLES] = {HC_ANY, hc_cycles},
    [HC_VF_CLEAN] = {HC_PRIVILEGED, setup_vf_clean},
    [HC_ALIVE] = {HC_PRIVILEGED, setup_alive},
    [HC_KEEP] = {HC_PRIVILEGED, hc_keep},
    [HC_MOVE] = {HC_PRIVILEGED, hc_move},
    [HC_ORDER] = {HC_PRIVILEGED, hc_order},
};

static int64_t call(struct vcpu *v, uint64_t number)
{
    const uint64_t arg[] = {v->gpr[RDI], v->gpr[RSI], v->gpr[RDX]};

    if (hvm->reg(v, REG_CPL) != 0)
        return -EPERM;
    if (number >= ARRAY_SIZE(rows) || rows[number].right == HC_NOBODY)
        return -ENOSYS;
    if (rows[number].right == HC_PRIVILEGED && !v->vm->privileged)
        return -EPERM;
    return rows[number].fn(v, arg);
}

enum then hypercall_handle(struct vcpu *v, UNUSED const struct vm_exit *e)
{
    v->gpr[RAX] = (uint64_t)call(v, v->gpr[RAX]);
    return THEN_SKIP;
}
