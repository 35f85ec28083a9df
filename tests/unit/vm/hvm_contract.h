/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What vm/hvm.h promises, as tests that every back end has to pass. The including file has the back end above it, instructions that
 * are replaced by a model of the CPU, and:
 */
#pragma once

struct contract_cpu {
    const struct hvm_ops *ops;
    void (*power_on)(struct vcpu *v); /* supported, switched on, and a vCPU of `vm` after its reset */
    void (*ends_with)(enum vm_exit_kind kind); /* CPUID, HLT, HOST_INTR or WINDOW: how the next entries end */
    struct vm_event (*injected)(void);         /* what the last entry brought in */
    void (*set_shadow)(struct vcpu *v);        /* as after STI */
    bool (*wants_window)(const struct vcpu *v);       /* would the CPU exit when it can take an interrupt */
    unsigned (*flushes)(void);                        /* entries that dropped nested translations so far */
    void (*interrupted)(const struct vm_event *redo); /* the next exit cuts this delivery short */
};

static const struct contract_cpu cpu_model;
#define ops (cpu_model.ops)

static struct vm vm;
static struct vcpu v;

static void begin(void)
{
    memset(&vm, 0, sizeof(vm));
    memset(&v, 0, sizeof(v));
    v.vm = &vm;
    cpu_model.power_on(&v);
    ops->load(&v);
}

static void end(void)
{
    ops->put(&v);
}

static struct vm_exit enter(enum vm_exit_kind kind)
{
    struct vm_exit e;

    memset(&e, 0xa5, sizeof(e));
    cpu_model.ends_with(kind);
    ops->run(&v, &e);
    return e;
}

TEST(every_slot_is_filled)
{
    const void *const *slot = (const void *const *)ops;

    for (unsigned i = 0; i < sizeof(*ops) / sizeof(*slot); i++)
        CHECK(slot[i] != NULL);
}

/* What a record is made of, while the vCPU is on no CPU. */
TEST(registers_of_a_record)
{
    begin();
    ops->reset(&v);
    end();
    for (unsigned r = REG_CPL + 1; r < VM_REGS; r++)
        ops->set_reg(&v, (enum vm_reg)r, r >= REG_SHADOW ? 1 : 0x1000 + r);
    for (unsigned r = REG_CPL + 1; r < VM_REGS; r++)
        CHECK_EQ(ops->reg(&v, (enum vm_reg)r), r >= REG_SHADOW ? 1 : 0x1000 + r);
    CHECK(ops->cpustate(&v)->xstate);
    ops->load(&v);
    v.rflags |= 1 << 9;
    CHECK(!ops->can_take_intr(&v) && !ops->can_take_nmi(&v));
    end();
    ops->reset(&v);
    CHECK(ops->reg(&v, REG_DR7) == 0x400 && ops->reg(&v, REG_STAR) == 0 && ops->reg(&v, REG_SHADOW) == 0 &&
          ops->reg(&v, REG_NMI_BLOCKED) == 0);
    ops->load(&v);
    end();
}

TEST(state_after_power_up)
{
    struct vm_segment s;

    begin();
    v.gpr[RBX] = 1;
    ops->set_reg(&v, REG_EFER, EFER_LME);
    ops->set_reg(&v, REG_CR0, CR0_PE | CR0_PG);
    ops->set_reg(&v, REG_CR2, 5);
    ops->reset(&v);
    CHECK_EQ(v.rip, 0xfff0);
    CHECK_EQ(v.rflags, 2);
    CHECK_EQ(v.gpr[RBX], 0);
    CHECK_EQ(v.gpr[RDX], 0x800f12); /* CPUID 1 EAX of the models */
    CHECK_EQ(ops->reg(&v, REG_CR0), 0x60000010);
    CHECK_EQ(ops->reg(&v, REG_CR2), 0);
    CHECK_EQ(ops->reg(&v, REG_CR3), 0);
    CHECK_EQ(ops->reg(&v, REG_CR4), 0);
    CHECK_EQ(ops->reg(&v, REG_CR8), 0);
    CHECK_EQ(ops->reg(&v, REG_EFER), 0);
    CHECK_EQ(ops->reg(&v, REG_DEBUGCTL), 0);
    CHECK_EQ(ops->reg(&v, REG_PAT), 0x0007040600070406);
    CHECK_EQ(ops->reg(&v, REG_CPL), 0);
    s = ops->segment(&v, SEG_CS);
    CHECK_EQ(s.selector, 0xf000);
    CHECK_EQ(s.base, 0xffff0000);
    CHECK_EQ(s.limit, 0xffff);
    CHECK_EQ(s.attr, 0x9b);
    CHECK_EQ(ops->segment(&v, SEG_TR).attr, 0x8b);
    CHECK_EQ(ops->segment(&v, SEG_GDTR).limit, 0xffff);
    end();
}

