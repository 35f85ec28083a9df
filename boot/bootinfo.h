/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What boot/ hands to the hypervisor; the only header the two share. No EFI type in it. All addresses are
 * physical, all memory it points to is of type BOOT_MEM_LOADER and stays as long as the hypervisor runs: every
 * restart of a guest begins with what its plan points to.
 */
#pragma once

#include <stdint.h>

#define BOOTINFO_MAGIC   0x454c494d5453414cull /* "LASTMILE" */
#define BOOTINFO_VERSION 14

enum boot_mem_type {
    BOOT_MEM_USABLE,   /* free from the hand-off on (boot services memory included) */
    BOOT_MEM_LOADER,   /* images, this structure, the page tables at hand-off */
    BOOT_MEM_ACPI,     /* tables; reclaimable by an OS, not by us */
    BOOT_MEM_RUNTIME,  /* firmware runtime services */
    BOOT_MEM_RESERVED, /* anything else that is listed */
    BOOT_MEM_MMIO,
};

struct boot_mem {
    uint64_t base, size; /* page-aligned */
    uint32_t type;       /* enum boot_mem_type */
    uint32_t pad;
};

/* From `base` to `end`, whole pages. */
struct boot_range {
    uint64_t base, end;
};

#define BOOT_NAME_MAX        16 /* with the terminating 0 */
#define BOOT_GUEST_VFS       8
#define BOOT_GUEST_FUNCTIONS 8
#define BOOT_VCPUS_MAX       16 /* of one guest */
#define BOOT_GUESTS_MAX      32
#define BOOT_NICS_MAX        8
#define BOOT_VF_BARS         6

enum boot_nic_mode { BOOT_NIC_VEB, BOOT_NIC_VEPA };
enum boot_on_crash { BOOT_CRASH_RESTART, BOOT_CRASH_STOP };
/* What becomes of a function that the IOMMU stops again and again. */
enum boot_on_fault { BOOT_FAULT_QUARANTINE, BOOT_FAULT_LOG, BOOT_FAULT_STOP };

struct boot_nic {
    char name[BOOT_NAME_MAX];
    uint32_t rid;     /* segment << 16 | bus << 8 | devfn of the PF; boot/ has looked `mac =` up */
    uint16_t vfs;     /* 0 .. TotalVFs */
    uint16_t mode;    /* enum boot_nic_mode */
    uint32_t ip;      /* the I/O domain's IPv4 address on this PF, network byte order; 0: DHCP */
    uint32_t netmask; /* network byte order */
    uint32_t gateway; /* 0: none */
    /* Free addresses below 4 GiB for each VF BAR, `vfs` slices long; 0: it stays where the firmware has put it. */
    uint64_t vf_bar[BOOT_VF_BARS];
};

struct boot_vf {
    uint16_t nic;      /* index into nic[] */
    uint16_t index;    /* VF number on that NIC */
    uint8_t mac[6];    /* never multicast; all zero: none configured */
    uint16_t vlan;     /* 0: none */
    uint32_t on_fault; /* enum boot_on_fault */
};

/* How a function is reset before it is given to a guest; in struct boot_pci there is the way to do it. */
enum boot_reset {
    BOOT_RESET_NONE,
    BOOT_RESET_FLR, /* function-level reset of the PCI Express capability */
    BOOT_RESET_AF,  /* of the Advanced Features capability */
    BOOT_RESET_PM,  /* D3hot and back, without No_Soft_Reset */
    BOOT_RESET_BUS, /* of the bridge above; the function is alone there */
};

/* A whole function, which boot/ has found to be one that can be isolated. */
struct boot_function {
    uint32_t rid;   /* as in struct boot_nic */
    uint32_t reset; /* enum boot_reset, never BOOT_RESET_NONE */
};

/* `size` bytes at `source` that go to the guest physical address `at`. */
struct boot_piece {
    uint64_t at, source, size;
};

/* RAM of a guest, `size` bytes at its address `at`; all three are multiples of 2 MiB. */
struct boot_block {
    uint64_t at, base, size;
};

