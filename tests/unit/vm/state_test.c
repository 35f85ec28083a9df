/* SPDX-License-Identifier: BSD-2-Clause */
/* vm/migrate/state.c: what is saved comes back, and of what somebody has changed nothing does. */
#include "tests/unit/test.h"

#include "tests/unit/fake/records.c"

/* The data of a record, by its type. */
static uint8_t *find(struct vm *vm, uint32_t type)
{
    uint8_t *at = vm->saved;

    while (((struct record *)at)->type != type)
        at += sizeof(struct record) + ALIGN_UP(((struct record *)at)->length, 8);
    return at + sizeof(struct record);
}

TEST(round_trip)
{
    struct vm *vm = records_setup();
    struct vcpu *v = vm->vcpu[0];
    uint8_t first[16384];
    uint64_t bytes;

    CHECK_EQ(state_save(vm, records_said, sizeof(records_said)), 0);
    state_take(vm);
    bytes = vm->saved_bytes;
    CHECK(bytes < sizeof(first));
    memcpy(first, vm->saved, bytes);
    CHECK_EQ(state_vf(vm)->length, sizeof(records_said));
    CHECK_EQ(memcmp(state_vf(vm)->record, records_said, sizeof(records_said)), 0);
    records_reset(vm);
    fake_tsc += 5000; /* for so long it was away */
    CHECK_EQ(state_load(vm), 0);
    CHECK_EQ(vm->gap, 5000);
    CHECK_EQ(v->tsc_offset, 1000 - 5000);
    CHECK_EQ(v->gpr[RAX], 0x1122334455667788);
    CHECK_EQ(fake_hvm.reg[REG_LSTAR], 0xffffffff81000000);
    CHECK_EQ(fake_hvm.seg[SEG_CS].attr, 0xa9b);
    CHECK(v->halted && v->pvclock_gpa == 0x3001);
    CHECK_EQ(lapic_pending(v), 0x41);
    CHECK(v->lapic->timer.armed);
    state_drop(vm);
    CHECK_EQ(state_save(vm, records_said, sizeof(records_said)), 0);
    state_take(vm);
    CHECK_EQ(vm->saved_bytes, bytes);
    CHECK_EQ(memcmp(first, vm->saved, bytes), 0);
    records_free(vm);
    CHECK_EQ(fake_heap_out, 0);
}

#define REG(r) offsetof(struct state_vcpu, cpu.reg[r])
#define WRONG  0x0000800000000000 /* not canonical */

