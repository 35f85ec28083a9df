# SPDX-License-Identifier: BSD-2-Clause
"""Whole functions: stock Debian guests drive an NVMe disk and an e1000e NIC; what cannot be isolated is refused with the reason."""
import hashlib
import os
import re

from tests.system import config, lib, texts

MIB = 1 << 20
SIZE = 32 * MIB
PART = 8
CMB_MIB = 2048  # a BAR that only the window above the guest's memory has room for
GATEWAY = "10.0.3.2"
BOOT_SECONDS = 240
CFG = """[guest disk]
kernel = vmlinuz
initrd = initrd.cpio.gz
cmdline = console=ttyS0 quiet lm.name=disk
memory = 256M
vcpus = 2
cpus = 1-3
device = {disk}
[guest net]
kernel = vmlinuz
initrd = initrd.cpio.gz
cmdline = console=ttyS0 quiet lm.name=net
memory = 256M
cpus = 1-3
device = {net}
"""


def disk_file(build, name):
    path = build / "system" / f"{name}.disk"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(os.urandom(SIZE))
    return path


def ready(host):
    host.expect(texts.STARTS, 60)
    start = len(host.text)
    for guest in ("disk", "net"):
        host.line(texts.of(texts.PREFIX, guest) + texts.GUEST_READY, BOOT_SECONDS, start=start, fail=texts.PANIC)
    host.run("disk", "load nvme")
    host.run("net", "load e1000e")


def part(path, index):
    """Checksum of one part of the disk as the host sees it."""
    with open(path, "rb") as file:
        file.seek(index * PART * MIB)
        return hashlib.sha256(file.read(PART * MIB)).hexdigest()


def part_in_guest(host, index):
    output = host.run("disk", f"dd if=/dev/nvme0n1 bs=1M skip={index * PART} count={PART} 2>/dev/null | sha256sum", 60)
    return lib.find(r"\b[0-9a-f]{64}\b", output)[0]


def drive(path):
    return f"if=none,id=nvme0,format=raw,cache=writethrough,file={path}"


@lib.boot("function", beside=True)
def function(build):
    extra = ("-drive", drive(disk_file(build, "function")), "-device", "nvme,serial=lastmile,drive=nvme0,bus=pcie.0,addr=6",
             "-netdev", "user,id=n1,net=10.0.3.0/24", "-device", "e1000e,netdev=n1,bus=pcie.0,addr=7")
    return {"cfg": CFG.format(disk="00:06.0", net="00:07.0"), "extra": extra, "ready": ready}


@lib.boot("function-vtd", "vtd", beside=True)
def function_vtd(build):
    """The same behind ports of their own."""
    extra = ("-device", "pcie-root-port,id=rp1,bus=pcie.0,addr=8,chassis=1", "-device", "pcie-root-port,id=rp2,bus=pcie.0,addr=9,chassis=2",
             "-drive", drive(disk_file(build, "function-vtd")), "-device", f"nvme,serial=lastmile,drive=nvme0,bus=rp1,cmb_size_mb={CMB_MIB}",
             "-netdev", "user,id=n1,net=10.0.3.0/24", "-device", "e1000e,netdev=n1,bus=rp2",
             "-device", "pcie-root-port,id=rp3,bus=pcie.0,addr=10,chassis=3", "-device", "ich9-ahci,id=sata,bus=rp3",
             "-drive", drive(disk_file(build, "function-sata")).replace("nvme0", "sata0"), "-device", "ide-hd,drive=sata0,bus=sata.0")
    return {"cfg": CFG.format(disk="01:00.0", net="02:00.0") + "device = 03:00.0\n", "extra": extra, "ready": ready}


def ping(host):
    host.run("net", "ip link set eth0 up; ip addr add 10.0.3.15/24 dev eth0 2>/dev/null; ip link show eth0")
    host.run("net", "n=0; until [ \"$(cat /sys/class/net/eth0/carrier)\" = 1 ] || [ $n = 100 ]; do usleep 100000; n=$((n + 1)); done")
    output = host.run("net", f"lmping {GATEWAY} 20", 60)
    assert lib.ping_line(output, GATEWAY)[:2] == (20, 0), output


def interrupts(host, guest, name):
    """The lines of /proc/interrupts that end so, each as (chip, count). The chip is PCI-MSI; newer kernels say PCI-MSIX, and where."""
    output = host.run(guest, "cat /proc/interrupts")
    return [(match[2], sum(int(n) for n in match[1].split())) for match in re.finditer(rf"\d+:((?: +\d+)+) +(\S+) .*{name}\S*$", output, re.M)]


