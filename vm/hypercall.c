/* SPDX-License-Identifier: BSD-2-Clause */
#include "vm/hypercall.h"
#include "kernel/lib/errno.h"
#include "vm/abi/hypercall.h"
#include "vm/hvm.h"
#include "vm/setup.h"
#include "vm/vcpu.h"
#include "vm/vm.h"

#define LOG_MAX 256

struct hypercall_args {
    uint64_t rdi, rsi, rdx;
};

static int64_t hc_version(struct vcpu *v, const struct hypercall_args *a)
{
    (void)v;
    (void)a;
    return ABI_VERSION;
}

/* Copied once; whatever is not printable ASCII becomes a dot, so a guest cannot write escape sequences to the
 * operator's terminal. */
static int64_t hc_log(struct vcpu *v, const struct hypercall_args *a)
{
    char text[LOG_MAX + 1];
    int err;

    if (a->rsi == 0 || a->rsi > LOG_MAX)
        return -EINVAL;
    err = p2m_read(&v->vm->p2m, gpa(a->rdi), text, a->rsi);
    if (err)
        return err;
    for (uint64_t i = 0; i < a->rsi; i++)
        if (text[i] < ' ' || text[i] > '~')
            text[i] = '.';
    text[a->rsi] = '\0';
    vm_complain(v->vm, "%s", text);
    return 0;
}

static int64_t hc_nic_ready(struct vcpu *v, const struct hypercall_args *a)
{
    if (a->rdi > UINT32_MAX)
        return -EINVAL;
    return setup_nic_ready(v->vm, (unsigned)a->rdi);
}

static int64_t hc_vf_status(struct vcpu *v, const struct hypercall_args *a)
{
    if (a->rdi > UINT32_MAX || a->rsi > UINT32_MAX || a->rdx > 1)
        return -EINVAL;
    return setup_vf_status(v->vm, (unsigned)a->rdi, (unsigned)a->rsi, a->rdx);
}

static int64_t hc_cycles(struct vcpu *v, const struct hypercall_args *a)
{
    uint64_t total = 0;

    if (a->rdi > VM_EXIT_KINDS)
        return -EINVAL;
    if (a->rdi > 0)
        return (int64_t)v->exits[a->rdi - 1];
    for (unsigned i = 0; i < VM_EXIT_KINDS; i++)
        total += v->exits[i];
    return (int64_t)total;
}

enum hypercall_right { HC_NOBODY, HC_ANY, HC_PRIVILEGED };

/* Who may call: a row that says nothing is nobody's. */
static const struct {
    enum hypercall_right right;
    int64_t (*fn)(struct vcpu *v, const struct hypercall_args *a);
} rows[] = {
    [HC_VERSION] = {HC_ANY, hc_version},
    [HC_LOG] = {HC_ANY, hc_log},
    [HC_NIC_READY] = {HC_PRIVILEGED, hc_nic_ready},
    [HC_VF_STATUS] = {HC_PRIVILEGED, hc_vf_status},
    [HC_CYCLES] = {HC_ANY, hc_cycles},
};

static int64_t call(struct vcpu *v, uint64_t number)
{
    const struct hypercall_args a = {v->gpr[RDI], v->gpr[RSI], v->gpr[RDX]};

    if (hvm->reg(v, REG_CPL) != 0)
        return -EPERM;
    if (number >= ARRAY_SIZE(rows) || rows[number].right == HC_NOBODY)
        return -ENOSYS;
    if (rows[number].right == HC_PRIVILEGED && !v->vm->privileged)
        return -EPERM;
    return rows[number].fn(v, &a);
}

void hypercall_handle(struct vcpu *v)
{
    v->gpr[RAX] = (uint64_t)call(v, v->gpr[RAX]);
}
