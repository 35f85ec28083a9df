#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The I/O domain's image alone under QEMU, without the hypervisor: `alone.py BUILD`. Shows address, link and TCP echo on the emulated
82576, its refusals at start, and the VF mailbox: VFs are enabled and played from outside, through QEMU's qtest port, as a driver that
behaves and one that does not. Prints `ok name` or `FAIL name: why` per test; status 1 if one failed."""
import os
import pathlib
import random
import socket
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent.parent
QEMU = os.environ.get("QEMU") or "qemu-system-x86_64"

ECAM = 0xB0000000  # where QEMU's BIOS puts it on q35
PF = ECAM + (1 << 15)
SRIOV = PF + 0x160
VF_BAR, VF_MSIX_BAR = 0xFC000000, 0xFC100000
VTCTRL, V2PMAILBOX, VMBMEM = 0x0, 0xC40, 0x800
V2P_REQ, V2P_ACK, V2P_VFU, V2P_PFSTS, V2P_PFACK = 1, 2, 4, 0x10, 0x20
ACK, NACK, CTS = 1 << 31, 1 << 30, 1 << 29


class Machine:
    def __init__(self, build, work, info, *more):
        self.log = open(work / "log", "w+b")
        command = [QEMU, "-M", "q35", "-cpu", "EPYC,+x2apic", "-m", "64", "-nodefaults", "-no-reboot", "-display", "none",
                   "-kernel", str(build / "iodom.elf"), "-serial", f"file:{work / 'serial'}", *(["-initrd", str(info)] if info else []), *more]
        self.serial = work / "serial"
        self.serial.write_bytes(b"")
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def text(self):
        return self.serial.read_text(errors="replace")

    def wait(self, text, seconds=20):
        end = time.monotonic() + seconds
        while text not in self.text():
            assert time.monotonic() < end, f"no {text!r} within {seconds} s: {self.text()[-400:]!r}"
            time.sleep(0.05)


class Qtest:
    def __init__(self, path):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen(1)
        self.file = None

    def command(self, line):
        if self.file is None:
            self.file = self.listener.accept()[0].makefile("rw")
        self.file.write(line + "\n")
        self.file.flush()
        while True:
            words = self.file.readline().split()
            assert words and words[0] != "FAIL", f"qtest: {line}: {words}"
            if words[0] == "OK":
                return int(words[1], 0) if len(words) > 1 else 0

    def read(self, address):
        return self.command(f"readl {address:#x}")

    def write(self, address, value, letter="l"):
        self.command(f"write{letter} {address:#x} {value:#x}")


class Vf:
    """The register interface of one VF as its driver uses it."""

    def __init__(self, qtest, index):
        self.qtest, self.bar, self.seen = qtest, VF_BAR + 0x4000 * index, 0
        qtest.write(ECAM + ((0x88 + 2 * index) << 12) + 4, 6, "w")  # memory decoding, bus master

    def status(self):
        """V2PMAILBOX; what reading clears is remembered."""
        self.seen |= self.qtest.read(self.bar + V2PMAILBOX) & 0xB0
        return self.seen

    def reset(self):
        self.qtest.write(self.bar + VTCTRL, 1 << 26)

    def send(self, *words):
        """Sends a message and returns the answer's three first words."""
        end = time.monotonic() + 3
        self.qtest.write(self.bar + V2PMAILBOX, V2P_VFU)
        while not self.qtest.read(self.bar + V2PMAILBOX) & V2P_VFU:
            assert time.monotonic() < end, "the buffer is not to be had"
            self.qtest.write(self.bar + V2PMAILBOX, V2P_VFU)
        self.seen = 0
        for i, word in enumerate(words):
            self.qtest.write(self.bar + VMBMEM + 4 * i, word)
        self.qtest.write(self.bar + V2PMAILBOX, V2P_REQ)
        while self.status() & (V2P_PFACK | V2P_PFSTS) != V2P_PFACK | V2P_PFSTS:
            assert time.monotonic() < end, f"no answer to {words[0]:#x}"
        answer = [self.qtest.read(self.bar + VMBMEM + 4 * i) for i in range(3)]
        self.qtest.write(self.bar + V2PMAILBOX, V2P_ACK)
        return answer


def equal(what, got, want):
    assert got == want, f"{what}: {got:#x}, not {want:#x}"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def nic(port=None):
    forward = f",hostfwd=tcp:127.0.0.1:{port}-:7" if port else ""
    return ["-netdev", f"user,id=n0{forward}", "-device", "igb,netdev=n0,bus=pcie.0,addr=1"]


