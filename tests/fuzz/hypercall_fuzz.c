/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hostile callers: the input is a row of hypercalls, each a byte that says who calls (bit 0: the I/O domain, bit 1: at CPL 3; bits 2 to 5: how
 * wide its four registers are taken from the input), then number and arguments. Whatever comes: nobody gets what is not his, nothing but RAX
 * changes, and what reaches the log is short and printable.
 */
#include "tests/unit/fake/hvm.c"
#include "tests/unit/fake/p2m.c"
#include "tests/unit/fake/strlcpy.c"
#include "tests/unit/fake/time.c"

#include "kernel/console/log.c"
#include "vm/hypercall.c"
#include <stdarg.h>
#include <stdio.h>

#define NICS 2u
#define VFS  4u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct vm vm = {.name = "fuzz"};
static struct vcpu v = {.vm = &vm};

static void must(bool ok)
{
    if (!ok)
        abort();
}

/* Through the log, which prints what it is given. */
void vm_complain(struct vm *m, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    int n;

    must(m == &vm);
    va_start(ap, fmt);
    n = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    must(n >= 0 && n <= LOG_MAX);
    log_warn("%s", text);
}

void console_log(const char *line)
{
    must(strlen(line) < LINE_MAX);
    for (; *line; line++)
        must(*line >= ' ' && *line <= '~');
}

int64_t setup_nic_ready(struct vcpu *v_, const uint64_t arg[3])
{
    const struct vm *caller = v_->vm;
    uint64_t nic = arg[0];

    must(caller->privileged && fake_hvm.reg[REG_CPL] == 0);
    return nic < NICS ? 0 : -EINVAL;
}

int64_t setup_vf_status(UNUSED struct vcpu *v_, const uint64_t arg[3])
{
    uint64_t nic = arg[0], vf = arg[1];

    must(vm.privileged && fake_hvm.reg[REG_CPL] == 0);
    return nic < NICS && vf < VFS ? 0 : -EINVAL;
}

int64_t setup_vf_clean(UNUSED struct vcpu *v_, const uint64_t arg[3])
{
    uint64_t nic = arg[0], vf = arg[1], number = arg[2];

    must(vm.privileged && fake_hvm.reg[REG_CPL] == 0);
    return nic < NICS && vf < VFS && number == 1 ? 0 : -EINVAL;
}

int64_t setup_alive(UNUSED struct vcpu *v_, const uint64_t arg[3])
{
    uint64_t ms = arg[0];

    must(vm.privileged && fake_hvm.reg[REG_CPL] == 0);
    return ms ? 0 : -EINVAL;
}

int64_t migrate_step(struct vm *caller, uint64_t step, gpa_t args)
{
    struct move a;

    must(caller->privileged && fake_hvm.reg[REG_CPL] == 0);
    return step < MOVE_STEPS && p2m_read(&caller->p2m, args, &a, sizeof(a)) == 0 ? 0 : -EFAULT;
}

int migrate_fetch(struct vm *caller, UNUSED gpa_t to, uint64_t vector)
{
    must(caller->privileged && fake_hvm.reg[REG_CPL] == 0);
    return vector > 255 ? -EINVAL : 0;
}

/* 1 or 8 bytes, or what is left of them. */
static uint64_t take(const uint8_t **data, size_t *size, bool wide)
{
    uint64_t x = 0;
    size_t n = wide ? 8 : 1;

    n = n > *size ? *size : n;
    memcpy(&x, *data, n);
    *data += n;
    *size -= n;
    return x;
}

static void one_call(const uint8_t **data, size_t *size)
{
    static const enum gpr used[] = {RAX, RDI, RSI, RDX};
    uint8_t how = (uint8_t)take(data, size, 0);
    uint64_t before[GPRS];

    vm.privileged = how & 1;
    fake_hvm.reg[REG_CPL] = how & 2 ? 3 : 0;
    for (unsigned i = 0; i < 4; i++)
        v.gpr[used[i]] = take(data, size, how >> (2 + i) & 1);
    memcpy(before, v.gpr, sizeof(before));
    must(hypercall_handle(&v, NULL) == THEN_SKIP);
    if (how & 2)
        must((int64_t)v.gpr[RAX] == -EPERM);
    else if (before[RAX] >= ARRAY_SIZE(rows))
        must((int64_t)v.gpr[RAX] == -ENOSYS);
    before[RAX] = v.gpr[RAX];
    must(memcmp(before, v.gpr, sizeof(before)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!vm.p2m.block) { /* once: nothing of it is ever written by a call */
        must(fake_p2m_init(&vm.p2m, SIZE_2M) == 0);
        memset(p2m_ram(&vm.p2m, gpa(SIZE_2M - 64), 64), 0x1b, 64);
    }
    memcpy(p2m_ram(&vm.p2m, gpa(0), size < 256 ? size : 256), data, size < 256 ? size : 256);
    while (size > 0)
        one_call(&data, &size);
    return 0;
}
