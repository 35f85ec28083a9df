/* SPDX-License-Identifier: BSD-2-Clause */
/* Records of a saved guest that somebody has changed: each 4 bytes of input are a place and what is XORed there. What is refused changes nothing; what is loaded
 * holds to what the checks promise, for the CPU would not take anything else. */
#include "tests/unit/test.h"

#include "tests/unit/fake/records.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok)
        abort();
}

static void must_be_safe(const struct vm *vm)
{
    const struct vcpu *v = vm->vcpu[0];
    const uint8_t *x = fake_hvm.cpustate.xstate;
    uint64_t states;

    memcpy(&states, x + XSAVE_BV, sizeof(states));
    must(!(states & ~hvm_cpu.xstates) && xcr0_is_valid(fake_hvm.cpustate.xcr0));
    must(is_canonical(fake_hvm.reg[REG_LSTAR]) && is_canonical(fake_hvm.reg[REG_KERNEL_GS_BASE]) &&
         is_canonical(v->rip));
    must(!(fake_hvm.reg[REG_EFER] & EFER_SVME) && fake_hvm.cpustate.tsc_aux <= UINT32_MAX);
    must(!(v->lapic->reg[APIC_IRR] & 0xffff) && vm->uart->s.rx_in - vm->uart->s.rx_out <= RX_QUEUE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct vm *vm = records_setup();

    must(state_save(vm, records_said, sizeof(records_said)) == 0);
    state_take(vm);
    if (size % 4 == 1) /* cut short */
        vm->saved_bytes = data[size - 1] * 8u % vm->saved_bytes;
    for (size_t i = 0; i + 4 <= size; i += 4)
        vm->saved[(data[i] | data[i + 1] << 8) % MAX(vm->saved_bytes, 1)] ^= data[i + 2];
    records_reset(vm);
    if (state_load(vm) == 0)
        must_be_safe(vm);
    else
        must(vm->gap == 0 && vm->vcpu[0]->rip == 0 && !fake_hvm.reg[REG_CR0] && vm->saved);
    (void)lapic_pending(vm->vcpu[0]);
    for (unsigned reg = 0; reg < PORTS; reg++)
        (void)fake_io_read(vm->vcpu[0], IO_PORT, UART_PORT + reg, 1);
    records_free(vm);
    fake_log_reset();
    return 0;
}