def tests_on(boot, prefix):
    path = {"function": "function.disk", "function-vtd": "function-vtd.disk"}[boot]

    @lib.test(f"system function: {prefix}a stock guest reads and writes its NVMe disk", on=boot, limit=200)
    def disk(host):
        file = host.build / "system" / path
        assert part_in_guest(host, 0) == part(file, 0)
        before = part(file, 1)
        output = host.run("disk", f"dd if=/dev/urandom of=/tmp/new bs=1M count={PART} 2>/dev/null; sha256sum /tmp/new", 60)
        new = lib.find(r"\b[0-9a-f]{64}\b", output)[0]
        host.run("disk", f"dd if=/tmp/new of=/dev/nvme0n1 bs=1M seek={PART} oflag=direct conv=fsync 2>/dev/null", 60)
        assert before != new == part(file, 1)
        assert part(file, 2) == part_in_guest(host, 2)  # its neighbour is what it was
        assert any(chip.startswith("PCI-MSI") and count for chip, count in interrupts(host, "disk", "nvme0q")), "no MSI-X came"

    @lib.test(f"system function: {prefix}a stock guest reaches the outside through its e1000e", on=boot, limit=200)
    def nic(host):
        ping(host)
        assert len(interrupts(host, "net", "eth0")) > 1, "not MSI-X"

    @lib.test(f"system function: {prefix}a guest that reboots has its disk again", on=boot, limit=BOOT_SECONDS)
    def reboot(host):
        host.focus("disk")
        start = len(host.text)
        host.send("reboot\n")
        host.line(texts.GUEST_READY, BOOT_SECONDS, start=start, fail=texts.PANIC)
        host.run("disk", "load nvme")
        assert part_in_guest(host, 0) == part(host.build / "system" / path, 0)
        ping(host)


tests_on("function", "")
tests_on("function-vtd", "behind VT-d and ports of their own, ")


@lib.test("system function: a disk controller with MSI only, which is reset through its port, works in a stock guest", on="function-vtd", limit=200)
def msi(host):
    host.run("net", "load ahci; load sd_mod; n=0; until [ -e /dev/sda ] || [ $n = 100 ]; do usleep 100000; n=$((n + 1)); done", 60)
    output = host.run("net", f"dd if=/dev/sda bs=1M count={PART} 2>/dev/null | sha256sum", 60)
    assert lib.find(r"\b[0-9a-f]{64}\b", output)[0] == part(host.build / "system" / "function-sata.disk", 0)
    lines = interrupts(host, "net", "ahci")
    assert len(lines) == 1 and lines[0][0].startswith("PCI-MSI") and lines[0][1], lines


REFUSALS = {
    "the disk that Lastmile is started from": ("00:1f.2", "is what Lastmile is started from", ()),
    "a bridge": ("00:1f.0", "is a bridge", ()),
    "a NIC of the configuration": ("00:05.0", r"is \[nic lan0\]", ()),
    "a VF": ("00:15.0", r"is a VF of \[nic lan0\]", ()),
    "a function that cannot be reset": ("00:06.0", "cannot be reset", ("-device", "edu,addr=6")),
    "a function with a sibling that nobody has": (
        "00:06.0", r"reaches 00:06\.1 around the IOMMU",
        ("-device", "nvme,serial=a,addr=6.0,multifunction=on", "-device", "nvme,serial=b,addr=6.1")),
    "a function behind a bridge to PCI": (
        "01:01.0", "is behind the PCI bridge 00:08.0", ("-device", "pcie-pci-bridge,id=pb,addr=8", "-device", "edu,bus=pb,addr=1")),
    "a function with a pin for its interrupt": ("00:06.0", "has a pin for its interrupt only", ("-device", "e1000,addr=6")),
}


def refusal_test(what, address, why, extra):
    name, text = f"system function: {what} is refused with the reason", f"{config.GOOD}device = {address}\n".encode()
    refusal = texts.REFUSED_AT + rf"device: {address} {why}[^\n]*accepted: "
    if not extra:
        config.refusal_test(name, what, text, refusal)
        return

    @lib.test(name, on=lib.NO_MACHINE, limit=config.BOOT_SECONDS)
    def case(context):
        config.refused(context, what, text, refusal, extra=extra)


for what, (address, why, extra) in REFUSALS.items():
    refusal_test(what, address, why, extra)