TEST(registers_hold_what_is_put_in)
{
    static const struct {
        enum vm_reg r;
        uint64_t val;
    } some[] = {{REG_CR0, CR0_PE | CR0_ET | CR0_TS | CR0_MP | CR0_WP},
                {REG_CR2, 0xffff800012345678},
                {REG_CR3, 0x1000},
                {REG_CR4, CR4_PAE | CR4_PGE},
                {REG_CR8, 9},
                {REG_PAT, 0x0606060606060606},
                {REG_DEBUGCTL, 1},
                {REG_TSC_OFFSET, (uint64_t)-5}};

    begin();
    for (unsigned i = 0; i < ARRAY_SIZE(some); i++)
        ops->set_reg(&v, some[i].r, some[i].val);
    for (unsigned i = 0; i < ARRAY_SIZE(some); i++)
        CHECK_EQ(ops->reg(&v, some[i].r), some[i].val);
    end();
}

TEST(long_mode_is_active_when_enabled_and_paging)
{
    begin();
    ops->set_reg(&v, REG_CR4, CR4_PAE);
    ops->set_reg(&v, REG_EFER, EFER_LME | EFER_LMA);
    CHECK_EQ(ops->reg(&v, REG_EFER), EFER_LME);
    ops->set_reg(&v, REG_CR0, CR0_PG | CR0_PE);
    CHECK_EQ(ops->reg(&v, REG_EFER), EFER_LME | EFER_LMA);
    ops->set_reg(&v, REG_CR0, CR0_PE);
    CHECK_EQ(ops->reg(&v, REG_EFER), EFER_LME);
    end();
}

TEST(segments_hold_what_is_put_in)
{
    const struct vm_segment seg = {0x18, 0xcf3, 0xfffff, 0x1000};

    begin();
    for (unsigned s = 0; s < VM_SEGS; s++) {
        ops->set_segment(&v, (enum vm_seg)s, &seg);
        CHECK_EQ(ops->segment(&v, (enum vm_seg)s).base, seg.base);
        CHECK_EQ(ops->segment(&v, (enum vm_seg)s).limit, seg.limit);
        if (s == SEG_GDTR || s == SEG_IDTR)
            continue;
        CHECK_EQ(ops->segment(&v, (enum vm_seg)s).selector, seg.selector);
        CHECK_EQ(ops->segment(&v, (enum vm_seg)s).attr, seg.attr);
    }
    CHECK_EQ(ops->reg(&v, REG_CPL), 3); /* SS has it */
    end();
}

/* A VM that restarts, and one that is being built, have vCPUs that are on no CPU. */
TEST(a_vcpu_that_is_on_no_cpu_can_be_set_up)
{
    begin();
    ops->put(&v);
    ops->reset(&v);
    ops->set_reg(&v, REG_CR3, 0x7000);
    fake_this_cpu(1);
    CHECK_EQ(ops->cpu_on(), 0);
    ops->load(&v);
    CHECK_EQ(ops->reg(&v, REG_CR3), 0x7000);
    CHECK_EQ(enter(VM_EXIT_CPUID).kind, VM_EXIT_CPUID);
    ops->put(&v);
    fake_this_cpu(0);
    ops->load(&v);
    end();
}

