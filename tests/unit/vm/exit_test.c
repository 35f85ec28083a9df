/* SPDX-License-Identifier: BSD-2-Clause */
/* vm/exit.c: what each kind of exit does to the vCPU and to its VM. */
#include "tests/unit/test.h"

#include "tests/unit/fake/heap.c"
#include "tests/unit/fake/hvm.c"
#include "tests/unit/fake/log.c"

#include "kernel/lib/types.h"
#include "vm/exit.c"

static struct vm vm = {.name = "test"};
static struct vcpu v;

static char called[64], reason[128];
static bool crashed, exists, mmio_known, mapped, msr_known;
static unsigned map_flags, skips;
static enum then what_then;
static uint64_t msr_seen;

#define CALLED(name) strncat(called, name " ", sizeof(called) - strlen(called) - 1)

void vm_stop(struct vm *m, struct vcpu *culprit, enum vm_end end, const char *fmt, ...)
{
    va_list ap;

    CHECK(m == &vm && culprit == &v);
    crashed = end == VM_CRASH;
    va_start(ap, fmt);
    vsnprintf(reason, sizeof(reason), fmt, ap);
    va_end(ap);
    CALLED("stop");
}

bool vm_io_exists(struct vm *m, enum io_space space, uint64_t addr)
{
    (void)m, (void)addr;
    CHECK_EQ(space, IO_MEM);
    return exists;
}

bool radix_lookup(const struct radix *t, uint64_t addr, hpa_t *target, unsigned *flags)
{
    (void)t, (void)addr, (void)target;
    *flags = map_flags;
    return mapped;
}

void vcpu_skip(struct vcpu *x, const struct vm_exit *e)
{
    (void)x, (void)e;
    skips++;
}

void vcpu_exception(struct vcpu *x, uint8_t vector, bool has_error, uint32_t error)
{
    x->inject = (struct vm_event){true, has_error, VM_EVENT_EXCEPTION, vector, error};
}

enum then emul_cpuid(struct vcpu *x, const struct vm_exit *e)
{
    (void)x, (void)e;
    CALLED("cpuid");
    return what_then;
}

enum then emul_cr(struct vcpu *x, const struct vm_exit *e)
{
    (void)x, (void)e;
    CALLED("cr");
    return what_then;
}

enum then emul_xsetbv(struct vcpu *x, const struct vm_exit *e)
{
    (void)x, (void)e;
    CALLED("xsetbv");
    return what_then;
}

enum then emul_io(struct vcpu *x, const struct vm_exit *e)
{
    (void)x, (void)e;
    CALLED("io");
    return what_then;
}

bool emul_mmio(struct vcpu *x, const struct vm_exit *e)
{
    (void)x, (void)e;
    CALLED("mmio");
    return mmio_known;
}

enum then hypercall_handle(struct vcpu *x, const struct vm_exit *e)
{
    (void)x, (void)e;
    CALLED("hypercall");
    return THEN_SKIP;
}

int msr_access(struct vcpu *x, uint32_t msr, bool write, uint64_t *val)
{
    (void)x;
    CHECK_EQ(msr, 0x1b);
    if (write)
        msr_seen = *val;
    *val = 0x1122334455667788;
    return msr_known ? 0 : -EINVAL;
}

static void handle(struct vm_exit e)
{
    memset(&v.inject, 0, sizeof(v.inject));
    v.vm = &vm;
    v.halted = v.recheck = crashed = false;
    called[0] = reason[0] = 0;
    skips = 0;
    fake_hvm.flushes = 0;
    exit_handle(&v, &e);
}

TEST(rows)
{
    static const struct {
        enum vm_exit_kind kind;
        const char *called;
        unsigned skips;
        bool recheck;
    } rows_expected[] = {
        {VM_EXIT_HOST_INTR, "", 0, false},     {VM_EXIT_WINDOW, "", 0, true},
        {VM_EXIT_CPUID, "cpuid ", 1, false},   {VM_EXIT_HLT, "", 1, true},
        {VM_EXIT_IO, "io ", 1, true},          {VM_EXIT_CR, "cr ", 1, true},
        {VM_EXIT_XSETBV, "xsetbv ", 1, false}, {VM_EXIT_HYPERCALL, "hypercall ", 1, false},
        {VM_EXIT_WBINVD, "", 1, false},        {VM_EXIT_SHUTDOWN, "stop ", 0, true},
        {VM_EXIT_INVALID, "stop ", 0, true},   {VM_EXIT_UNKNOWN, "stop ", 0, true},
    };

    what_then = THEN_SKIP;
    for (unsigned i = 0; i < ARRAY_SIZE(rows_expected); i++) {
        handle((struct vm_exit){.kind = rows_expected[i].kind});
        CHECK(strcmp(called, rows_expected[i].called) == 0);
        CHECK_EQ(skips, rows_expected[i].skips);
        CHECK_EQ(v.recheck, rows_expected[i].recheck);
        CHECK_EQ(v.halted, rows_expected[i].kind == VM_EXIT_HLT);
        CHECK(!v.inject.valid);
    }
}

TEST(every_kind_has_a_row_and_a_name)
{
    for (unsigned k = 0; k < VM_EXIT_KINDS; k++) {
        CHECK(rows[k].name != NULL);
    }
    CHECK(strcmp(exit_name(VM_EXIT_KINDS), "?") == 0);
}