def test_echo(build, work, info):
    port, data, got = free_port(), random.Random(1).randbytes(10_000_000), bytearray()
    with Machine(build, work, info, *nic(port)) as machine:
        machine.wait("lan0: link up 1000 Mb/s full")
        machine.wait("lan0: address 10.0.2.15/24 (DHCP)")
        with socket.create_connection(("127.0.0.1", port), timeout=20) as s:
            def send():
                s.sendall(data)
                s.shutdown(socket.SHUT_WR)
            sender = threading.Thread(target=send, daemon=True)
            sender.start()
            while part := s.recv(65536):
                got += part
            sender.join()
        assert bytes(got) == data, f"{len(got)} bytes of {len(data)} came back, or others"


def test_mailbox(build, work, info):
    qtest = Qtest(work / "qtest")
    with Machine(build, work, info, *nic(), "-accel", "tcg", "-qtest", f"unix:{work / 'qtest'}") as machine:
        qtest.read(ECAM)  # QEMU starts once the port is connected
        machine.wait("lan0: link up")
        qtest.write(SRIOV + 0x10, 4, "w")
        for offset, value in (0x24, VF_BAR), (0x28, 0), (0x30, VF_MSIX_BAR), (0x34, 0):
            qtest.write(SRIOV + offset, value)
        qtest.write(SRIOV + 8, 9, "w")
        vfs = [Vf(qtest, i) for i in range(4)]
        registers = qtest.read(PF + 0x10) & ~0xF
        equal("before the handshake", vfs[0].send(5, 1518)[0], 5 | NACK)
        for i, vf in enumerate(vfs):
            vf.reset()
            answer = vf.send(1)
            equal("handshake", answer[0], 1 | ACK)
            if i < 3:
                equal("address", answer[1] | answer[2] << 32, 0x02 | (i + 1) << 40)
        machine.wait("lan0/3: driver is up")
        equal("VFRE", qtest.read(registers + 0xC8C), 0x8F)
        equal("frame size", vfs[0].send(5, 1518)[0], 5 | ACK | CTS)
        equal("its own address", vfs[0].send(2, 2, 0x0100)[0], 2 | ACK | CTS)
        equal("another address", vfs[0].send(2, 2, 0x0900)[0], 2 | NACK | CTS)
        equal("a VLAN", vfs[0].send(0x10004, 7)[0], 0x10004 | ACK | CTS)
        equal("a VLAN beside the configured one", vfs[2].send(0x10004, 7)[0], 0x10004 | NACK | CTS)
        equal("an address of its own", vfs[3].send(2, 0xAA02, 0x0A0B)[0], 2 | ACK | CTS)
        equal("no message", vfs[1].send(0x1EADBEEF)[0], 0x1EADBEEF | NACK | CTS)
        end, flood = time.monotonic() + 2, 0
        while time.monotonic() < end:
            vfs[0].send(0xFF)
            flood += 1
        assert flood < 64 + 2 * 600, f"{flood} messages of a flood answered in 2 s"
        start = time.monotonic()
        vfs[1].send(5, 1518)
        assert time.monotonic() - start < 0.5, "a flood delays another VF"
        vfs[0].reset()
        machine.wait("lan0/0: reset")
        equal("VFRE after a reset", qtest.read(registers + 0xC8C), 0x8E)
        equal("VLVF after a reset", qtest.read(registers + 0x5D00) & 1 << 12, 0)
        equal("after a reset", vfs[0].send(5, 1518)[0], 5 | NACK)


def test_refusals(build, work, info):
    with Machine(build, work, None) as machine:
        machine.wait("iodom: no usable configuration (PVH module 0); stopped")
        machine.process.wait(10)  # it ends in a triple fault, which -no-reboot makes QEMU's end
    garbage = work / "garbage"
    garbage.write_bytes(random.Random(2).randbytes(40000))
    with Machine(build, work, garbage) as machine:
        machine.wait("iodom: no usable configuration")
    with Machine(build, work, info) as machine:
        machine.wait("lan0: no driver for PCI function 01.0 (id ffff:ffff)")
    subprocess.run([work / "mkinfo", work / "info8", "8"], check=True)
    with Machine(build, work, work / "info8", *nic()) as machine:
        machine.wait("lan0: 8 VFs leave the 82576's physical function no queue: at most 7")


def main():
    build, failed = pathlib.Path(sys.argv[1]).resolve(), 0
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        subprocess.run(["cc", "-I.", "-O2", "-o", work / "mkinfo", "tests/unit/drivers/mkinfo.c"], cwd=ROOT, check=True)
        subprocess.run([work / "mkinfo", work / "info"], check=True)
        for test in test_echo, test_mailbox, test_refusals:
            name = test.__name__[5:]
            try:
                test(build, work, work / "info")
                print(f"ok {name}", flush=True)
            except (AssertionError, OSError, subprocess.SubprocessError) as error:
                failed += 1
                print(f"FAIL {name}: {error}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
