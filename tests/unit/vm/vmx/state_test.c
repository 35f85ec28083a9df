/* SPDX-License-Identifier: BSD-2-Clause */
/* vm/vmx/{cpu,vmcs,state,inject,vmx}.c: the contract, and what is particular to VMX: controls, which VMCS is where, shadows, entries. */
#include "tests/unit/test.h"

#include "tests/unit/fake/cpu.c"
#include "tests/unit/fake/frame.c"
#include "tests/unit/fake/heap.c"
#include "tests/unit/fake/log.c"
#include "tests/unit/fake/processor.c"
#include "tests/unit/fake/vmx_insn.c"

#include "boot/cpu.c"
#include "boot/msrs.c"
#include "boot/permissions.c"
#include "boot/state.c"
#include "kernel/mm/radix.c"
#include "vm/cpustate.c"
#include "vm/vmx/cpu.c"
#include "vm/vmx/ept.c"
#include "vm/vmx/exit.c"
#include "vm/vmx/inject.c"
#include "vm/vmx/state.c"
#include "vm/vmx/vmcs.c"
#include "vm/vmx/vmx.c"

/* VMXON regions and bitmaps stay for good, and the sanitizer cannot see an address that is an hpa_t. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

const char vmx_exit[1];

#define GUEST_ACTIVITY 0x4826                /* 25.4.2; the TCB writes it in a row with others */
#define ANY            0xffffffff00000000ull /* of a capability: all may be 1 */

static uint64_t feature_control, msrs[8], pdptes[4] = {0x11, 0x22, 0x33, 0x44};
static uint64_t cap_proc2, cap_ept;
static uint32_t ecx1;

static uint64_t read_msr(uint32_t msr)
{
    switch (msr) {
    case MSR_FEATURE_CONTROL:
        return feature_control;
    case MSR_VMX_BASIC:
        return VMX_BASIC_TRUE | 0x1234;
    case MSR_VMX_PROC2:
        return cap_proc2;
    case MSR_VMX_EPT_VPID:
        return cap_ept;
    case MSR_VMX_TRUE_PIN:
        return ANY | 0x16;
    case MSR_VMX_TRUE_PROC:
    case MSR_VMX_TRUE_EXIT:
    case MSR_VMX_TRUE_ENTRY:
        return ANY;
    case MSR_VMX_CR0_FIXED0:
        return CR0_PE | CR0_NE | CR0_PG;
    case MSR_VMX_CR4_FIXED0:
        return CR4_VMXE;
    case MSR_GS_BASE:
        return 0xffff800000001000;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(vmx_switched_msrs); i++)
        if (msr == vmx_switched_msrs[i])
            return msrs[i];
    return 0;
}

static void write_msr(uint32_t msr, uint64_t val)
{
    if (msr == MSR_FEATURE_CONTROL) {
        CHECK(!(feature_control & FEATURE_CONTROL_LOCK));
        feature_control = val;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(vmx_switched_msrs); i++)
        if (msr == vmx_switched_msrs[i])
            msrs[i] = val;
}

static struct cpuid_regs leaf(uint32_t l, uint32_t sub)
{
    return l == 1             ? (struct cpuid_regs){0x800f12, 0, ecx1, 0}
           : l == 0xd && !sub ? (struct cpuid_regs){7, 832, 832, 0}
           : l == 0x80000001  ? (struct cpuid_regs){0, 0, 0, 1u << 26 | 1u << 27}
                              : (struct cpuid_regs){0, 0, 0, 0};
}

void *p2m_ram(const struct p2m *p, gpa_t at, uint64_t size)
{
    (void)p;
    return at.a == 0x5020 && size == sizeof(pdptes) ? pdptes : NULL;
}

/* The CPU: what it finds at an entry, and how that ends. */
static struct {
    bool refuses, launched;
    uint64_t reason, vectoring, vectoring_error;
    struct vm_event in;
    unsigned flushed;
} guest;