#define BOOT_BLOCKS_MAX  128
#define BOOT_PIECES_MAX  26
#define BOOT_REFUSAL_MAX 128

/* In the order of the instruction encoding (AMD APM 3 table 1-10). */
enum gpr { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15, GPRS };

/*
 * EFER.LMA follows EFER.LME and CR0.PG whatever is written, EFER.SVME is the host's business and never seen.
 * CR8 is what an unintercepted read gives: whoever changes the APIC's task priority sets it. TSC_OFFSET is what
 * the guest's TSC is ahead of this CPU's. CPL follows SS and is read only. Those behind it are for a vCPU that is on no CPU; SHADOW:
 * interrupts are held off for one instruction more; NMI_BLOCKED: until the next IRET. The order is that of the records (vm/migrate/state.h), too.
 */
enum vm_reg {
    REG_CR0,
    REG_CR2,
    REG_CR3,
    REG_CR4,
    REG_CR8,
    REG_EFER,
    REG_PAT,
    REG_DEBUGCTL,
    REG_TSC_OFFSET,
    REG_CPL,
    REG_DR6,
    REG_DR7,
    REG_STAR,
    REG_LSTAR,
    REG_CSTAR,
    REG_SFMASK,
    REG_KERNEL_GS_BASE,
    REG_SYSENTER_CS,
    REG_SYSENTER_ESP,
    REG_SYSENTER_EIP,
    REG_SHADOW,
    REG_NMI_BLOCKED,
    VM_REGS
};

/* The first six as instructions encode them (APM 3 table 1-11). Of GDTR and IDTR, base and limit count. */
enum vm_seg { SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS, SEG_GDTR, SEG_LDTR, SEG_IDTR, SEG_TR, VM_SEGS };

/* attr: descriptor bits 55:52 and 47:40 packed as in the VMCB (APM 2 15.5.1): type 3:0, S 4, DPL 6:5, P 7,
 * AVL 8, L 9, D 10, G 11. */
struct vm_segment {
    uint16_t selector, attr;
    uint32_t limit;
    uint64_t base;
};

/* All that a vCPU begins with; what is not here, the hypervisor's back end knows. */
struct boot_vcpu {
    struct vm_segment segment[VM_SEGS];
    uint64_t reg[VM_REGS]; /* before REG_CPL */
    uint64_t gpr[GPRS];
    uint64_t rip, rflags;
};

/* How a guest starts: these pieces in its RAM and zeroes elsewhere, and its first vCPU. Addresses are the guest's physical ones. */
struct boot_start {
    char refusal[BOOT_REFUSAL_MAX]; /* why it cannot start: a sentence for the operator; "" if it can */
    struct boot_vcpu vcpu;
    uint64_t npieces;
    struct boot_piece piece[BOOT_PIECES_MAX];
};

#define BOOT_CPUID_LEAVES 16

struct boot_guest {
    char name[BOOT_NAME_MAX];
    uint64_t memory;   /* bytes, a multiple of 2 MiB */
    uint64_t cpus;     /* bit n: may run on CPU n; 0: on all */
    uint32_t own_cpus; /* 1: as many CPUs as vCPUs, which nobody else may use, and not the first one */
    uint32_t vcpus;    /* 1 .. BOOT_VCPUS_MAX */
    uint32_t on_crash; /* enum boot_on_crash */
    uint32_t on_fault; /* enum boot_on_fault; its VFs have their own */
    uint32_t nics;     /* bit n: it has a VF of nic[n] */
    uint32_t nvfs;
    uint32_t nfunctions;
    struct boot_vf vf[BOOT_GUEST_VFS];
    struct boot_function function[BOOT_GUEST_FUNCTIONS];
    struct boot_start start;
    /* All its memory, for good, with anything in it: from 0 up, and from 4 GiB up what would reach beyond 3 GiB. Of one that cannot start: nothing. */
    uint32_t nblocks;
    struct boot_block block[BOOT_BLOCKS_MAX];
    /* What it sees of CPUID but for the vCPU's id: EAX, EBX, ECX and EDX by bits 31:30 of the leaf (the usual ones, the hypervisor's, the extended) and
     * its low bits; of leaf 0Bh subleaf 1. */
    uint32_t cpuid[4][BOOT_CPUID_LEAVES][4];
};

