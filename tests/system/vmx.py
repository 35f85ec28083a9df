# SPDX-License-Identifier: BSD-2-Clause
"""The boards in Bochs: `vmx`, whose processor is Intel's, and `ryzen`, AMD's with more of SVM than QEMU has. Neither has an IOMMU, so guests
have no devices; what they may do, and how they end, is the same as on the other boards. Bochs runs some thirty million instructions a second,
so the stock kernel is unpacked here: doing that itself would take three quarters of its time. Its local APIC is not in x2APIC mode there, so that
the processor does not deliver its interrupts: Bochs delivers them with interrupts off, too (CAVEATS.md). `ipis` is for that, and delegated.py."""
import subprocess

from tests.system import config, lib, texts
from tests.system.hostile import set_off

BACK_END = {"vmx": "VMX", "ryzen": "SVM"}
BOOT_SECONDS = 900
FEW = 100  # exits that interrupts may have taken before they were delegated, and while the guest starts
CRASHES = {"triple": "triple-faults", "garbage": "executes garbage", "jump": "executes where there is no memory",
           "cr3": "has its page tables where there is no memory"}
HELLO = """[global]
console = com1
[guest hello]
kernel = hello.elf
cmdline = quick brown fox
memory = 16M
"""
GUESTS = HELLO + """[guest web]
kernel = vmlinux
initrd = initrd.cpio.gz
cmdline = console=ttyS0 quiet lm.name=web nox2apic
memory = 192M
vcpus = 2
[guest ipis]
kernel = ipis.elf
cmdline = wait=1
memory = 16M
[guest again]
kernel = attack.elf
cmdline = wait=1 run=triple vf=0
memory = 16M
[guest kit]
kernel = attack.elf
cmdline = wait=1 vf=0 vcpus=2 run=instructions,control,cpuid,msr,pv,hypercall,pci-bus,port,mmio-fuzz,x2apic-fuzz,msr-fuzz,ap-odd
memory = 16M
vcpus = 2
""" + "".join(f"[guest {how}]\nkernel = attack.elf\ncmdline = wait=1 run={how} vf=0\nmemory = 16M\non_crash = stop\n" for how in CRASHES)


UNPACKERS = {b"\xfd7zXZ\0": "xz", b"\x28\xb5\x2f\xfd": "zstd"}  # by how the payload begins: Debian 12's, Debian 13's


def unpacked(build):
    """The ELF image that is in the stock kernel (Linux Documentation/arch/x86/boot.rst: payload_offset, payload_length, which counts its size)."""
    image = (build / "guest/vmlinuz").read_bytes()
    offset, length = (int.from_bytes(image[at:at + 4], "little") for at in (0x248, 0x24c))
    start = (image[0x1f1] + 1) * 512 + offset
    payload = image[start:start + length - 4]
    program = next((program for magic, program in UNPACKERS.items() if payload.startswith(magic)), None)
    assert program, f"the stock kernel's payload begins with {payload[:6].hex()}: neither xz nor zstd"
    path = build / "system/vmlinux"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(subprocess.run([program, "-dc"], input=payload, stdout=subprocess.PIPE, check=True).stdout)
    return path


@lib.boot("vmx", "vmx", beside=True)
def vmx(build):
    def ready(host):
        host.line(texts.STARTS, BOOT_SECONDS)
        host.line(texts.of(texts.PREFIX, "web") + texts.GUEST_READY, BOOT_SECONDS, fail=texts.PANIC)

    return {"cfg": GUESTS, "files": (f"vmlinux={unpacked(build)}",), "ready": ready, "limit": 2 * BOOT_SECONDS}


@lib.boot("ryzen", "ryzen", beside=True)
def ryzen(build):
    def ready(host):
        host.line(texts.of(texts.PREFIX, "hello") + "hello: command line", BOOT_SECONDS, fail=texts.PANIC)
        host.expect(r"hello: hypervisor [^\n]*\n", BOOT_SECONDS)

    return {"cfg": HELLO, "ready": ready, "limit": 2 * BOOT_SECONDS}


def board_tests(board, back_end):
    """Those that a machine without an IOMMU has to pass."""

    def test(name, limit):
        return lib.test(f"system {board}: {name}", on=board, limit=limit)

    @test("the processor's back end is in use, and the log says that no device can be given away", 10)
    def starts(host):
        lib.find(f"virtualisation: {back_end}$", host.text)
        lib.find(r"warn: IOMMU: there is none", host.text)
        lib.find(r"PCI: [1-9]\d* functions", host.text)  # in Bochs through the configuration ports
        host.never(texts.PANIC, start=0)

    @test("a bare guest has its command line and its hypercalls", 60)
    def hello(host):
        lib.find(texts.of(texts.PREFIX, "hello") + "hello: command line 'quick brown fox'", host.text)
        lib.find(texts.of(texts.PREFIX, "hello") + r"hello: hypervisor 'KVMKVMKVM' abi 1", host.text)


for name, back_end in BACK_END.items():
    board_tests(name, back_end)


def test(name, limit):
    return lib.test(f"system vmx: {name}", on="vmx", limit=limit)


@test("a stock guest has the two processors of its section, and its shell answers", 300)
def shell(host):
    assert host.run("web", "nproc", 100).split()[-1] == "2"
    assert "hypervisor" in host.run("web", "grep flags /proc/cpuinfo", 100)


@test("interrupts that a guest sends itself are delivered, in their order, and ended without an exit", 300)
def ipis(host):
    before = of_interrupts(host, "ipis")
    set_off(host, "ipis", r"ipis: held back 1", r"ipis: by priority 1", r"ipis: after it 1", r"ipis: taken 1000 of 1000", seconds=200)
    assert of_interrupts(host, "ipis") - before < FEW


def of_interrupts(host, guest):
    kinds = lib.exit_counts(host)[guest]
    return kinds.get("MSR", 0) + kinds.get("interrupt window", 0)


def crash_test(how, what):
    @test(f"a guest that {what} is stopped, with its registers in the log", 300)
    def crash(host):
        set_off(host, how, texts.of(texts.STOPS, how), texts.of(texts.REGISTERS, how))


for how, what in CRASHES.items():
    crash_test(how, what)


@test("a guest that crashed is started again", 300)
def restart(host):
    set_off(host, "again", texts.of(texts.RESTARTED, "again"))


@test("a guest that tries instructions, registers, ports and hypercalls that are not its own goes on, and has none of them", 900)
def kit(host):
    set_off(host, "kit", r"attack: done, 12 blocked, 0 tried, 0 PASSED", seconds=900)


@test("the stock guest has noticed nothing of all that", 300)
def alive(host):
    host.run("web", "true", 100)
    host.never(texts.PANIC, start=0)


@lib.boot("vmx-nic", "vmx", beside=True)
def with_nic(build):
    return {"cfg": config.GOOD, "limit": BOOT_SECONDS}


@lib.test("system vmx: a configuration with a NIC is refused for want of an IOMMU, and the firmware goes on", on="vmx-nic", limit=BOOT_SECONDS)
def refused(host):
    host.line(texts.REFUSED + r"IOMMU: no valid IVRS or DMAR table", BOOT_SECONDS, start=0, fail=texts.LEAVES_FIRMWARE)
    host.expect(texts.FIRMWARE_AGAIN, BOOT_SECONDS)
