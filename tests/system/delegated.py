# SPDX-License-Identifier: BSD-2-Clause
"""A stock guest on the board `vmx` whose interrupts the processor delivers. With Bochs 2.7 it can stand still (CAVEATS.md)."""
from tests.system import lib, texts, vmx

CFG = """[global]
console = com1
[guest web]
kernel = vmlinux
initrd = initrd.cpio.gz
cmdline = console=ttyS0 quiet lm.name=web
memory = 192M
vcpus = 2
"""


@lib.boot("vmx-delegated", "vmx")
def delegated(build):
    def ready(host):
        host.line(texts.of(texts.PREFIX, "web") + texts.GUEST_READY, vmx.BOOT_SECONDS, fail=texts.PANIC)

    return {"cfg": CFG, "files": (f"vmlinux={vmx.unpacked(build)}",), "ready": ready, "limit": 2 * vmx.BOOT_SECONDS}


@lib.test("system vmx: a stock guest's interrupts wait for no window where the processor delivers them", on="vmx-delegated", limit=300)
def windows(host):
    before = lib.exit_counts(host)["web"].get("interrupt window", 0)
    host.run("web", "for i in 1 2 3 4 5 6 7 8 9 10; do usleep 10000; done", 100)
    assert lib.exit_counts(host)["web"].get("interrupt window", 0) - before < vmx.FEW