struct boot_config {
    uint16_t console_port; /* I/O port of the UART */
    uint16_t loglevel;     /* 0 error .. 3 debug */
    uint32_t nnics, nguests;
    struct boot_nic nic[BOOT_NICS_MAX];
    struct boot_guest guest[BOOT_GUESTS_MAX];
};

#define BOOT_CPUS_MAX 64
#define BOOT_ECAM_MAX 8

/* One window of memory-mapped configuration space, never over RAM (PCI Firmware Specification 3.3, table 4-3). */
struct boot_ecam {
    uint64_t base; /* of bus 0 of the segment, even if first_bus is another */
    uint16_t segment;
    uint8_t first_bus, last_bus;
};

/* I/O ports and values of the FADT's fixed hardware (ACPI 6.5 4.8); 0: there is none. */
struct boot_power {
    uint16_t pm_timer;
    uint16_t pm1_cnt[2]; /* PM1a, PM1b; the first is 0 if the machine cannot be powered off */
    uint16_t off[2];     /* what they take, and then once more with SLP_EN */
    uint16_t reset;      /* takes reset_value */
    uint8_t reset_value;
    uint8_t
        legacy; /* the firmware did not switch the chip set to ACPI mode, in which alone it obeys SLP_EN */
    /* What boot/ makes `off` and `legacy` of: SLP_TYP of \_S5, and what the port takes to go to ACPI mode. */
    uint8_t slp_typ[2];
    uint16_t smi_cmd, acpi_enable;
};

#define BOOT_UNITS_MAX   16
#define BOOT_SCOPES_MAX  256
#define BOOT_ALIASES_MAX 64
#define BOOT_UNITIES_MAX 32

enum boot_iommu_kind { BOOT_IOMMU_NONE, BOOT_IOMMU_AMDVI, BOOT_IOMMU_VTD };

/* One IOMMU. Its registers are aligned and lie over no RAM. */
struct boot_unit {
    uint64_t base;
    uint32_t rid;   /* AMD-Vi: its own function; VT-d: of its segment the first id */
    uint32_t flags; /* AMD-Vi: of its IVHD (48882 5.2.2.1) */
};

/* Something about the requester ids (as in struct boot_nic) from `first` to `last`. */
struct boot_ids {
    uint32_t first, last, value;
};

/* Memory that the firmware wants its devices to reach on: whole pages, at most 256 MiB, no RAM. */
struct boot_unity {
    uint64_t start, size;
    uint32_t first, last; /* as in struct boot_ids */
    uint32_t flags;       /* bit 0: to be read, bit 1: to be written; one at least */
    uint32_t pad;
};

/* What the IVRS or the DMAR says. Of several entries for one id the first counts. */
struct boot_iommu {
    uint32_t kind; /* enum boot_iommu_kind */
    uint32_t nunits, nscopes, naliases, nunities;
    uint32_t vfs_with_pf; /* a VF is in the scope that its PF is in */
    struct boot_unit unit[BOOT_UNITS_MAX];
    struct boot_unity unity[BOOT_UNITIES_MAX];
    /* What boot/ makes struct boot_pci's unit and alias of. */
    struct boot_ids scope[BOOT_SCOPES_MAX];  /* the unit with this number translates them */
    struct boot_ids alias[BOOT_ALIASES_MAX]; /* their requests may bear this id instead */
};

enum boot_virt { BOOT_VIRT_NONE, BOOT_VIRT_SVM, BOOT_VIRT_VMX };

struct boot_svm {
    uint32_t asids; /* valid ones are 1 .. asids - 1 */
    uint8_t nrips, clean, flush_by_asid, decode_assists;
};

struct boot_vmx {
    uint32_t revision;                      /* of the VMCS */
    uint32_t pin, proc, proc2, exit, entry; /* controls as they are to be, windows and IA-32e mode left out */
};