TEST(an_event_goes_in_once)
{
    begin();
    v.inject = (struct vm_event){true, false, VM_EVENT_EXCEPTION, 6, 0};
    CHECK(!ops->can_take_intr(&v) && !ops->can_take_nmi(&v));
    CHECK_EQ(enter(VM_EXIT_CPUID).kind, VM_EXIT_CPUID);
    CHECK(cpu_model.injected().valid);
    CHECK_EQ(cpu_model.injected().vector, 6);
    CHECK_EQ(cpu_model.injected().type, VM_EVENT_EXCEPTION);
    CHECK(!v.inject.valid);
    enter(VM_EXIT_CPUID);
    CHECK(!cpu_model.injected().valid);
    end();
}

TEST(an_error_code_goes_in_with_it)
{
    begin();
    ops->set_reg(&v, REG_CR0, CR0_PE);
    v.inject = (struct vm_event){true, true, VM_EVENT_EXCEPTION, 14, 0x12};
    enter(VM_EXIT_CPUID);
    CHECK(cpu_model.injected().has_error);
    CHECK_EQ(cpu_model.injected().error, 0x12);
    end();
}

TEST(a_delivery_cut_short_is_told)
{
    const struct vm_event pf = {true, true, VM_EVENT_EXCEPTION, 14, 2},
                          nmi = {true, false, VM_EVENT_NMI, 2, 0},
                          soft = {true, false, VM_EVENT_SOFT, 0x80, 0};
    struct vm_exit e;

    begin();
    cpu_model.interrupted(&pf);
    e = enter(VM_EXIT_CPUID);
    CHECK(e.redo.valid && e.redo.has_error);
    CHECK_EQ(e.redo.vector, 14);
    CHECK_EQ(e.redo.error, 2);
    cpu_model.interrupted(&nmi);
    e = enter(VM_EXIT_CPUID);
    CHECK(e.redo.valid && !e.redo.has_error);
    CHECK_EQ(e.redo.type, VM_EVENT_NMI);
    cpu_model.interrupted(&soft); /* RIP is still at the instruction */
    CHECK(!enter(VM_EXIT_CPUID).redo.valid);
    CHECK(!enter(VM_EXIT_CPUID).redo.valid);
    end();
}

TEST(when_an_interrupt_can_be_taken)
{
    begin();
    v.rflags = 2;
    CHECK(!ops->can_take_intr(&v));
    CHECK(ops->can_take_nmi(&v));
    v.rflags = 0x202;
    CHECK(ops->can_take_intr(&v));
    cpu_model.set_shadow(&v);
    CHECK(!ops->can_take_intr(&v));
    ops->clear_shadow(&v);
    CHECK(ops->can_take_intr(&v));
    end();
}

TEST(an_nmi_blocks_the_next_one)
{
    begin();
    v.inject = (struct vm_event){true, false, VM_EVENT_NMI, 2, 0};
    enter(VM_EXIT_CPUID);
    CHECK_EQ(cpu_model.injected().type, VM_EVENT_NMI);
    CHECK(!ops->can_take_nmi(&v));
    ops->reset(&v);
    CHECK(ops->can_take_nmi(&v));
    end();
}

TEST(windows_are_asked_for_and_called_off)
{
    begin();
    CHECK(!cpu_model.wants_window(&v));
    ops->want_window(&v, true);
    CHECK(cpu_model.wants_window(&v));
    CHECK_EQ(enter(VM_EXIT_WINDOW).kind, VM_EXIT_WINDOW);
    ops->want_window(&v, false);
    CHECK(!cpu_model.wants_window(&v));
    end();
}

/* Where it can go in it must; where it cannot, the back end may take it or ask for a window. */
TEST(an_interrupt_is_left_to_the_cpu)
{
    begin();
    v.rflags = 0x202;
    ops->want_window(&v, true);
    CHECK(ops->queue_intr(&v, 0x51));
    CHECK(!cpu_model.wants_window(&v));
    enter(VM_EXIT_CPUID);
    CHECK(cpu_model.injected().valid);
    CHECK_EQ(cpu_model.injected().vector, 0x51);
    CHECK_EQ(cpu_model.injected().type, VM_EVENT_INTR);
    CHECK(ops->intr_delivered(&v));
    enter(VM_EXIT_CPUID);
    CHECK(!cpu_model.injected().valid);
    end();
}

static bool is_set(const uint32_t bits[8], unsigned vector)
{
    return bits[vector / 32] >> vector % 32 & 1;
}