static const struct {
    uint32_t type, at, size;
    uint64_t value;
    const char *says;
} hostile[] = {
    {RECORD_MACHINE, offsetof(struct state_machine, tsc_khz), 4, 1, "machine 0: tsc_khz"},
    {RECORD_MACHINE, offsetof(struct state_machine, vcpus), 4, 2, "machine 0: vcpus"},
    {RECORD_MACHINE, offsetof(struct state_machine, rtc_index), 4, 0x80, "machine 0: rtc_index"},
    {RECORD_VCPU, REG(REG_CR0), 8, BIT(40), "vcpu 0: CR0"},
    {RECORD_VCPU, REG(REG_CR0), 8, CR0_PG, "vcpu 0: CR0"},
    {RECORD_VCPU, REG(REG_CR0), 8, CR0_PG | CR0_PE | CR0_NW, "vcpu 0: CR0"},
    {RECORD_VCPU, REG(REG_CR3), 8, BIT(52), "vcpu 0: CR3"},
    {RECORD_VCPU, REG(REG_CR4), 8, BIT(13), "vcpu 0: CR4"},
    {RECORD_VCPU, REG(REG_CR4), 8, 0, "vcpu 0: CR4"},
    {RECORD_VCPU, REG(REG_EFER), 8, EFER_LME, "vcpu 0: EFER"},
    {RECORD_VCPU, REG(REG_EFER), 8, EFER_LMA, "vcpu 0: EFER"},
    {RECORD_VCPU, REG(REG_EFER), 8, EFER_LME | EFER_LMA | EFER_SVME, "vcpu 0: EFER"},
    {RECORD_VCPU, REG(REG_PAT), 8, 8, "vcpu 0: PAT"},
    {RECORD_VCPU, REG(REG_DEBUGCTL), 8, 4, "vcpu 0: DEBUGCTL"},
    {RECORD_VCPU, REG(REG_DR6), 8, BIT(32), "vcpu 0: DR6"},
    {RECORD_VCPU, REG(REG_DR7), 8, BIT(32), "vcpu 0: DR7"},
    {RECORD_VCPU, REG(REG_LSTAR), 8, WRONG, "vcpu 0: LSTAR"},
    {RECORD_VCPU, REG(REG_CSTAR), 8, WRONG, "vcpu 0: CSTAR"},
    {RECORD_VCPU, REG(REG_SFMASK), 8, BIT(32), "vcpu 0: SFMASK"},
    {RECORD_VCPU, REG(REG_KERNEL_GS_BASE), 8, WRONG, "vcpu 0: KERNEL_GS_BASE"},
    {RECORD_VCPU, REG(REG_SYSENTER_CS), 8, BIT(32), "vcpu 0: SYSENTER_CS"},
    {RECORD_VCPU, REG(REG_SYSENTER_ESP), 8, WRONG, "vcpu 0: SYSENTER_ESP"},
    {RECORD_VCPU, REG(REG_SYSENTER_EIP), 8, WRONG, "vcpu 0: SYSENTER_EIP"},
    {RECORD_VCPU, REG(REG_SHADOW), 8, 2, "vcpu 0: shadow"},
    {RECORD_VCPU, REG(REG_NMI_BLOCKED), 8, 2, "vcpu 0: NMI blocked"},
    {RECORD_VCPU, offsetof(struct state_vcpu, cpu.segment[SEG_TR].base), 8, WRONG, "vcpu 0: segment"},
    {RECORD_VCPU, offsetof(struct state_vcpu, cpu.segment[SEG_CS].attr), 2, 0x1a9b, "vcpu 0: segment"},
    {RECORD_VCPU, offsetof(struct state_vcpu, cpu.rip), 8, WRONG, "vcpu 0: RIP"},
    {RECORD_VCPU, offsetof(struct state_vcpu, cpu.rflags), 8, 0x200, "vcpu 0: RFLAGS"},
    {RECORD_VCPU, offsetof(struct state_vcpu, cpu.rflags), 8, BIT(22) | 2, "vcpu 0: RFLAGS"},
    {RECORD_VCPU, offsetof(struct state_vcpu, xcr0), 8, 6, "vcpu 0: XCR0"},
    {RECORD_VCPU, offsetof(struct state_vcpu, xcr0), 8, 0xf, "vcpu 0: XCR0"},
    {RECORD_VCPU, offsetof(struct state_vcpu, tsc_aux), 8, BIT(32), "vcpu 0: TSC_AUX"},
    {RECORD_VCPU, offsetof(struct state_vcpu, pvclock), 8, SIZE_2M | 1, "vcpu 0: pvclock"},
    {RECORD_VCPU, offsetof(struct state_vcpu, pvclock), 8, 0x3003, "vcpu 0: pvclock"},
    {RECORD_VCPU, offsetof(struct state_vcpu, pv_eoi), 8, SIZE_2M | 1, "vcpu 0: pv_eoi"},
    {RECORD_VCPU, offsetof(struct state_vcpu, event_valid), 1, 2, "vcpu 0: event"},
    {RECORD_VCPU, offsetof(struct state_vcpu, event_type), 1, 1, "vcpu 0: event"},
    {RECORD_VCPU, offsetof(struct state_vcpu, event_type), 1, 4, "vcpu 0: event"},
    {RECORD_VCPU, offsetof(struct state_vcpu, event_type), 2, 0x2003, "vcpu 0: event"},
    {RECORD_VCPU, offsetof(struct state_vcpu, halted), 4, 2, "vcpu 0: flags"},
    {RECORD_VCPU, offsetof(struct state_vcpu, cpu.rflags), 8, BIT(17) | 2, "vcpu 0: RFLAGS"},
    {RECORD_VCPU, offsetof(struct state_vcpu, cpu.segment[SEG_IDTR].limit), 4, 0x10000, "vcpu 0: segment"},
    {RECORD_VCPU, offsetof(struct state_vcpu, wait_sipi), 4, 2, "vcpu 0: flags"},
    {RECORD_VCPU, offsetof(struct state_vcpu, nmi_pending), 4, 2, "vcpu 0: flags"},
    {RECORD_XSTATE, XSAVE_MXCSR, 4, 0x10000, "xstate 0: MXCSR"},
    {RECORD_XSTATE, XSAVE_BV, 8, 8, "xstate 0: XSTATE_BV"},
    {RECORD_XSTATE, XSAVE_BV + 8, 8, BIT(63), "xstate 0: header"},
    {RECORD_XSTATE, XSAVE_BV + 56, 8, 1, "xstate 0: header"},
    {RECORD_LAPIC, offsetof(struct lapic_state, base), 8, GPA_LAPIC | APIC_BASE_EXTD | APIC_BASE_BSP,
     "lapic 0: base"},
    {RECORD_LAPIC, offsetof(struct lapic_state, base), 8, GPA_LAPIC | APIC_BASE_EN, "lapic 0: base"},
    {RECORD_LAPIC, offsetof(struct lapic_state, base), 8, 0x1000 | APIC_BASE_EN | APIC_BASE_BSP,
     "lapic 0: base"},
    {RECORD_LAPIC, 4 * APIC_ID, 4, 1, "lapic 0: ID"},
    {RECORD_LAPIC, 4 * APIC_VERSION, 4, 1, "lapic 0: ID"},
    {RECORD_LAPIC, 4 * APIC_TPR, 4, 0x100, "lapic 0: registers"},
    {RECORD_LAPIC, 4 * APIC_SVR, 4, 0x400, "lapic 0: registers"},
    {RECORD_LAPIC, 4 * APIC_TDCR, 4, 4, "lapic 0: registers"},
    {RECORD_LAPIC, 4 * APIC_ESR, 4, 1, "lapic 0: registers"},
    {RECORD_LAPIC, 4 * APIC_ISR, 4, 1, "lapic 0: vectors"},
    {RECORD_LAPIC, 4 * APIC_TMR, 4, 0x8000, "lapic 0: vectors"},
    {RECORD_LAPIC, 4 * APIC_IRR, 4, 1, "lapic 0: vectors"},
    {RECORD_LAPIC, 4 * APIC_LVTT, 4, 0x80000, "lapic 0: LVT"},
    {RECORD_LAPIC, 4 * APIC_LVTERR, 4, 0x100, "lapic 0: LVT"},
    {RECORD_LAPIC, 4 * APIC_LVTT, 4, 3 << 17, "lapic 0: timer mode"},
    {RECORD_IOAPIC, offsetof(struct ioapic_state, select), 4, 0x100, "ioapic 0: select"},
    {RECORD_IOAPIC, offsetof(struct ioapic_state, id), 4, 1, "ioapic 0: id"},
    {RECORD_IOAPIC, offsetof(struct ioapic_state, lines), 4, BIT(24), "ioapic 0: lines"},
    {RECORD_IOAPIC, offsetof(struct ioapic_state, rte[23][0]), 4, BIT(12), "ioapic 0: entry"},
    {RECORD_IOAPIC, offsetof(struct ioapic_state, rte[0][1]), 4, 1, "ioapic 0: entry"},
    {RECORD_UART, offsetof(struct uart_state, reg[REG_IER]), 1, 0x10, "uart 0: IER"},
    {RECORD_UART, offsetof(struct uart_state, reg[REG_FCR]), 1, 2, "uart 0: FCR"},
    {RECORD_UART, offsetof(struct uart_state, reg[REG_MCR]), 1, 0x20, "uart 0: MCR"},
    {RECORD_UART, offsetof(struct uart_state, thre_pending), 1, 2, "uart 0: thre_pending"},
    {RECORD_UART, offsetof(struct uart_state, rx_in), 4, RX_QUEUE + 1, "uart 0: rx"},
    {RECORD_VF, offsetof(struct state_vf, length), 4, MOVE_RECORD_MAX + 1, "vf 0: length"},
};

