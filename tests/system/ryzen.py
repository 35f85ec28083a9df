# SPDX-License-Identifier: BSD-2-Clause
"""Debian's own kernel as a guest on the board `ryzen`, whose SVM has next-RIP and flush-by-ASID and whose local APIC has no x2APIC mode. Two and a half
minutes of one processor, most of them for reading the unpacked kernel from the emulated disk, so only with SLOW=1 (tests/run.py)."""
from tests.system import lib, texts, vmx

SECONDS = 1800
CFG = """[global]
console = com1
[guest web]
kernel = vmlinux
initrd = initrd.cpio.gz
cmdline = console=ttyS0 quiet lm.name=web
memory = 128M
"""


@lib.boot("ryzen-stock", "ryzen")
def stock(build):
    def ready(host):
        host.line(texts.of(texts.PREFIX, "web") + texts.GUEST_READY, SECONDS, fail=texts.PANIC)

    return {"cfg": CFG, "files": (f"vmlinux={vmx.unpacked(build)}",), "ready": ready, "limit": SECONDS}


@lib.test("system ryzen: a stock guest is at its shell, which answers, and its timer's interrupts come", on="ryzen-stock", limit=600)
def shell(host):
    first, second = (int(host.run("web", "sed -n 's/^ *LOC: *//p' /proc/interrupts | cut -d' ' -f1", 200).split()[-1]) for _ in range(2))
    assert 0 < first < second, f"{first} interrupts of the timer, then {second}"
    host.never(texts.PANIC, start=0)
