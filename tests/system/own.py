# SPDX-License-Identifier: BSD-2-Clause
"""Guests that have CPUs to themselves, and with them the CPUs' own interrupt controllers and timers: what they do costs no VM exit, and what
they do wrong hurts nobody else."""
from tests.system import guests, lib, texts
from tests.system.hostile import set_off, while_pinging

PINGS = 2000
FEW = PINGS // 10  # exits in that time that have other reasons: the console's keys are interrupts, too
OF_TRAFFIC = ("host interrupt", "interrupt window", "HLT", "MSR", "memory")  # what interrupts, their ends, the timer and a NIC could cost

OTHERS = """
[guest msr]
kernel = attack.elf
cmdline = wait=1 run=msr,x2apic-fuzz,msr-fuzz vf=0
memory = 16M
cpus = 4
on_crash = stop

[guest again]
kernel = attack.elf
cmdline = wait=1 run=triple vf=0
memory = 16M
cpus = 5

[guest selfipi]
kernel = selfipi.elf
cmdline = wait=1
memory = 16M
cpus = 6
on_crash = stop
"""


@lib.boot("own")
def own(build):
    text = guests.demo_text(web=(1, "1"), db=(2, "2-3"))
    return {"cfg": text + OTHERS, "ready": guests.ready, "extra": ["-smp", "8"]}


def exits_of(host, guest):
    """VM exits so far, of the kinds that traffic could cause."""
    kinds = lib.exit_counts(host)[guest]
    return sum(kinds.get(kind, 0) for kind in OF_TRAFFIC)


@lib.test("system own: a ping between two of them costs neither an exit", on="own", limit=120)
def pings(host):
    peer = guests.ADDRESS["db"]
    assert host.run("db", "nproc").split()[-1] == "2"
    before = [exits_of(host, guest) for guest in guests.ADDRESS]
    output = host.run("web", f"lmping {peer} {PINGS} 1", 60)
    after = [exits_of(host, guest) for guest in guests.ADDRESS]
    assert lib.ping_line(output, peer)[:2] == (PINGS, 0), output
    taken = [z - a for a, z in zip(before, after)]
    assert all(n < FEW for n in taken), f"{taken} exits in {PINGS} pings"


@lib.test("system own: 20 MB each way arrive as they were sent", on="own", limit=120)
def transfers(host):
    for what in ("get", "put"):
        output = host.run("web", f"lm{what} {guests.ADDRESS['db']} 20", 50)
        assert lib.transfer_line(output, what, guests.ADDRESS["db"])[2] == "ok", output


@lib.test("system own: one that reads and writes every MSR, its interrupt controller's too, goes on; the others notice nothing", on="own", limit=240)
def msr(host):
    while_pinging(host, lambda: set_off(host, "msr", r"attack: done, \d+ blocked, 0 tried, 0 PASSED", seconds=180))


@lib.test("system own: one that leaves requests for the hypervisor that look like exceptions harms nobody, itself neither", on="own", limit=120)
def selfipi(host):
    while_pinging(host, lambda: set_off(host, "selfipi", r"selfipi: taken 1\b", r"selfipi: done"))


@lib.test("system own: one that crashes is started again on its CPU", on="own", limit=120)
def again(host):
    while_pinging(host, lambda: set_off(host, "again", texts.of(texts.RESTARTED, "again"), texts.GUEST_WAITS))


@lib.test("system own: a stock guest that reboots has its CPU again, and takes no exits", on="own", limit=300)
def reboot(host):
    peer = guests.ADDRESS["db"]
    host.focus("web")
    start = len(host.text)
    host.send("reboot\n")
    host.focus(texts.HYPERVISOR)
    host.line(texts.of(texts.RESTARTED, "web"), 60, start=start)
    host.line(texts.of(texts.PREFIX, "web") + texts.GUEST_READY, 200, start=start, fail=texts.PANIC)
    before = exits_of(host, "web")
    output = host.run("web", f"lmping {peer} {PINGS} 1", 60)
    assert lib.ping_line(output, peer)[:2] == (PINGS, 0), output
    assert exits_of(host, "web") - before < FEW