/* A word of the virtual-APIC page. */
static uint32_t *page_word(unsigned offset, unsigned vector)
{
    return (uint32_t *)((char *)hpa_to_ptr(hpa(vmread(VIRTUAL_APIC_PAGE))) + offset + vector / 32 * 16);
}

/* 30.2.2: one virtual interrupt, if its priority is high enough and the guest takes any. */
static void deliver_virtual(void)
{
    uint64_t status = vmread(INTERRUPT_STATUS), requested = status & 0xff, in_service = status >> 8;
    uint64_t tpr = *page_word(0x80, 0) & 0xff, next = 255;

    if (!(vmread(PROC2_CONTROLS) & BIT(9)) || !(vmread(GUEST_RFLAGS) & BIT(9)) ||
        requested >> 4 <= MAX(tpr, in_service) >> 4)
        return;
    CHECK(*page_word(0x200, (unsigned)requested) >> requested % 32 & 1);
    *page_word(0x200, (unsigned)requested) &= ~BIT32(requested % 32);
    *page_word(0x100, (unsigned)requested) |= BIT32(requested % 32);
    while (next > 0 && !(*page_word(0x200, (unsigned)next) >> next % 32 & 1))
        next--;
    vmwrite(INTERRUPT_STATUS, requested << 8 | next);
}

bool vmx_enter(uint64_t gpr[GPRS], bool launched)
{
    struct fake_vmcs *m = fake_vmx.current[cpu_id()];
    uint64_t event = vmread(ENTRY_EVENT);

    (void)gpr;
    CHECK_EQ(launched, m->launched);
    CHECK_EQ(vmread(HOST_TR_BASE), 0xffffffff12345678);
    guest.launched = launched;
    guest.in = (struct vm_event){event & EVENT_VALID, event & EVENT_ERROR_VALID,
                                 (uint8_t)FIELD_GET(EVENT_TYPE, event), (uint8_t)event,
                                 (uint32_t)vmread(ENTRY_EVENT_ERROR)};
    if (guest.refuses) {
        vmwrite(INSTRUCTION_ERROR, 7);
        return false;
    }
    m->launched = true;
    deliver_virtual();
    if (guest.in.valid && guest.in.type == VM_EVENT_NMI) {
        CHECK(!(vmread(INTERRUPTIBILITY) & BLOCKING_NMI)); /* 27.2.1.3 */
        vmwrite(INTERRUPTIBILITY, vmread(INTERRUPTIBILITY) | BLOCKING_NMI);
    }
    vmwrite(ENTRY_EVENT, event & ~(uint64_t)EVENT_VALID);
    vmwrite(EXIT_REASON, guest.reason);
    vmwrite(IDT_VECTORING, guest.vectoring);
    vmwrite(IDT_VECTORING_ERROR, guest.vectoring_error);
    guest.vectoring = 0;
    return true;
}

static void capable(void)
{
    fake_cpuid = leaf;
    fake_rdmsr = read_msr;
    fake_wrmsr = write_msr;
    ecx1 = CPUID_1_ECX_VMX | CPUID_1_ECX_XSAVE;
    cap_proc2 = ANY;
    cap_ept = EPT_NEEDED | EPT_LEAF_1G;
    feature_control = 0;
}

static void power_on(struct vcpu *vcpu)
{
    capable();
    fake_vmcs_forget();
    memset(&guest, 0, sizeof(guest));
    memset(current, 0, sizeof(current));
    fake_cr[0] = fake_cr[4] = 0;
    vcpu->vm->p2m.table.root = hpa(0x9000);
    CHECK(!look(BOOT_VIRT_VMX));
    CHECK_EQ(vmx_cpu_on(), 0);
    CHECK_EQ(vmx_vcpu_create(vcpu), 0);
    vmx_reset(vcpu);
}