/* Of SVM's permission maps: behind that for I/O ports that for MSRs, and that for the MSRs of a vCPU which has its CPU's local APIC. */
#define BOOT_MAPS_MSR   0x3000
#define BOOT_MAPS_LENT  0x5000
#define BOOT_MAPS_BYTES 0x7000
/* Of VMX's: those of a vCPU whose interrupts are the CPU's. */
#define BOOT_MAPS_DELEGATED 0x1000

#define BOOT_MSRS 15

/* MSRs that do nothing for a guest: they read as `value`, or raise #GP with no line in the log; what is written is dropped, or #GP. */
struct boot_msr {
    uint32_t first, last;
    uint32_t reads, writes; /* bool */
    uint64_t value;
};

/* What the processors have, all alike, and what of it is for guests. */
/* What a register of a guest's vCPU may hold that was saved, by itself: these bits, or if that is 0 a canonical address. */
struct boot_limit {
    char name[16];
    uint64_t valid;
};

struct boot_cpu {
    uint32_t virt;   /* enum boot_virt, never BOOT_VIRT_NONE; the other one's structure is zero */
    uint8_t leaf_1g; /* nested page tables may have leaves of 1 GiB */
    uint8_t xsaveopt, tsc_aux, ibpb;
    uint32_t xstate_size; /* bytes */
    uint32_t delegates;   /* bool: the CPU delivers a guest's interrupts and ends them (vm/hvm.h) */
    uint64_t xstates;     /* all that XCR0 can enable */
    uint64_t maps;        /* SVM: its permission maps, of BOOT_MAPS_BYTES; VMX: two pages of MSR bitmaps */
    struct boot_svm svm;
    struct boot_vmx vmx;
    uint64_t host_cr4; /* boot/'s: what the hypervisor runs with, SMEP, SMAP and UMIP where there are */
    uint64_t cr4_valid, xcr0_valid, efer_valid; /* what guests may set; EFER.LMA included */
    struct boot_msr msr[BOOT_MSRS];
    struct boot_limit limit[VM_REGS];
    struct boot_vcpu reset; /* as after power-up (SDM 3A table 10-1) */
};

/* What the processor and the machine's ACPI tables say. */
struct boot_machine {
    struct boot_cpu processor;
    uint32_t ncpus;              /* usable processors, the boot processor the first of them */
    uint32_t cpu[BOOT_CPUS_MAX]; /* their local APIC ids, as many as fit */
    uint32_t necam;
    struct boot_ecam ecam[BOOT_ECAM_MAX];
    struct boot_power power;
    struct boot_iommu iommu;
};

struct boot_bar {
    uint64_t base, size; /* size 0: not there (or upper half of the one before) */
    uint32_t io, wide64; /* bool */
};

/* Bits of a register that begin a function's reset; where `holds`, they are to be taken back to end it. */
struct boot_reset_way {
    uint32_t at; /* requester id of the function that has the register */
    uint16_t reg;
    uint16_t bits; /* 0: it is not reset */
    uint32_t holds;
};

/*
 * A PCI function: no Bus Master (but for bridges), MSI or MSI-X is on. The configured VFs are enabled and decode memory;
 * those of a PF follow one another.
 */
struct boot_pci {
    uint32_t rid;
    uint32_t pf;             /* of a VF its PF's, otherwise its own */
    uint32_t bridge;         /* the one right above it, or BOOT_NO_BRIDGE on a root bus */
    uint32_t class_rev;      /* class << 8 | revision */
    uint16_t vendor, device; /* a VF's come from its PF (its own read as ffff) */
    uint8_t header_type;
    uint8_t secondary, subordinate; /* the buses behind a bridge; 0: there are none */
    uint8_t pad;
    struct boot_bar bar[BOOT_VF_BARS]; /* VFs: their slice of the VF BARs; bridges: none */
    uint16_t cap_pcie, cap_msi, cap_msix, cap_pm, cap_af, cap_sriov; /* offsets; 0: absent */
    uint16_t num_vfs, first_vf; /* PF: VFs enabled, and the first one's place in the list */
    uint32_t unit;              /* number of the IOMMU that translates it; BOOT_NO_UNIT: none does */
    uint32_t alias;             /* the id that its requests may bear as well, or its own */
    uint64_t regs; /* address of its configuration space, 4 KiB that lie over no RAM; 0: behind ports */
    struct boot_reset_way reset; /* of VFs, and of functions that guests have */
    uint16_t msix_vectors;       /* of MSI-X; 0: it has none */
    uint16_t msix_bar;
    uint32_t msix_offset; /* of the table in that BAR, where all of it is */
};

