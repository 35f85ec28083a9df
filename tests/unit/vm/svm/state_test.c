/* SPDX-License-Identifier: BSD-2-Clause */
/* vm/svm/{cpu,vmcb,state,svm}.c: switching on, permission maps, reset state, registers, ASIDs, entries. */
#include "tests/unit/test.h"

#include "tests/unit/fake/cpu.c"
#include "tests/unit/fake/frame.c"
#include "tests/unit/fake/heap.c"
#include "tests/unit/fake/log.c"
#include "tests/unit/fake/processor.c"
#include "tests/unit/fake/svm_insn.c"

#include "boot/cpu.c"
#include "boot/msrs.c"
#include "boot/permissions.c"
#include "boot/state.c"
#include "kernel/mm/radix.c"
#include "vm/cpustate.c"
#include "vm/svm/cpu.c"
#include "vm/svm/exit.c"
#include "vm/svm/inject.c"
#include "vm/svm/npt.c"
#include "vm/svm/state.c"
#include "vm/svm/svm.c"
#include "vm/svm/vmcb.c"

/* Save areas, host VMCBs and the port map stay for good, and the sanitizer cannot see an address that is an
 * hpa_t. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

static uint64_t msrs[4]; /* EFER, HSAVE, TSC_AUX, VM_CR */
static uint32_t svm_edx, asid_count = 16, ecx1;
static bool has_svm;

static uint64_t *msr_slot(uint32_t msr)
{
    return &msrs[msr == MSR_EFER ? 0 : msr == MSR_VM_HSAVE_PA ? 1 : msr == MSR_TSC_AUX ? 2 : 3];
}

static uint64_t read_msr(uint32_t msr)
{
    return *msr_slot(msr);
}

static unsigned barriers;
static uint32_t ext8_ebx;

static void write_msr(uint32_t msr, uint64_t val)
{
    if (msr == MSR_PRED_CMD) {
        CHECK_EQ(val, 1);
        barriers++;
        return;
    }
    *msr_slot(msr) = val;
}

static struct cpuid_regs leaf(uint32_t l, uint32_t sub)
{
    switch (l) {
    case 1:
        return (struct cpuid_regs){0x800f12, 0, ecx1, 0};
    case 0xd:
        return sub ? (struct cpuid_regs){1, 0, 0, 0} : (struct cpuid_regs){7, 832, 832, 0};
    case 0x80000000:
        return (struct cpuid_regs){0x8000001e, 0, 0, 0};
    case 0x80000001:
        return (struct cpuid_regs){0, 0, has_svm ? 4 : 0, 1u << 26 | 1u << 27};
    case 0x80000008:
        return (struct cpuid_regs){0, ext8_ebx, 0, 0};
    case 0x8000000a:
        return (struct cpuid_regs){1, asid_count, 0, svm_edx};
    }
    return (struct cpuid_regs){0, 0, 0, 0};
}

static struct {
    uint64_t exit_code, rip, exit_int_info;
    unsigned entries, flushes;
    uint32_t asid;
    unsigned cpu;
    struct vmcb seen;
} guest;

void svm_enter(uint64_t gpr[GPRS], hpa_t vmcb, hpa_t host_vmcb)
{
    struct vmcb *b = hpa_to_ptr(vmcb);

    (void)gpr;
    CHECK(host_vmcb.a != 0);
    guest.entries++;
    guest.seen = *b;
    /* Another id, or another CPU's, brings no old translations along. */
    guest.flushes += b->control.asid != guest.asid || b->control.tlb_control || guest.cpu != cpu_id();
    guest.asid = b->control.asid;
    guest.cpu = cpu_id();
    if (b->control.v_intr & V_IRQ && b->control.v_intr & V_INTR_VECTOR)
        b->control.v_intr &= ~V_IRQ; /* delivered */
    b->control.exit_int_info = guest.exit_int_info;
    guest.exit_int_info = 0;
    b->control.exit_code = guest.exit_code;
    b->save.rip = guest.rip;
    b->save.rax = 0x77;
}

static void reset_cpus(void)
{
    memset(svm_cpus, 0, sizeof(svm_cpus));
    last_vm[0] = NULL;
}

