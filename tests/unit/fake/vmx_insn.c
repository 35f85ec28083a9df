/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stands in for vm/vmx/insn.h: VMCSs as SDM 3 25.11 describes them. A CPU works on one at a time; an instruction that has none fails
 * the test, as does making one current on a CPU while another has it. Include before the files under test.
 */
#define VM_VMX_INSN_H

#include "kernel/cpu/cpu.h"
#include "kernel/lib/types.h"
#include "tests/unit/fake/insn.c"

#define FAKE_VMCSS  8
#define FAKE_FIELDS 0x8000

static struct fake_vmcs {
    hpa_t region;
    bool launched;
    int cpu; /* where it is active, or -1 */
    uint64_t field[FAKE_FIELDS];
    bool written[FAKE_FIELDS];
} fake_vmcs[FAKE_VMCSS];

static struct {
    struct fake_vmcs *current[CPU_MAX];
    bool on[CPU_MAX];
    unsigned nmis, invepts;
    uint64_t dr6, eptp;
} fake_vmx __attribute__((unused));

static inline struct fake_vmcs *fake_vmcs_of(hpa_t region)
{
    struct fake_vmcs *m = fake_vmcs;

    while (m < fake_vmcs + FAKE_VMCSS - 1 && m->region.a && m->region.a != region.a)
        m++;
    if (!m->region.a)
        *m = (struct fake_vmcs){.region = region, .cpu = -1};
    return m;
}

static inline void fake_vmcs_forget(void)
{
    memset(fake_vmcs, 0, sizeof(fake_vmcs));
    memset(&fake_vmx, 0, sizeof(fake_vmx));
}

static inline bool vmxon(hpa_t region)
{
    CHECK(region.a != 0 && !fake_vmx.on[cpu_id()]);
    fake_vmx.on[cpu_id()] = true;
    return true;
}

static inline bool vmclear(hpa_t region)
{
    struct fake_vmcs *m = fake_vmcs_of(region);

    CHECK(m->cpu < 0 || m->cpu == (int)cpu_id());
    m->cpu = -1;
    m->launched = false;
    if (fake_vmx.current[cpu_id()] == m)
        fake_vmx.current[cpu_id()] = NULL;
    return true;
}

static inline bool vmptrld(hpa_t region)
{
    struct fake_vmcs *m = fake_vmcs_of(region);

    CHECK(m->cpu < 0 || m->cpu == (int)cpu_id());
    m->cpu = (int)cpu_id();
    fake_vmx.current[cpu_id()] = m;
    return true;
}

static inline uint64_t vmread(uint64_t field)
{
    struct fake_vmcs *m = fake_vmx.current[cpu_id()];

    CHECK(m && field < FAKE_FIELDS);
    return m ? m->field[field] : 0;
}

static inline void vmwrite(uint64_t field, uint64_t v)
{
    static const uint64_t width[] = {UINT16_MAX, UINT64_MAX, UINT32_MAX, UINT64_MAX};
    struct fake_vmcs *m = fake_vmx.current[cpu_id()];

    CHECK(m && field < FAKE_FIELDS && !(v & ~width[field >> 13])); /* appendix B: bits 14:13 are the width */
    if (m) {
        m->field[field] = v;
        m->written[field] = true;
    }
}

static inline void invept(uint64_t eptp)
{
    fake_vmx.invepts++;
    fake_vmx.eptp = eptp;
}

static inline uint64_t read_dr6(void)
{
    return fake_vmx.dr6;
}

static inline void write_dr6(uint64_t v)
{
    fake_vmx.dr6 = v;
}

static inline void take_nmi(void)
{
    fake_vmx.nmis++;
}

static uint64_t fake_gdt[5] __attribute__((unused)) = {0, 0, 0, 0x12000034567890ab, 0xffffffff};

static inline uint64_t read_gdt_base(void)
{
    return (uint64_t)fake_gdt;
}

static inline uint64_t read_idt_base(void)
{
    return 0xffffffff80010000;
}