#define BOOT_SHOWN_BYTES 256

/* Where the capabilities stand that a VM sees. */
#define BOOT_SHOWN_PCIE 0x40
#define BOOT_SHOWN_MSIX 0x80
#define BOOT_SHOWN_MSI  0x90

/*
 * The configuration space that a VM sees of a function that it has, and the bits of it that it may write: conventional,
 * MSI in the 64-bit format without masks, FLR only where the function is reset by it, no other capability. BARs are 0.
 */
struct boot_shown {
    uint8_t cfg[BOOT_SHOWN_BYTES], wmask[BOOT_SHOWN_BYTES];
};

#define BOOT_NO_BRIDGE     UINT32_MAX
#define BOOT_NO_UNIT       UINT32_MAX
#define BOOT_FUNCTIONS_MAX 4096

/*
 * State at hand-off: long mode, interrupts off, the 8259s masked, one CPU; paging as kernel/mm/layout.h says, with a root below 4 GiB, and two pages
 * mapped to their own addresses, to be executed: `jump` and `trampoline`. The other processors come to the same entry by way of the trampoline (SIPI),
 * one after the other.
 *
 * Each of them has: RDI, the direct-map address of this structure; ESI, its number, which is the word at BOOT_TRAMPOLINE_NUMBER (0 for the boot
 * processor); RSP, the end of its main stack; RFLAGS without any flag; CR0, CR4, PAT and EFER as the hypervisor runs with them; a GDT of its own with
 * code at 08h (CS), data at 10h (DS, ES, SS) and at 18h a TSS with the ends of its stacks as IST 1 to 3, in which TR is. All else is undefined.
 */
#define BOOT_TRAMPOLINE_NUMBER 0xffc /* in its page, 32 bits */

struct bootinfo {
    uint64_t magic;
    uint32_t version, size; /* sizeof(struct bootinfo) */
    struct boot_machine machine;
    uint64_t mem; /* struct boot_mem[mem_count], sorted, not overlapping */
    uint64_t mem_count;
    uint64_t ram; /* struct boot_range[ram_count], sorted, apart: all RAM, whatever is in it */
    uint64_t ram_count;
    uint64_t
        free; /* struct boot_range[free_count], one at least: of it, what is BOOT_MEM_USABLE above 1 MiB, and no guest's */
    uint64_t free_count;
    uint64_t frame_states; /* zeroes, a byte for each page from 0 to the end of RAM */
    uint64_t image_base;   /* where hv.elf's lowest segment was loaded, 2 MiB aligned, contiguous */
    uint64_t image_size;
    uint64_t functions; /* struct boot_pci[function_count]: what all buses have */
    uint64_t function_count;
    uint64_t shown;             /* struct boot_shown[function_count], in the same order */
    uint64_t jump;              /* the page that jumped to the hypervisor */
    uint64_t trampoline;        /* a page below 1 MiB, at which the other CPUs start in real mode */
    uint32_t tsc_khz, apic_khz; /* TSC, and the local APIC's timer without division; 0: not to be measured */
    uint64_t wall_base_ns;   /* since 1970, UTC, when the TSC was 0, by the firmware's clock; 0 if unknown */
    struct boot_guest iodom; /* started if there is a NIC */
    uint64_t iodom_info;     /* one of its pieces: struct iodom_info, for the hypervisor to complete */
    struct boot_config config;
};