TEST(what_the_handler_says_is_done)
{
    what_then = THEN_STAY;
    handle((struct vm_exit){.kind = VM_EXIT_CR});
    CHECK(skips == 0 && !v.inject.valid);
    what_then = THEN_GP;
    handle((struct vm_exit){.kind = VM_EXIT_IO});
    CHECK(skips == 0 && v.inject.valid && v.inject.has_error);
    CHECK_EQ(v.inject.vector, 13);
    what_then = THEN_UD;
    handle((struct vm_exit){.kind = VM_EXIT_XSETBV});
    CHECK(skips == 0 && v.inject.valid && !v.inject.has_error);
    CHECK_EQ(v.inject.vector, 6);
}

TEST(msr)
{
    msr_known = true;
    v.gpr[RAX] = ~0ull;
    handle((struct vm_exit){.kind = VM_EXIT_MSR, .msr = {0x1b, false}});
    CHECK_EQ(v.gpr[RAX], 0x55667788);
    CHECK_EQ(v.gpr[RDX], 0x11223344);
    CHECK_EQ(skips, 1);
    CHECK(v.recheck); /* an EOI may let the next interrupt in */
    v.gpr[RAX] = 0xffffffff00000002;
    v.gpr[RDX] = 0xffffffff00000001;
    handle((struct vm_exit){.kind = VM_EXIT_MSR, .msr = {0x1b, true}});
    CHECK_EQ(msr_seen, 0x100000002);
    msr_known = false;
    handle((struct vm_exit){.kind = VM_EXIT_MSR, .msr = {0x1b, true}});
    CHECK_EQ(skips, 0);
    CHECK_EQ(v.inject.vector, 13);
    v.gpr[RAX] = 5;
    handle((struct vm_exit){.kind = VM_EXIT_MSR, .msr = {0x1b, false}});
    CHECK_EQ(v.gpr[RAX], 5);
    CHECK_EQ(v.inject.vector, 13);
}

static void mem(bool write, bool fetch, bool in_walk)
{
    handle((struct vm_exit){.kind = VM_EXIT_MEM, .mem = {gpa(0xd0000000), write, fetch, in_walk}});
}

TEST(memory)
{
    mapped = true; /* RAM: a stale translation */
    map_flags = RADIX_R | RADIX_W | RADIX_X;
    mem(true, false, false);
    CHECK_EQ(fake_hvm.flushes, 1);
    CHECK(called[0] == 0);
    map_flags = RADIX_R | RADIX_W | RADIX_UC; /* a device page is not to be executed */
    mem(false, true, false);
    CHECK(crashed);
    CHECK(strstr(reason, "executes at 0xd0000000") != NULL);
    mapped = false;
    exists = mmio_known = true;
    mem(false, false, false);
    CHECK(strcmp(called, "mmio ") == 0);
    mem(false, true, false); /* nobody executes out of a device */
    CHECK(crashed && strstr(reason, "executes at"));
    mmio_known = false;
    mem(false, false, false);
    CHECK(crashed && strstr(reason, "not emulated"));
    mem(true, false, true);
    CHECK(crashed && strstr(reason, "page table"));
    exists = false;
    mem(true, false, false);
    CHECK(crashed && strstr(reason, "writes 0xd0000000, which is neither RAM nor a device"));
    CHECK(strcmp(called, "stop ") == 0);
}

/* The instruction at RIP is not what touched the register. */
TEST(delivery_through_a_device)
{
    mapped = false;
    exists = mmio_known = true;
    handle((struct vm_exit){.kind = VM_EXIT_MEM,
                            .redo = {true, true, VM_EVENT_EXCEPTION, VEC_GP, 0},
                            .mem = {.addr = gpa(0xd0000000), .write = true}});
    CHECK(crashed && strcmp(called, "stop ") == 0);
    CHECK(strstr(reason, "delivers an event through"));
}

TEST(exceptions)
{
    handle((struct vm_exit){.kind = VM_EXIT_EXCEPTION, .exception = {1, 0}});
    CHECK(v.inject.valid && !v.inject.has_error);
    CHECK_EQ(v.inject.vector, 1);
    handle((struct vm_exit){.kind = VM_EXIT_EXCEPTION, .exception = {17, 0}});
    CHECK(v.inject.has_error);
    handle((struct vm_exit){.kind = VM_EXIT_EXCEPTION, .exception = {13, 0x18}});
    CHECK(v.inject.has_error);
    CHECK_EQ(v.inject.error, 0x18);
    handle((struct vm_exit){.kind = VM_EXIT_PRIVILEGED});
    CHECK_EQ(v.inject.vector, 6);
    CHECK(FAKE_EXPECT_PANIC(handle((struct vm_exit){.kind = VM_EXIT_EXCEPTION, .exception = {18, 0}})));
}

TEST(crashes_say_why)
{
    handle((struct vm_exit){.kind = VM_EXIT_UNKNOWN, .code = 0x7d});
    CHECK(crashed && strstr(reason, "0x7d"));
    handle((struct vm_exit){.kind = VM_EXIT_SHUTDOWN});
    CHECK(crashed && strstr(reason, "triple fault"));
    handle((struct vm_exit){.kind = VM_EXIT_INVALID});
    CHECK(crashed && strstr(reason, "refuses"));
}

TEST_MAIN()