static void ends_with(enum vm_exit_kind kind)
{
    guest.reason = kind == VM_EXIT_CPUID    ? REASON_CPUID
                   : kind == VM_EXIT_HLT    ? REASON_HLT
                   : kind == VM_EXIT_WINDOW ? REASON_INTR_WINDOW
                                            : REASON_INTR;
}

static struct vm_event injected(void)
{
    return guest.in;
}

static void set_shadow(struct vcpu *vcpu)
{
    (void)vcpu;
    vmwrite(INTERRUPTIBILITY, 1);
}

static bool wants_window(const struct vcpu *vcpu)
{
    (void)vcpu;
    return vmread(PROC_CONTROLS) & PROC_INTR_WINDOW;
}

static unsigned flushes(void)
{
    return fake_vmx.invepts;
}

static void interrupted(const struct vm_event *redo)
{
    guest.vectoring =
        EVENT_VALID | redo->vector | (uint64_t)redo->type << 8 | (redo->has_error ? EVENT_ERROR_VALID : 0);
    guest.vectoring_error = redo->error;
}

#include "tests/unit/vm/hvm_contract.h"

static const struct contract_cpu cpu_model = {
    .ops = &vmx_ops,
    .power_on = power_on,
    .ends_with = ends_with,
    .injected = injected,
    .set_shadow = set_shadow,
    .wants_window = wants_window,
    .flushes = flushes,
    .interrupted = interrupted,
};

TEST(why_not)
{
    capable();
    CHECK(!look(BOOT_VIRT_VMX));
    ecx1 = CPUID_1_ECX_XSAVE;
    CHECK(!strcmp(look(BOOT_VIRT_VMX), "not there"));
    ecx1 = CPUID_1_ECX_VMX;
    CHECK(strstr(look(BOOT_VIRT_VMX), "XSAVE"));
    capable();
    feature_control = FEATURE_CONTROL_LOCK;
    CHECK(!strcmp(look(BOOT_VIRT_VMX), "locked"));
    capable();
    cap_proc2 &= ~((uint64_t)PROC2_UNRESTRICTED << 32);
    CHECK(strstr(look(BOOT_VIRT_VMX), "unrestricted"));
    capable();
    cap_ept &= ~EPT_INVEPT_SINGLE;
    CHECK(strstr(look(BOOT_VIRT_VMX), "INVEPT"));
}

TEST(controls_are_what_must_be_and_what_is_wanted)
{
    capable();
    cap_proc2 = (uint64_t)(PROC2_EPT | PROC2_VPID | PROC2_WBINVD | PROC2_UNRESTRICTED) << 32;
    CHECK(!look(BOOT_VIRT_VMX));
    CHECK_EQ(hvm_cpu.vmx.pin, 0x16 | 0x29);
    CHECK_EQ(hvm_cpu.vmx.proc2, PROC2_EPT | PROC2_VPID | PROC2_WBINVD | PROC2_UNRESTRICTED);
    capable();
    CHECK(!look(BOOT_VIRT_VMX));
    CHECK_EQ(hvm_cpu.vmx.proc2, PROC2_EPT | PROC2_VPID | PROC2_WBINVD | PROC2_UNRESTRICTED | PROC2_RDTSCP | PROC2_DELEGATE);
}

TEST(what_the_firmware_left_open_is_locked)
{
    begin();
    CHECK_EQ(feature_control, FEATURE_CONTROL_LOCK | FEATURE_CONTROL_VMX);
    CHECK(fake_cr[4] & CR4_VMXE);
    CHECK(fake_cr[0] & CR0_NE);
    feature_control = FEATURE_CONTROL_LOCK; /* another CPU, which the firmware forgot */
    fake_this_cpu(1);
    CHECK_EQ(vmx_cpu_on(), -EIO);
    fake_this_cpu(0);
    end();
}

static bool exits(uint32_t msr, unsigned offset)
{
    const uint8_t *map = hpa_to_ptr(hpa(vmread(MSR_BITMAPS)));

    return map[offset + (msr >= 0xc0000000 ? 0x400 : 0) + (msr & 0x1fff) / 8] >> (msr & 7) & 1;
}