static void power_on(struct vcpu *vcpu)
{
    fake_cpuid = leaf;
    fake_rdmsr = read_msr;
    fake_wrmsr = write_msr;
    has_svm = true;
    svm_edx = 1;
    asid_count = 16;
    ecx1 = 1u << 26;
    memset(&guest, 0, sizeof(guest));
    reset_cpus();
    CHECK(!look(BOOT_VIRT_SVM));
    CHECK_EQ(svm_cpu_on(), 0);
    CHECK_EQ(svm_vcpu_create(vcpu), 0);
    svm_reset(vcpu);
}

static void ends_with(enum vm_exit_kind kind)
{
    guest.exit_code = kind == VM_EXIT_CPUID    ? EXIT_CPUID
                      : kind == VM_EXIT_HLT    ? EXIT_HLT
                      : kind == VM_EXIT_WINDOW ? EXIT_VINTR
                                               : EXIT_INTR;
}

static struct vm_event injected(void)
{
    const struct vmcb_control *c = &guest.seen.control;

    if ((c->v_intr & V_IRQ) && (c->v_intr & V_INTR_VECTOR))
        return (struct vm_event){true, false, VM_EVENT_INTR, (uint8_t)FIELD_GET(V_INTR_VECTOR, c->v_intr), 0};
    return (struct vm_event){c->event_inj & EVENT_V, c->event_inj & EVENT_EV,
                             (uint8_t)FIELD_GET(EVENT_TYPE, c->event_inj), (uint8_t)c->event_inj,
                             (uint32_t)FIELD_GET(EVENT_ERROR, c->event_inj)};
}

static void set_shadow(struct vcpu *vcpu)
{
    vcpu->hw->vmcb->control.int_state |= INTERRUPT_SHADOW;
}

static bool wants_window(const struct vcpu *vcpu)
{
    return vcpu->hw->vmcb->control.intercept[EXIT_VINTR / 32] >> EXIT_VINTR % 32 & 1;
}

static unsigned flushes(void)
{
    return guest.flushes;
}

static void interrupted(const struct vm_event *redo)
{
    guest.exit_int_info = svm_encode_event(redo);
}

#include "tests/unit/vm/hvm_contract.h"

static const struct contract_cpu cpu_model = {
    .ops = &svm_ops,
    .power_on = power_on,
    .ends_with = ends_with,
    .injected = injected,
    .set_shadow = set_shadow,
    .wants_window = wants_window,
    .flushes = flushes,
    .interrupted = interrupted,
};

static void setup(uint32_t edx)
{
    fake_cpuid = leaf;
    fake_rdmsr = read_msr;
    fake_wrmsr = write_msr;
    has_svm = true;
    svm_edx = edx;
    ecx1 = 1u << 26;
    memset(&v, 0, sizeof(v));
    memset(&vm, 0, sizeof(vm));
    memset(&guest, 0, sizeof(guest));
    CHECK(!look(BOOT_VIRT_SVM));
    reset_cpus();
    CHECK_EQ(svm_cpu_on(), 0);
    vm.p2m.table.root = hpa(0x5000);
    v.vm = &vm;
    CHECK_EQ(svm_vcpu_create(&v), 0);
    svm_reset(&v);
}

static void teardown(void)
{
    v.hw = NULL;
}

static struct vm_exit run(uint64_t code)
{
    struct vm_exit e;

    guest.exit_code = code;
    svm_ops.run(&v, &e);
    return e;
}

TEST(why_not)
{
    fake_cpuid = leaf;
    fake_rdmsr = read_msr;
    has_svm = false;
    CHECK(!strcmp(look(BOOT_VIRT_SVM), "not there"));
    has_svm = true;
    msrs[3] = VM_CR_SVMDIS;
    CHECK(!strcmp(look(BOOT_VIRT_SVM), "locked"));
    msrs[3] = 0;
    ecx1 = 0;
    svm_edx = 1;
    CHECK(!strcmp(look(BOOT_VIRT_SVM), "XSAVE"));
    ecx1 = 1u << 26;
    svm_edx = 0;
    CHECK(strstr(look(BOOT_VIRT_SVM), "nested paging"));
    svm_edx = 1;
    asid_count = 1;
    CHECK(strstr(look(BOOT_VIRT_SVM), "address space ids"));
    asid_count = 16;
    CHECK(!look(BOOT_VIRT_SVM));
}

