# SPDX-License-Identifier: BSD-2-Clause
"""A stock guest is saved, torn down, built again and resumed, with its VF, another one of its NIC, and one of another NIC, while others talk to it (the machine
of tests/system/uplinks.py: of a network in which nobody answers for the one who is away). SAVE_CYCLES says how often (3)."""
import os
import re
import statistics
import time

from tests.system import handover, lib, migrate, texts, uplinks
from tests.system.guests import ADDRESS
from tests.system.switch import Pinger

CYCLES = int(os.environ.get("SAVE_CYCLES") or 3)
IDLE = "/tmp/idle"  # in memory, and nobody touches it


def operate(host, command, line, seconds=60):
    """The operator's command, and the line of the hypervisor's log that ends it."""
    host.focus(texts.OPERATOR)
    host.settle()
    at = handover.order(host, command)
    return host.line(line, seconds, start=at, fail=texts.PANIC)


def save(host, guest):
    operate(host, f"save {guest}", rf"\[{guest}\] is stopped: saved")


def resume(host, guest, vf):
    same = any(line.endswith(f"{vf} {guest} 0") for line in handover.told(host, "vf"))
    if not same:
        migrate.until_clean(host, vf)
    operate(host, f"resume {guest}" if same else f"resume {guest} {vf}", rf"\[{guest}\] resumed with {vf}")


def used(host):
    return next(line for line in handover.told(host, "usage") if line.startswith("frames"))


def clocks(host, guest):
    """(monotonic, wall clock) in seconds."""
    up, now = host.run(guest, "cut -d' ' -f1 /proc/uptime; date +%s").split()[-2:]
    return float(up), int(now)


def idle(host, guest):
    return lib.find(r"([0-9a-f]{32}) ", host.run(guest, f"md5sum {IDLE}"))[1]


def cycle(host, guest, vf):
    before = clocks(host, guest)
    began = time.monotonic()
    save(host, guest)
    assert any(re.search(rf"saved {guest}$", line.strip()) for line in handover.told(host, "list")), handover.told(host, "list")
    resume(host, guest, vf)
    after = clocks(host, guest)
    assert after[0] >= before[0] and after[1] >= before[1], (before, after)
    return time.monotonic() - began


VFS = ("lan0/0", "lan0/3", "lan1/0")  # one after the other


def answered(host):
    """The station's pings are, once more."""
    came = len(uplinks.outside.station.came)
    end = time.monotonic() + host.left(30)
    while len(uplinks.outside.station.came) < came + 3:
        assert time.monotonic() < end, "the station's pings are not answered any more"
        host.pause(0.1)


@lib.test(f"system migrate: a guest is saved, torn down and resumed {CYCLES} times: its VF, another one, another NIC's", on="uplinks", limit=120 + 30 * CYCLES)
def cycles(host):
    host.run("web", f"dd if=/dev/urandom of={IDLE} bs=64k count=128 2>/dev/null")
    idle_sum, was, times = idle(host, "web"), used(host), []
    migrate.transfers(host, "db", "web", 1)
    pinger = Pinger(uplinks.outside, ADDRESS["web"], 10)
    for i in range(CYCLES):
        times.append(cycle(host, "web", VFS[(i + 1) % len(VFS)]))
        assert idle(host, "web") == idle_sum, "an idle region of its memory has changed"
        answered(host)
    if CYCLES % len(VFS):
        cycle(host, "web", VFS[0])
    print("save: sent, lost, doubled, late:", pinger.result(20))
    migrate.transfers_end(host, "db")
    print(f"save: cycle best {min(times):.2f} median {statistics.median(times):.2f} worst {max(times):.2f} s")
    log = host.run("web", "dmesg")
    assert not re.search(r"igbvf.*(?:Link is Down|reset|Reset)|stall|lockup|unstable|Unknown NMI", log), log
    faults = handover.told(host, "faults")
    assert not any(" lan" in line for line in faults), faults
    assert used(host) == was, (was, used(host))