TEST(direct_msrs)
{
    static const uint32_t direct[] = {0x174,      0x175,      0x176,      0xc0000081, 0xc0000082, 0xc0000083,
                                      0xc0000084, 0xc0000100, 0xc0000101, 0xc0000102, 0xc0000103};
    unsigned found = 0;

    begin();
    for (unsigned i = 0; i < ARRAY_SIZE(direct); i++)
        CHECK(!exits(direct[i], 0) && !exits(direct[i], 0x800));
    for (uint32_t i = 0; i < 0x4000; i++)
        for (unsigned write = 0; write < 2; write++)
            found += !exits(i < 0x2000 ? i : 0xc0000000 + (i & 0x1fff), write * 0x800);
    CHECK_EQ(found, 2 * ARRAY_SIZE(direct));
    end();
}

/* Only while interrupts are delegated, and only what the CPU takes from the virtual-APIC page. */
TEST(msrs_of_delegated_interrupts)
{
    struct vm_interrupts i = {.requested = {[1] = 1}};
    unsigned found = 0;

    begin();
    CHECK(hvm_cpu.delegates);
    vmx_delegate(&v, &i);
    CHECK(!exits(0x80a, 0) && !exits(0x810, 0) && !exits(0x817, 0) && !exits(0x820, 0) && !exits(0x827, 0));
    CHECK(!exits(0x80b, 0x800) && !exits(0x83f, 0x800));
    for (uint32_t msr = 0x800; msr < 0x900; msr++)
        found += !exits(msr, 0) + !exits(msr, 0x800);
    CHECK_EQ(found, 1 + 8 + 8 + 2);
    CHECK(!exits(0x174, 0) && !exits(0xc0000103, 0x800) && exits(0x1b, 0x800));
    CHECK_EQ(vmread(INTERRUPT_STATUS), 32);
    vmx_recall(&v, &i);
    CHECK(exits(0x80b, 0x800) && exits(0x83f, 0x800) && exits(0x80a, 0));
    CHECK_EQ(vmread(INTERRUPT_STATUS), 0);
    end();
}

TEST(a_cpu_that_cannot_deliver_all_of_it_is_not_delegated_any)
{
    begin();
    for (unsigned bit = 4; bit <= 9; bit += bit == 4 ? 4 : 1) {
        struct boot_cpu c = hvm_cpu;

        cap_proc2 = ANY & ~BIT(32 + bit);
        CHECK(vmx_lacks(&c) == NULL);
        CHECK(!c.delegates);
    }
    end();
}

TEST(the_switched_msrs_move)
{
    begin();
    msrs[2] = 0x77;
    vmx_put(&v);
    msrs[2] = 0;
    vmx_load(&v);
    CHECK_EQ(msrs[2], 0x77);
    end();
}

/* Of the fields that the CPU looks at, none may be what the memory happened to hold (25.11.3). */
TEST(every_field_is_written)
{
    static const struct {
        uint16_t first, last;
    } all[] = {{0x800, 0x810},   {0xc00, 0xc0c},   {0x2804, 0x2806}, {0x280a, 0x2810}, {0x4000, 0x4016},
               {0x4800, 0x482a}, {0x6000, 0x6006}, {0x6800, 0x681a}, {0x6822, 0x6826}, {0x6c00, 0x6c12},
               {0x2800, 0x2802}, {0x201a, 0x201a}, {0x2010, 0x2012}, {0x201c, 0x2022}, {0, 0}};

    begin();
    for (unsigned i = 0; i < ARRAY_SIZE(all); i++)
        for (unsigned f = all[i].first; f <= all[i].last; f += 2)
            if (!fake_vmx.current[0]->written[f]) {
                printf("    field %#x\n", f);
                CHECK(false);
            }
    end();
}