/* What is refused changes nothing, and stays as it is. */
static void refused(struct vm *vm, const char *says)
{
    fake_log_reset();
    records_reset(vm);
    CHECK_EQ(state_load(vm), -EINVAL);
    if (!fake_log_has(says))
        test_fail(__FILE__, __LINE__, says);
    CHECK_EQ(fake_log_lines, 1);
    CHECK(vm->gap == 0 && vm->vcpu[0]->rip == 0 && fake_hvm.reg[REG_CR0] == 0 && vm->saved);
    CHECK_EQ(lapic_pending(vm->vcpu[0]), -1);
}

TEST(each_field_hostile)
{
    for (unsigned i = 0; i < ARRAY_SIZE(hostile); i++) {
        struct vm *vm = records_setup();

        CHECK_EQ(state_save(vm, records_said, sizeof(records_said)), 0);
        state_take(vm);
        memcpy(find(vm, hostile[i].type) + hostile[i].at, &hostile[i].value, hostile[i].size);
        if (hostile[i].says)
            refused(vm, hostile[i].says);
        records_free(vm);
    }
    CHECK_EQ(fake_heap_out, 0);
}

TEST(frames)
{
    static const char *const says[] = {"type", "version", "index", "length"};

    for (uint32_t type = RECORD_MACHINE; type < RECORD_TYPES; type++)
        for (unsigned word = 0; word < ARRAY_SIZE(says); word++) {
            struct vm *vm = records_setup();

            CHECK_EQ(state_save(vm, records_said, sizeof(records_said)), 0);
            state_take(vm);
            ((uint32_t *)(void *)(find(vm, type) - sizeof(struct record)))[word] ^= 0x10;
            refused(vm, says[word]);
            records_free(vm);
        }
}

TEST(cut_short)
{
    struct vm *vm = records_setup();
    uint64_t bytes;

    CHECK_EQ(state_save(vm, records_said, sizeof(records_said)), 0);
    state_take(vm);
    bytes = vm->saved_bytes;
    for (uint64_t left = 0; left < bytes; left += 8) {
        vm->saved_bytes = left;
        refused(vm, "there is no more");
    }
    vm->saved = realloc(vm->saved, bytes + 8);
    vm->saved_bytes = bytes + 8;
    refused(vm, "more than its records");
    records_free(vm);
}

TEST(not_saved)
{
    struct vm *vm = records_setup();

    vm->nvfs = 2;
    CHECK_EQ(state_save(vm, records_said, sizeof(records_said)), -ENODEV);
    vm->nvfs = 1;
    CHECK_EQ(state_save(vm, records_said, MOVE_RECORD_MAX + 1), -ENODEV);
    fake_heap_fail_after = 0;
    CHECK_EQ(state_save(vm, records_said, sizeof(records_said)), -ENOMEM);
    fake_heap_fail_after = -1;
    CHECK(!vm->saved);
    records_free(vm);
    CHECK_EQ(fake_heap_out, 0);
}

TEST_MAIN()
