/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/permissions.h"
#include "boot/regs.h"
#include <string.h>

/*
 * No port, and no MSR but those that the CPU or the back end switches with the vCPU (VMRUN, VMLOAD and VMSAVE; VM entry and exit, vmx_load() and
 * vmx_put()) and that cannot hurt anybody else: canonical addresses are checked by the CPU.
 */
static const uint32_t direct[] = {MSR_SYSENTER_CS, MSR_SYSENTER_ESP,  MSR_SYSENTER_EIP, MSR_STAR,
                                  MSR_LSTAR,       MSR_CSTAR,         MSR_SFMASK,       MSR_FS_BASE,
                                  MSR_GS_BASE,     MSR_KERNEL_GS_BASE};

/*
 * What a guest that has its CPU's local APIC reaches besides: registers with which it can hurt nobody else. Reading is harmless, and what hardware makes
 * read-only it protects itself. ICR, SVR and what names the APIC are not among them, nor the timer's LVT entry: that its delivery mode is reserved (SDM 3A
 * figure 11-8) is no border.
 */
#define MSR_X2APIC_PPR       0x80a
#define MSR_X2APIC_ISR_FIRST 0x810
#define MSR_X2APIC_IRR_LAST  0x827
static const struct {
    uint32_t first, last;
} lent[] = {{MSR_X2APIC_TPR, MSR_X2APIC_TPR},
            {MSR_X2APIC_PPR, MSR_X2APIC_EOI},
            {MSR_X2APIC_ISR_FIRST, MSR_X2APIC_IRR_LAST},
            {MSR_X2APIC_TIMER_INIT, MSR_X2APIC_TIMER_COUNT},
            {MSR_X2APIC_TIMER_DIVIDE, MSR_X2APIC_SELF_IPI}};

/* Two bits an MSR, read and write (APM 2 15.11): 2,000h MSRs from 0, C000_0000h and C001_0000h take 800h bytes each. */
static void svm_allow(uint8_t *map, uint32_t msr)
{
    uint32_t bit = (msr & 0x1fff) * 2 + (msr >= 0xc0000000 ? 0x800 * 8 : 0);

    map[bit >> 3] &= (uint8_t) ~(3 << (bit & 7));
}

/* 2,000h MSRs from 0 and, 400h bytes on, from C000_0000h; for reads and, 800h bytes on, for writes (SDM 3 25.6.9). */
#define VMX_WRITES 0x800
static void vmx_allow_one(uint8_t *map, uint32_t msr)
{
    map[(msr >= 0xc0000000 ? 0x400 : 0) + ((msr & 0x1fff) >> 3)] &= (uint8_t) ~(1 << (msr & 7));
}

static void vmx_allow(uint8_t *map, uint32_t msr)
{
    vmx_allow_one(map, msr);
    vmx_allow_one(map + VMX_WRITES, msr);
}

/* What the CPU answers itself, out of the virtual-APIC page (SDM 3 30.5). Nothing of it is a register of the CPU's own APIC. */
static void vmx_allow_delegated(uint8_t *map)
{
    vmx_allow_one(map, MSR_X2APIC_PPR);
    for (uint32_t word = 0; word < 8; word++) {
        vmx_allow_one(map, MSR_X2APIC_ISR_FIRST + word);
        vmx_allow_one(map, MSR_X2APIC_IRR_LAST - word);
    }
    vmx_allow_one(map + VMX_WRITES, MSR_X2APIC_EOI);
    vmx_allow_one(map + VMX_WRITES, MSR_X2APIC_SELF_IPI);
}

void permissions_fill(uint8_t *maps, const struct boot_cpu *c)
{
    void (*allow)(uint8_t * map, uint32_t msr) = c->virt == BOOT_VIRT_SVM ? svm_allow : vmx_allow;
    uint8_t *msrs = maps + (c->virt == BOOT_VIRT_SVM ? BOOT_MAPS_MSR : 0);

    memset(maps, 0xff, BOOT_MAPS_BYTES);
    for (unsigned i = 0; i < ARRAY_SIZE(direct); i++)
        allow(msrs, direct[i]);
    if (c->tsc_aux)
        allow(msrs, MSR_TSC_AUX);
    if (c->virt != BOOT_VIRT_SVM) {
        memcpy(maps + BOOT_MAPS_DELEGATED, msrs, BOOT_MAPS_DELEGATED);
        vmx_allow_delegated(maps + BOOT_MAPS_DELEGATED);
        return;
    }
    memcpy(maps + BOOT_MAPS_LENT, msrs, BOOT_MAPS_BYTES - BOOT_MAPS_LENT);
    for (unsigned i = 0; i < ARRAY_SIZE(lent); i++)
        for (uint32_t msr = lent[i].first; msr <= lent[i].last; msr++)
            allow(maps + BOOT_MAPS_LENT, msr);
}