TEST(switching_on)
{
    setup(1);
    CHECK(msrs[0] & BIT(12));
    CHECK(msrs[1] != 0 && (msrs[1] & 0xfff) == 0);
    CHECK(fake_svm.vmsaves != 0);
    CHECK(!(fake_cr[0] & CR0_TS));
    teardown();
}

TEST(intercepts_and_maps)
{
    const struct vmcb_control *c;
    const uint8_t *ports;

    setup(1);
    c = &v.hw->vmcb->control;
    ports = hpa_to_ptr(hpa(c->iopm_base));
    CHECK_EQ(c->intercept[0], BIT(20) | BIT(24)); /* writes of CR4 and CR8; no reads */
    CHECK_EQ(c->intercept[1], 0);
    CHECK_EQ(c->intercept[2], BIT(1) | BIT(17) | BIT(18));
    /* INTR NMI INIT, CR0 but for TS and MP, RDPMC CPUID INVD HLT INVLPGA IOIO MSR SHUTDOWN */
    CHECK_EQ(c->intercept[3], 0x9d44802b);
    /* VMRUN (refused without it) VMMCALL VMLOAD VMSAVE STGI CLGI SKINIT WBINVD MONITOR MWAIT XSETBV RDPRU */
    CHECK_EQ(c->intercept[4], 0x6e7f);
    CHECK_EQ(c->intercept[5], 0);
    CHECK_EQ(c->n_cr3, 0x5000);
    CHECK_EQ(c->np_enable, 1);
    CHECK_EQ(c->v_intr, BIT(24));
    for (unsigned i = 0; i < 0x2000 + 4; i++)
        CHECK_EQ(ports[i], 0xff);
    teardown();
}

static unsigned msr_bits(uint32_t msr)
{
    const uint8_t *map = hpa_to_ptr(hpa(v.hw->vmcb->control.msrpm_base));
    unsigned bit = (msr & 0x1fff) * 2;

    return map[(msr >= 0xc0000000 ? 0x800 : 0) + bit / 8] >> bit % 8 & 3;
}

/* Those that move with the vCPU, and no other. */
TEST(direct_msrs)
{
    static const uint32_t direct[] = {0x174,      0x175,      0x176,      0xc0000081, 0xc0000082, 0xc0000083,
                                      0xc0000084, 0xc0000100, 0xc0000101, 0xc0000102, 0xc0000103};
    unsigned found = 0;

    setup(1);
    for (unsigned i = 0; i < ARRAY_SIZE(direct); i++)
        CHECK_EQ(msr_bits(direct[i]), 0);
    for (uint32_t i = 0; i < 0x4000; i++)
        found += msr_bits(i < 0x2000 ? i : 0xc0000000 + (i & 0x1fff)) != 3;
    CHECK_EQ(found, ARRAY_SIZE(direct));
    CHECK_EQ(msr_bits(MSR_EFER), 3);
    CHECK_EQ(msr_bits(0x277), 3);
    teardown();
    hvm_cpu.tsc_aux = false;
    permissions_fill(maps, &hvm_cpu);
    CHECK_EQ(svm_vcpu_create(&v), 0);
    CHECK_EQ(msr_bits(MSR_TSC_AUX), 3); /* nobody moves it */
    teardown();
}