TEST(what_the_cpu_needs_is_not_what_the_guest_sees)
{
    begin();
    vmx_set_reg(&v, REG_CR0, CR0_PE | CR0_ET);
    vmx_set_reg(&v, REG_CR4, CR4_PGE);
    CHECK_EQ(vmread(GUEST_CR0), CR0_PE | CR0_ET | CR0_NE);
    CHECK_EQ(vmread(GUEST_CR4), CR4_PGE | CR4_VMXE);
    CHECK_EQ(vmread(CR0_SHADOW), CR0_PE | CR0_ET);
    CHECK_EQ(vmread(CR4_SHADOW), CR4_PGE);
    vmwrite(GUEST_CR0, vmread(GUEST_CR0) | CR0_TS); /* the guest's own doing: no exit */
    CHECK_EQ(vmx_reg(&v, REG_CR0), CR0_PE | CR0_ET | CR0_TS);
    end();
}

/* After INIT and a start-up message, whatever the vCPU was doing: what entries to real mode are checked for (27.3.1), at the message's page. */
TEST(a_processor_that_is_started_again_enters_in_real_mode)
{
    struct vm_segment cs;

    begin();
    vmx_set_reg(&v, REG_CR4, CR4_PAE);
    vmx_set_reg(&v, REG_EFER, EFER_LME);
    vmx_set_reg(&v, REG_CR0, CR0_PE | CR0_PG);
    v.rflags |= BIT(9);
    enter(VM_EXIT_HLT);
    vmwrite(GUEST_ACTIVITY, 1);
    vmwrite(INTERRUPTIBILITY, 1);
    vmwrite(ENTRY_EVENT, EVENT_VALID | 0x40);
    vmx_reset(&v);
    cs = vmx_segment(&v, SEG_CS);
    cs.selector = 0x9a00;
    cs.base = 0x9a000;
    vmx_set_segment(&v, SEG_CS, &cs);
    v.rip = 0;
    enter(VM_EXIT_HLT);
    CHECK(guest.launched && !guest.in.valid);
    CHECK_EQ(vmread(GUEST_CR0) & (CR0_PE | CR0_PG | CR0_NE), CR0_NE);
    CHECK_EQ(vmread(GUEST_CR4), CR4_VMXE);
    CHECK_EQ(vmread(GUEST_EFER), 0);
    CHECK(!(vmread(ENTRY_CONTROLS) & ENTRY_IA32E));
    CHECK_EQ(vmread(GUEST_ACTIVITY), 0);
    CHECK_EQ(vmread(INTERRUPTIBILITY), 0);
    CHECK_EQ(vmread(GUEST_RFLAGS), 2);
    CHECK_EQ(vmread(GUEST_RIP), 0);
    CHECK_EQ(vmread(GUEST_RIGHTS + 2), 0x9b);
    CHECK_EQ(vmread(GUEST_LIMIT + 2), 0xffff);
    CHECK_EQ(vmread(GUEST_SELECTOR + 2), 0x9a00);
    CHECK_EQ(vmread(GUEST_BASE + 2), 0x9a000);
    end();
}

TEST(the_entry_goes_where_efer_says)
{
    begin();
    vmx_set_reg(&v, REG_CR4, CR4_PAE);
    vmx_set_reg(&v, REG_EFER, EFER_LME);
    vmx_set_reg(&v, REG_CR0, CR0_PE | CR0_PG);
    CHECK(vmread(ENTRY_CONTROLS) & ENTRY_IA32E);
    CHECK_EQ(vmread(GUEST_PDPTE0), 0);
    vmx_set_reg(&v, REG_CR0, CR0_PE);
    CHECK(!(vmread(ENTRY_CONTROLS) & ENTRY_IA32E));
    end();
}

