# SPDX-License-Identifier: BSD-2-Clause
"""Lastmile as a guest of KVM: the emulated machine boots Debian's kernel with KVM on it, there this machine's own QEMU (all its files come over
9p) runs OVMF and Lastmile, and that guests without devices. KVM offers a nested hypervisor less of SVM than the board has, and refuses what the
emulator overlooks. Three minutes of a quiet host, many of a busy one, so only with SLOW=1 (tests/run.py).

Two defects of the emulator (CAVEATS.md) are kept away by its clock. It counts instructions (-icount), so however slow the host is, no tick of
OVMF's timer comes while the handler of the one before it runs, which would end QEMU (CR8). And timers of the Linux below fire at its ticks only
(highres=off): the emulator then has nothing else to do while an interrupt that KVM has just injected is handled, and injects it once (EVENTINJ)."""
import gzip
import os
import pathlib

import board
import guest
from tests.system import config, lib, texts, vmx

SECONDS = 1800
CLOCK = "shift=2"  # 4 ns an instruction
CMDLINE = "console=ttyS0 quiet highres=off nohz=off lm.name=nested"
ENDED = "QEMU ended with status"
MODULES = ("kvm_amd", "9p", "9pnet_virtio", "virtio_pci")
CFG = vmx.HELLO + """[guest web]
kernel = vmlinuz
initrd = initrd.cpio.gz
cmdline = console=ttyS0 quiet lm.name=web
memory = 128M
"""
MOUNTS = ("mkdir /host && mount -t 9p -o trans=virtio,version=9p2000.L,ro,cache=loose,msize=262144 host /host && "
          "for d in proc sys dev; do mount --bind /$d /host/$d; done && mount -t tmpfs tmp /host/run")


def initrd(build):
    """The test guest's, and behind it one with the modules that this machine needs (Linux Documentation/driver-api/early-userspace/buffer-format.rst)."""
    cpio = guest.Cpio()
    guest.add_modules(cpio, pathlib.Path(os.environ.get("THIRD") or lib.ROOT / "build/third_party") / "linux-stock", MODULES)
    path = build / "system/nested.cpio.gz"
    path.write_bytes((build / "guest/initrd.cpio.gz").read_bytes() + gzip.compress(cpio.done(), compresslevel=1, mtime=0))
    return path


def inner(images):
    """The shell's words that start the machine in KVM: it has one disk after the other."""
    code, variables = board.firmware()
    disks = " ".join(f"-drive format=raw,snapshot=on,file={image.resolve()}" for image in images)
    return (f"cp {variables} /run/vars && TMPDIR=/run qemu-system-x86_64 -accel kvm -cpu host -machine q35 -m 512M -nodefaults -display none -no-reboot "
            f"-chardev stdio,id=com1,signal=off -serial chardev:com1 -drive if=pflash,unit=0,format=raw,readonly=on,file={code} "
            f"-drive if=pflash,unit=1,format=raw,file=/run/vars {disks}\necho {ENDED} $?\n")


@lib.boot("nested")
def nested(build):
    images = [lib.make_image(build, name, cfg) for name, cfg in (("nested-refused", config.GOOD), ("nested", CFG))]
    script = (build / "system/nested.sh").resolve()
    script.write_text(inner(images))

    def ready(host):
        host.line(texts.GUEST_READY, SECONDS, fail="Kernel panic")
        host.expect("nested# ", 60)
        for module in MODULES:
            host.run(None, f"load {module} 2>/dev/null" + (" nested=1" if module == "kvm_amd" else ""))
        host.run(None, MOUNTS)
        host.send(f"chroot /host /bin/sh {script}\n")
        host.line(texts.of(texts.PREFIX, "web") + texts.GUEST_READY, SECONDS, fail=f"{texts.PANIC}|{ENDED}")

    return {"linux": (build / "guest/vmlinuz", initrd(build), CMDLINE), "iommu": False, "nic": False, "ready": ready,
            "extra": ("-smp", "1", "-icount", CLOCK, "-virtfs", "local,path=/,mount_tag=host,security_model=none,readonly=on"), "limit": 2 * SECONDS}


vmx.board_tests("nested", "SVM")


def test(name, limit):
    return lib.test(f"system nested: {name}", on="nested", limit=limit)


@test("a configuration with a NIC was refused for want of an IOMMU, and the firmware went on with the next disk", 10)
def refused(host):
    lib.find(texts.REFUSED + r"IOMMU: no valid IVRS or DMAR table(?s:.*)" + texts.LEAVES_FIRMWARE, host.text)


@test("a stock guest is at its shell, which answers", 600)
def shell(host):
    assert "hypervisor" in host.run("web", "grep flags /proc/cpuinfo", 500)
    host.never(texts.PANIC, start=0)