TEST(reset_state)
{
    struct vm_segment s;

    setup(1);
    v.gpr[RBX] = 1;
    svm_reset(&v);
    CHECK_EQ(v.rip, 0xfff0);
    CHECK_EQ(v.rflags, 2);
    CHECK_EQ(v.gpr[RBX], 0);
    CHECK_EQ(v.gpr[RDX], 0x800f12);
    CHECK_EQ(svm_reg(&v, REG_CR0), 0x60000010);
    CHECK_EQ(svm_reg(&v, REG_EFER), 0);
    CHECK_EQ(v.hw->vmcb->save.efer, BIT(12));
    CHECK_EQ(v.hw->vmcb->save.dr6, 0xffff0ff0);
    CHECK_EQ(v.hw->vmcb->save.dr7, 0x400);
    CHECK_EQ(svm_reg(&v, REG_PAT), 0x0007040600070406);
    s = svm_segment(&v, SEG_CS);
    CHECK_EQ(s.selector, 0xf000);
    CHECK_EQ(s.base, 0xffff0000);
    CHECK_EQ(s.attr, 0x9b);
    CHECK_EQ(svm_segment(&v, SEG_GDTR).limit, 0xffff);
    CHECK_EQ(svm_reg(&v, REG_CPL), 0);
    CHECK_EQ(*(uint16_t *)v.hw->state.xstate, 0x37f);
    CHECK_EQ(*(uint32_t *)((char *)v.hw->state.xstate + 24), 0x1f80);
    teardown();
}

TEST(registers_are_where_the_vmcb_has_them)
{
    static const struct {
        enum vm_reg r;
        unsigned at;
    } where[] = {{REG_CR0, 0x558}, {REG_CR2, 0x640},      {REG_CR3, 0x550},      {REG_CR4, 0x548},
                 {REG_PAT, 0x668}, {REG_DEBUGCTL, 0x670}, {REG_TSC_OFFSET, 0x50}};

    setup(1);
    for (unsigned i = 0; i < ARRAY_SIZE(where); i++) {
        svm_set_reg(&v, where[i].r, 0x1000 + i);
        CHECK_EQ(*(uint64_t *)((char *)v.hw->vmcb + where[i].at), 0x1000 + i);
        CHECK_EQ(svm_reg(&v, where[i].r), 0x1000 + i);
    }
    svm_set_reg(&v, REG_CR8, 9);
    CHECK_EQ(v.hw->vmcb->control.v_intr, V_INTR_MASKING | 9);
    CHECK_EQ(svm_reg(&v, REG_CR8), 9);
    teardown();
}

TEST(segments_are_where_the_vmcb_has_them)
{
    static const unsigned at[VM_SEGS] = {0x400, 0x410, 0x420, 0x430, 0x440,
                                         0x450, 0x460, 0x470, 0x480, 0x490};
    const struct vm_segment seg = {0x18, 0x93, 0x7f, 0x1000};

    setup(1);
    for (unsigned i = 0; i < VM_SEGS; i++) {
        svm_set_segment(&v, (enum vm_seg)i, &seg);
        CHECK_EQ(memcmp((char *)v.hw->vmcb + at[i], &seg, sizeof(seg)), 0);
        CHECK_EQ(svm_segment(&v, (enum vm_seg)i).limit, 0x7f);
    }
    teardown();
}

TEST(efer_lma_follows_and_svme_is_hidden)
{
    setup(1);
    svm_set_reg(&v, REG_EFER, EFER_LME | EFER_LMA);
    CHECK_EQ(svm_reg(&v, REG_EFER), EFER_LME);
    svm_set_reg(&v, REG_CR0, CR0_PG | CR0_PE);
    CHECK_EQ(svm_reg(&v, REG_EFER), EFER_LME | EFER_LMA);
    CHECK_EQ(v.hw->vmcb->save.efer, EFER_LME | EFER_LMA | BIT(12));
    svm_set_reg(&v, REG_CR0, CR0_PE);
    CHECK_EQ(svm_reg(&v, REG_EFER), EFER_LME);
    teardown();
}