TEST(the_top_entries_of_pae_paging_are_loaded)
{
    begin();
    vmx_set_reg(&v, REG_CR3, 0x5020);
    vmx_set_reg(&v, REG_CR4, CR4_PAE);
    vmx_set_reg(&v, REG_CR0, CR0_PE | CR0_PG);
    CHECK_EQ(vmread(GUEST_PDPTE0 + 2), 0x22);
    CHECK_EQ(vmread(GUEST_PDPTE0 + 6), 0x44);
    vmx_set_reg(&v, REG_CR3, 0x6000); /* not RAM */
    CHECK_EQ(vmread(GUEST_PDPTE0 + 2), 0);
    end();
}

TEST(a_null_segment_is_unusable)
{
    const struct vm_segment null = {0, 0, 0, 0};

    begin();
    vmx_set_segment(&v, SEG_DS, &null);
    CHECK_EQ(vmread(GUEST_RIGHTS + 6), 0x10000);
    CHECK_EQ(vmx_segment(&v, SEG_DS).attr, 0);
    end();
}

TEST(launch_and_resume)
{
    begin();
    enter(VM_EXIT_CPUID);
    CHECK(!guest.launched);
    enter(VM_EXIT_CPUID);
    CHECK(guest.launched);
    vmx_put(&v);
    vmx_load(&v);
    enter(VM_EXIT_CPUID);
    CHECK(!guest.launched);
    end();
}

TEST(an_entry_that_fails)
{
    struct vm_exit e;

    begin();
    guest.refuses = true;
    e = enter(VM_EXIT_CPUID);
    CHECK_EQ(e.kind, VM_EXIT_INVALID);
    CHECK_EQ(e.code, 7);
    CHECK(!e.redo.valid);
    guest.refuses = false;
    cpu_model.ends_with(VM_EXIT_CPUID);
    guest.reason = BIT(31) | REASON_BAD_STATE;
    guest.vectoring = EVENT_VALID | 3;
    vmx_ops.run(&v, &e);
    CHECK_EQ(e.kind, VM_EXIT_INVALID);
    CHECK_EQ(e.code, 0x80000021);
    CHECK(!e.redo.valid);
    end();
}

TEST(an_error_code_is_not_pushed_in_real_mode)
{
    begin();
    v.inject = (struct vm_event){true, true, VM_EVENT_EXCEPTION, 13, 0};
    enter(VM_EXIT_CPUID);
    CHECK(guest.in.valid && !guest.in.has_error);
    end();
}

TEST(the_window_is_the_nmis_if_one_waits)
{
    begin();
    v.nmi_pending = true;
    vmx_want_window(&v, true);
    CHECK_EQ(vmread(PROC_CONTROLS) & (PROC_NMI_WINDOW | PROC_INTR_WINDOW), PROC_NMI_WINDOW);
    vmx_want_window(&v, false);
    CHECK_EQ(vmread(PROC_CONTROLS), hvm_cpu.vmx.proc);
    end();
}

TEST(an_interrupt_that_cannot_go_in_is_not_taken)
{
    begin();
    v.rflags = 2;
    CHECK(!vmx_queue_intr(&v, 0x51));
    enter(VM_EXIT_CPUID);
    CHECK(!guest.in.valid);
    end();
}

TEST(another_vcpus_registers_can_be_read_in_between)
{
    struct vcpu other = {.vm = &vm};

    begin();
    CHECK_EQ(vmx_vcpu_create(&other), 0);
    vmx_reset(&other);
    vmx_set_reg(&other, REG_CR3, 0x123000);
    vmx_set_reg(&v, REG_CR3, 0x456000);
    CHECK_EQ(vmx_reg(&other, REG_CR3), 0x123000);
    CHECK_EQ(vmread(GUEST_CR3), 0x456000);
    fake_this_cpu(1); /* it was let go, so that another CPU can have it */
    CHECK_EQ(vmx_cpu_on(), 0);
    vmx_load(&other);
    CHECK_EQ(vmx_reg(&other, REG_CR3), 0x123000);
    vmx_put(&other);
    fake_this_cpu(0);
    end();
}

TEST_MAIN()
