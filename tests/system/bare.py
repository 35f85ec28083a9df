# SPDX-License-Identifier: BSD-2-Clause
"""The board and the Linux guest without Lastmile: Debian's kernel on the board itself, two VFs in two network namespaces. Shows that
the board, the guest's files and the traffic program are right when a test on Lastmile fails; the benchmark compares with it."""
from tests.system import lib, texts

# Linux's own use of this emulated IOMMU's interrupt remapping loses the I/O APIC's interrupts (CAVEATS.md).
CMDLINE = "console=ttyS0 quiet intremap=off lm.name=bare lm.sriov=2"
STALLED = "rcu_preempt kthread timer wakeup didn't happen"


@lib.boot("bare")
def bare(build):
    return {"linux": (build / "guest/vmlinuz", build / "guest/initrd.cpio.gz", CMDLINE), "ready": ready, "stalls": STALLED}


def ready(host):
    host.line(texts.GUEST_READY, 150, fail="Kernel panic|" + STALLED)
    host.expect("bare# ", 20)
    host.run(None, "ns 1 lmserve")


@lib.test("system bare board: VFs of the stock drivers reach each other and the uplink", on="bare", limit=90)
def pings(host):
    assert lib.ping_line(host.run(None, "ns 0 lmping 10.0.2.102 200 1"), "10.0.2.102")[:2] == (200, 0)
    assert lib.ping_line(host.run(None, "ns 1 lmping 10.0.2.101 200 1"), "10.0.2.101")[:2] == (200, 0)
    assert lib.ping_line(host.run(None, "ns 0 lmping 10.0.2.2 5"), "10.0.2.2")[:2] == (5, 0)


@lib.test("system bare board: a transfer each way arrives as it was sent", on="bare", limit=120)
def transfers(host):
    for what in ("get", "put"):
        size, _, verdict, _ = lib.transfer_line(host.run(None, f"ns 0 lm{what} 10.0.2.102 10"), what, "10.0.2.102")
        assert (size, verdict) == (10 << 20, "ok")