TEST(entry_and_exit)
{
    struct vm_exit e;

    setup(1);
    svm_load(&v);
    v.gpr[RAX] = 0x11;
    v.gpr[RSP] = 0x22;
    v.rip = 0x33;
    v.inject = (struct vm_event){true, false, VM_EVENT_INTR, 0x30, 0};
    guest.rip = 0x44;
    e = run(0x72);
    CHECK_EQ(e.kind, VM_EXIT_CPUID);
    CHECK_EQ(guest.seen.save.rax, 0x11);
    CHECK_EQ(guest.seen.save.rsp, 0x22);
    CHECK_EQ(guest.seen.save.rip, 0x33);
    CHECK_EQ(guest.seen.control.event_inj, 0x80000030);
    CHECK(guest.seen.control.asid != 0);
    CHECK_EQ(v.gpr[RAX], 0x77);
    CHECK_EQ(v.rip, 0x44);
    run(0x72);
    CHECK_EQ(guest.seen.control.event_inj, 0); /* once */
    CHECK_EQ(guest.seen.control.clean, 0);     /* the CPU has no clean bits */
    teardown();
}

TEST(clean_bits)
{
    setup(1 | BIT32(5));
    svm_load(&v);
    run(0x72);
    CHECK_EQ(guest.seen.control.clean, 0);
    run(0x72);
    CHECK_EQ(guest.seen.control.clean, CLEAN_ALL);
    svm_set_reg(&v, REG_CR2, 1);
    run(0x72);
    CHECK_EQ(guest.seen.control.clean, 0);
    svm_put(&v);
    fake_this_cpu(1);
    if (svm_this_cpu()->host_vmcb.a == 0)
        CHECK_EQ(svm_cpu_on(), 0);
    svm_load(&v);
    run(0x72);
    CHECK_EQ(guest.seen.control.clean, 0); /* this CPU has not seen it */
    fake_this_cpu(0);
    teardown();
}

TEST(an_asid_is_flushed_when_it_must_be)
{
    static const struct vcpu other;
    uint32_t asid;

    setup(1);
    svm_load(&v);
    run(0x72);
    asid = guest.seen.control.asid;
    CHECK(asid >= 1 && asid <= 15);
    CHECK_EQ(guest.seen.control.tlb_control, 1); /* the first time on this CPU */
    run(0x72);
    CHECK_EQ(guest.seen.control.tlb_control, 0);
    svm_flush(&v);
    run(0x72);
    CHECK_EQ(guest.seen.control.asid, asid);
    CHECK_EQ(guest.seen.control.tlb_control, 1);
    svm_put(&v);
    svm_load(&v);
    run(0x72);
    CHECK_EQ(guest.seen.control.tlb_control, 0); /* nobody else was here */
    svm_put(&v);
    CHECK(svm_this_cpu()->owner[asid] == &v);
    svm_this_cpu()->owner[asid] = &other;
    svm_load(&v);
    run(0x72);
    CHECK_EQ(guest.seen.control.tlb_control, 1);
    CHECK(svm_this_cpu()->owner[asid] == &v);
    teardown();
}

TEST(asids_are_shared_where_there_are_few)
{
    setup(1);
    for (unsigned i = 0; i < 40; i++) {
        struct vcpu more = {.vm = v.vm};

        CHECK_EQ(svm_vcpu_create(&more), 0);
        CHECK(more.hw->vmcb->control.asid >= 1 && more.hw->vmcb->control.asid <= 15);
        frame_free(more.hw->vmcb_hpa, 0);
        heap_free(more.hw->state.xstate, 1);
        heap_free(more.hw, 1);
    }
    teardown();
}

TEST(flush_by_asid_keeps_the_asid)
{
    setup(1 | BIT32(6));
    svm_load(&v);
    run(0x72);
    svm_flush(&v);
    run(0x72);
    CHECK_EQ(guest.seen.control.tlb_control, 3);
    teardown();
}

TEST(what_moves_with_the_vcpu)
{
    setup(1);
    fake_insn.xcr0 = 0;
    fake_insn.xsaves = fake_insn.xsaveopts = 0;
    v.hw->state.dr[2] = 0x1234;
    v.hw->state.tsc_aux = 7;
    svm_load(&v);
    CHECK_EQ(fake_insn.dr[2], 0x1234);
    CHECK_EQ(msrs[2], 7);
    fake_insn.dr[1] = 5;
    fake_insn.xcr0 = 3;
    msrs[2] = 8;
    svm_put(&v);
    CHECK_EQ(v.hw->state.dr[1], 5);
    CHECK_EQ(v.hw->state.tsc_aux, 8);
    CHECK_EQ(v.hw->state.xcr0, 3);
    CHECK_EQ(fake_insn.xsaveopts, 1);
    CHECK_EQ(fake_insn.xsaves, 0);
    teardown();
    setup(1);
    hvm_cpu.xsaveopt = false;
    svm_load(&v);
    svm_put(&v);
    CHECK_EQ(fake_insn.xsaves, 1);
    teardown();
}