/* Where the CPU delivers interrupts itself: by their priority, when the guest can take them, and it says what has become of them. */
TEST(delegated_interrupts_are_delivered)
{
    struct vm_interrupts i = {.requested = {[2] = 2, [3] = 2}, .in_service = {[2] = 1}}; /* 41h, 61h; 40h */

    begin();
    if (!hvm_cpu.delegates) {
        end();
        return;
    }
    v.rflags = 2;
    ops->delegate(&v, &i);
    enter(VM_EXIT_CPUID);
    ops->recall(&v, &i);
    CHECK(is_set(i.requested, 0x41) && is_set(i.requested, 0x61) && !is_set(i.in_service, 0x61));
    v.rflags = 0x202;
    ops->set_reg(&v, REG_CR8, 7);
    ops->delegate(&v, &i);
    enter(VM_EXIT_CPUID);
    ops->recall(&v, &i);
    CHECK(is_set(i.requested, 0x61));
    ops->set_reg(&v, REG_CR8, 0);
    ops->delegate(&v, &i);
    enter(VM_EXIT_CPUID);
    ops->recall(&v, &i);
    CHECK(is_set(i.requested, 0x41) && !is_set(i.requested, 0x61));
    CHECK(is_set(i.in_service, 0x40) && is_set(i.in_service, 0x61) && !is_set(i.in_service, 0x41));
    enter(VM_EXIT_CPUID); /* the CPU has none any more */
    ops->recall(&v, &i);
    CHECK(is_set(i.requested, 0x41));
    end();
}

static unsigned windows_opened;

static void count_window(void)
{
    windows_opened++;
}

TEST(host_interrupts_are_taken_before_it_returns)
{
    begin();
    fake_on_interrupts = count_window;
    windows_opened = 0;
    enter(VM_EXIT_CPUID);
    CHECK_EQ(windows_opened, 0);
    CHECK_EQ(enter(VM_EXIT_HOST_INTR).kind, VM_EXIT_HOST_INTR);
    CHECK_EQ(windows_opened, 1);
    fake_on_interrupts = NULL;
    end();
}

TEST(translations_are_dropped_when_asked_and_on_another_cpu)
{
    unsigned flushes;

    begin();
    enter(VM_EXIT_CPUID);
    flushes = cpu_model.flushes();
    enter(VM_EXIT_CPUID);
    CHECK_EQ(cpu_model.flushes(), flushes);
    ops->flush(&v);
    enter(VM_EXIT_CPUID);
    CHECK_EQ(cpu_model.flushes(), flushes + 1);
    ops->set_reg(&v, REG_CR4, CR4_PAE);
    enter(VM_EXIT_CPUID);
    CHECK_EQ(cpu_model.flushes(), flushes + 2);
    ops->put(&v);
    fake_this_cpu(2);
    CHECK_EQ(ops->cpu_on(), 0);
    ops->load(&v);
    enter(VM_EXIT_CPUID);
    CHECK_EQ(cpu_model.flushes(), flushes + 3);
    ops->put(&v);
    fake_this_cpu(0);
    ops->load(&v);
    enter(VM_EXIT_CPUID); /* what is left here may be old by now */
    CHECK_EQ(cpu_model.flushes(), flushes + 4);
    end();
}

TEST(fpu_and_debug_registers_move_with_the_vcpu)
{
    begin();
    fake_insn.xcr0 = 3;
    fake_insn.dr[1] = 5;
    ops->put(&v);
    fake_insn.dr[1] = 0;
    ops->load(&v);
    CHECK_EQ(fake_insn.dr[1], 5);
    CHECK_EQ(v.hw->state.xcr0, 3);
    end();
}

TEST(no_memory)
{
    struct vcpu other = {.vm = &vm};

    begin();
    for (int i = 0; i < 2; i++) {
        fake_frame_fail_after = fake_heap_fail_after = -1;
        *(i ? &fake_heap_fail_after : &fake_frame_fail_after) = i;
        CHECK_EQ(ops->vcpu_create(&other), -ENOMEM);
    }
    fake_frame_fail_after = fake_heap_fail_after = -1;
    fake_heap_fail_after = 0;
    CHECK_EQ(ops->vcpu_create(&other), -ENOMEM);
    fake_heap_fail_after = -1;
    end();
}

#undef ops
