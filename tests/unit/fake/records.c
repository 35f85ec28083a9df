/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest with one vCPU, whose records are the real ones but for the virtual function's: vm/migrate/state.c with the devices of vm/emul/. records_setup() makes
 * it with some state, records_reset() leaves it as a stop does, records_free() gives all back.
 */
#include "tests/unit/fake/console.c"
#include "tests/unit/fake/heap.c"
#include "tests/unit/fake/hvm.c"
#include "tests/unit/fake/log.c"
#include "tests/unit/fake/p2m.c"
#include "tests/unit/fake/platform.c"
#include "tests/unit/fake/time.c"

#include "boot/state.c"
#include "vm/cpustate.c"
#include "vm/migrate/state.c"

#include "vm/emul/lapic.c"
#include "vm/emul/lapic_message.c"
#include "vm/emul/lapic_timer.c"

#define reg_read  ioapic_reg_read
#define reg_write ioapic_reg_write
#define deliver   ioapic_deliver
#include "vm/emul/ioapic.c"
#undef reg_read
#undef reg_write
#undef deliver

#define reg_read  uart_reg_read
#define reg_write uart_reg_write
#include "vm/emul/uart.c"
#undef reg_read
#undef reg_write

#define XSTATE_BYTES 832 /* x87, SSE, AVX */

static struct boot_guest records_cfg;
static struct vf *records_vf;
static uint64_t records_function[4]; /* in the place of virtual PCI's */
static const uint8_t records_said[] = {1, 2, 3};

static void *records_function_at(struct vm *vm, unsigned i)
{
    (void)vm, (void)i;
    return records_function;
}

static const char *records_function_check(const struct vm *vm, unsigned i, const void *data)
{
    (void)vm, (void)i, (void)data;
    return NULL;
}

const struct state_part function_part = {"function", sizeof(records_function), false, records_function_at,
                                         NULL,       records_function_check,   NULL};

uint32_t function_state_bytes(const struct vm *vm)
{
    (void)vm;
    return 0;
}

bool pat_is_valid(uint64_t val)
{
    return !(val & 0xf8f8f8f8f8f8f8f8);
}

bool xcr0_is_valid(uint64_t val)
{
    return (val & XCR0_X87) && !(val & ~hvm_cpu.xcr0_valid);
}

void pvclock_update(struct vcpu *v)
{
    (void)v;
}

void lapic_take_back(struct vcpu *v)
{
    (void)v;
}

/* A kernel in 64-bit mode, with its timer running and an interrupt requested. */
static struct vm *records_setup(void)
{
    static const uint64_t apic[][2] = {
        {MSR_APIC_BASE, GPA_LAPIC | APIC_BASE_EN | APIC_BASE_EXTD | APIC_BASE_BSP},
        {MSR_X2APIC_FIRST + APIC_SVR, SVR_ENABLE | 0xff},
        {MSR_X2APIC_FIRST + APIC_TDCR, 0xb},
        {MSR_X2APIC_FIRST + APIC_LVTT, 0x30},
        {MSR_X2APIC_FIRST + APIC_TMICT, 1000000},
    };
    struct vm *vm = fake_vm_init(1);
    struct vcpu *v = vm->vcpu[0];

    fake_now_ns = fake_tsc = NS_PER_S;
    fake_time_step_ns = 0;
    hvm_cpu = (struct boot_cpu){.xstate_size = XSTATE_BYTES,
                                .xstates = 7,
                                .xcr0_valid = 7,
                                .cr4_valid = 0x706a0,
                                .efer_valid = 0xd01};
    state_limits(hvm_cpu.limit, &hvm_cpu);
    vm->cfg = &records_cfg;
    vm->nvfs = 1;
    vm->vf[0] = records_vf;
    if (fake_p2m_init(&vm->p2m, SIZE_2M) != 0 || lapic_create(v) != 0 || ioapic_create(vm) != 0 ||
        uart_create(vm) != 0)
        abort();
    fake_hvm.cpustate =
        (struct cpustate){.xstate = heap_alloc(XSTATE_BYTES), .xcr0 = 7, .dr = {1, 2, 3, 4}, .tsc_aux = 5};
    memset(fake_hvm.cpustate.xstate, 0, XSTATE_BYTES);
    ((uint32_t *)fake_hvm.cpustate.xstate)[6] = 0x1f80;
    ((uint64_t *)fake_hvm.cpustate.xstate)[64] = 7;
    for (unsigned r = 0; r < VM_REGS; r++)
        fake_hvm.reg[r] = 0;
    fake_hvm.reg[REG_CR0] = CR0_PG | CR0_PE | CR0_ET;
    fake_hvm.reg[REG_CR3] = 0x1000;
    fake_hvm.reg[REG_CR4] = CR4_PAE;
    fake_hvm.reg[REG_EFER] = EFER_LME | EFER_LMA;
    fake_hvm.reg[REG_LSTAR] = 0xffffffff81000000;
    for (unsigned s = 0; s < VM_SEGS; s++)
        fake_hvm.seg[s] =
            (struct vm_segment){8, 0xa9b, s == SEG_GDTR || s == SEG_IDTR ? UINT16_MAX : UINT32_MAX, 0};
    v->rip = 0xffffffff81234567;
    v->rflags = 0x202;
    v->gpr[RAX] = 0x1122334455667788;
    v->tsc_offset = 1000;
    v->pvclock_gpa = 0x3001;
    v->halted = true;
    for (unsigned i = 0; i < ARRAY_SIZE(apic); i++)
        if (lapic_msr_write(v, (uint32_t)apic[i][0], apic[i][1]))
            abort();
    lapic_raise(v, 0x41, false);
    fake_io_write(v, IO_PORT, UART_PORT + REG_SCR, 1, 0x5a);
    memset(records_function, 0x77, sizeof(records_function));
    return vm;
}

static void records_reset(struct vm *vm)
{
    struct vcpu *v = vm->vcpu[0];

    lapic_reset(v);
    ioapic_reset(vm);
    memset(&vm->uart->s, 0, sizeof(vm->uart->s));
    memset(fake_hvm.cpustate.xstate, 0, XSTATE_BYTES);
    memset(v->gpr, 0, sizeof(v->gpr));
    memset(fake_hvm.reg, 0, sizeof(fake_hvm.reg));
    memset(fake_hvm.seg, 0, sizeof(fake_hvm.seg));
    memset(records_function, 0, sizeof(records_function));
    v->rip = v->rflags = v->tsc_offset = v->pvclock_gpa = 0;
    v->halted = v->wait_sipi = v->nmi_pending = v->inject.valid = false;
    vm->gap = 0;
}

static void records_free(struct vm *vm)
{
    timer_cancel(&vm->vcpu[0]->lapic->timer);
    state_drop(vm);
    heap_free(fake_hvm.cpustate.xstate, XSTATE_BYTES);
    heap_free(vm->vcpu[0]->lapic, sizeof(struct lapic));
    heap_free(vm->ioapic, sizeof(*vm->ioapic));
    heap_free(vm->uart, sizeof(*vm->uart));
    fake_channels[0].open = false;
    fake_p2m_destroy(&vm->p2m);
}