TEST(a_barrier_between_guests)
{
    struct vm other;

    ext8_ebx = BIT32(12);
    setup(1);
    last_vm[0] = NULL;
    barriers = 0;
    svm_load(&v);
    svm_put(&v);
    svm_load(&v);
    CHECK_EQ(barriers, 1);
    v.vm = &other;
    svm_load(&v);
    CHECK_EQ(barriers, 2);
    hvm_cpu.ibpb = false;
    v.vm = &vm;
    svm_load(&v);
    CHECK_EQ(barriers, 2);
    ext8_ebx = 0;
    teardown();
}

static bool intercepted(unsigned code)
{
    return v.hw->vmcb->control.intercept[code / 32] >> code % 32 & 1;
}

static bool msr_exits(uint32_t msr)
{
    const uint8_t *map = hpa_to_ptr(hpa(v.hw->vmcb->control.msrpm_base));

    return map[msr / 4] >> (msr % 4 * 2) & 3;
}

TEST(a_lent_apic_ends_the_guest_by_nmis_only)
{
    static const uint16_t yes[] = {0x808, 0x80a, 0x80b, 0x810, 0x827, 0x838, 0x839, 0x83e, 0x83f};
    static const uint16_t no[] = {0x802, 0x803, 0x809, 0x80d, 0x80e, 0x80f, 0x828, 0x82f,
                                  0x830, 0x831, 0x832, 0x833, 0x837, 0x840, 0x6e0, 0x1b};

    setup(1);
    CHECK(svm_lend_apic(&v, true));
    CHECK(!intercepted(EXIT_INTR) && !intercepted(EXIT_HLT) && !intercepted(EXIT_CR_WRITE(8)));
    CHECK(intercepted(EXIT_NMI) && intercepted(EXIT_MSR) && intercepted(EXIT_SHUTDOWN));
    CHECK(!(v.hw->vmcb->control.v_intr & V_INTR_MASKING));
    for (unsigned i = 0; i < ARRAY_SIZE(yes); i++)
        CHECK(!msr_exits(yes[i]));
    for (unsigned i = 0; i < ARRAY_SIZE(no); i++)
        CHECK(msr_exits(no[i]));
    CHECK(svm_lend_apic(&v, false));
    CHECK(intercepted(EXIT_INTR) && intercepted(EXIT_HLT) && intercepted(EXIT_CR_WRITE(8)));
    CHECK(v.hw->vmcb->control.v_intr & V_INTR_MASKING);
    CHECK(msr_exits(0x80b) && msr_exits(0x838) && msr_exits(0x83f));
    teardown();
}

TEST(a_kick_before_the_entry_counts_as_an_exit)
{
    struct vm_exit e;

    setup(1);
    svm_load(&v);
    fake_on_interrupts = count_window;
    windows_opened = 0;
    CHECK(svm_lend_apic(&v, true));
    v.inject = (struct vm_event){true, false, VM_EVENT_NMI, 2, 0};
    cpu_this()->nudged = true;
    e = run(EXIT_NMI);
    CHECK_EQ(e.kind, VM_EXIT_HOST_INTR);
    CHECK_EQ(guest.entries, 0);
    CHECK(v.inject.valid && !fake_svm.no_gif);
    e = run(EXIT_NMI);
    CHECK_EQ(e.kind, VM_EXIT_HOST_INTR);
    CHECK_EQ(guest.entries, 1);
    CHECK_EQ(windows_opened, 0); /* what is pending is the guest's */
    CHECK(svm_lend_apic(&v, false));
    run(EXIT_INTR);
    CHECK_EQ(windows_opened, 1);
    fake_on_interrupts = NULL;
    teardown();
}

TEST_MAIN()
