# SPDX-License-Identifier: BSD-2-Clause
"""A stock guest is moved from VF to VF of its NIC while it sends and receives. MIGRATE_MOVES says how often (10)."""
import os
import re
import statistics
import time

from tests.system import handover, lib, texts
from tests.system.guests import ADDRESS, ready

MOVES = int(os.environ.get("MIGRATE_MOVES") or 10)
RATE = 200          # numbered datagrams a second, echoed: what a board under TCG carries beside a transfer
ACCESSES_MAX = 60   # and what a busy host adds: one for each frame that is looped back, and for each batch of parked ones
BATCH = 8
REORDERED_MAX = 2   # a move
VFS = (0, 3)
IODOMAIN = "iodomain"


@lib.boot("migrate")
def machine(_build):
    return {"cfg": "tests/guest/demo/lastmile.cfg", "ready": ready}


def order(host, command, seconds=60):
    """Gives the operator's order; {key: value} of all lines that the I/O domain reports of it."""
    host.focus(texts.OPERATOR)
    host.settle()
    at = handover.order(host, command)
    host.focus(IODOMAIN)  # where lines come whole
    first = host.line(r"migrate: id=(\d+) op=[^\n]*result=(\w+)", seconds, start=at)
    if first[2] in ("done", "failed"):
        host.line(rf"migrate: id={first[1]} begin_us=", seconds, start=at)
    elif first[2] == "possible":
        host.line(rf"migrate: id={first[1]} predicted_ns=", seconds, start=at)
    lines = re.findall(rf"migrate: id={first[1]} ([^\n]*)", host.text[at:])
    return dict(pair.split("=", 1) for line in lines for pair in line.split())


def until_clean(host, vf):
    """A VF that was left is scrubbed before it can be had again."""
    end = time.monotonic() + host.left(60)
    while time.monotonic() < end:
        if any(re.match(rf"clean .* {vf} ", line) for line in handover.told(host, "vf")):
            return
    raise AssertionError(f"{vf} does not come clean")


def to_and_fro(host, i):
    """The i-th move of `web`: what is reported of it."""
    vf = f"lan0/{VFS[(i + 1) % 2]}"
    until_clean(host, vf)
    done = order(host, f"move web {vf}")
    assert done["result"] == "done", done
    return done


def numbers(host, guest, seconds):
    """(sent, lost, doubled, late) of a `traffic number` that was started in the background."""
    host.run(guest, "while ! grep -q number /tmp/number; do usleep 200000; done", seconds)
    text = host.run(guest, "cat /tmp/number")
    return tuple(int(n) for n in lib.find(r"guest: number [\d.]+ (\d+) lost (\d+) doubled (\d+) late (\d+)", text).groups())


def count(host, guest, peer, seconds):
    host.run(guest, f"rm -f /tmp/number; traffic number {ADDRESS[peer]} {RATE * seconds} {RATE} >/tmp/number 2>&1 &")


def transfers(host, guest, peer, megabytes=4):
    """Transfers both ways, one after the other, until /tmp/stop is there."""
    both = f"lmput {ADDRESS[peer]} {megabytes}; lmget {ADDRESS[peer]} {megabytes}"
    host.run(guest, f"rm -f /tmp/stop; (while [ ! -e /tmp/stop ]; do {both}; done; echo over) >/tmp/tcp 2>&1 &")


def transfers_end(host, guest):
    host.run(guest, "touch /tmp/stop; while ! grep -q over /tmp/tcp; do usleep 200000; done", 120)
    text = host.run(guest, "cat /tmp/tcp")
    assert " ok " in text and "BAD" not in text and "error" not in text, text


def report(moves):
    """Figures of the moves, for the log."""
    for key in sorted(moves[0]):
        if key.endswith(("_ns", "_us", "accesses", "exits", "hypercalls", "parked", "looped", "late")):
            values = [int(one[key]) for one in moves]
            print(f"migrate: {key} best {min(values)} median {statistics.median(values):.0f} worst {max(values)}")


@lib.test("system migrate: what a move, a silent VF and their refusals are reported as", on="migrate", limit=120)
def orders(host):
    assert order(host, "move web lan0/1")["reason"] == "vf-in-use"
    dry = order(host, "move web lan0/3 --dry-run")
    assert dry["result"] == "possible" and int(dry["predicted_ns"]) > 0, dry
    assert order(host, "resume lan0/1")["reason"] == "not-quiesced"
    silent = order(host, "quiesce lan0/1")
    assert (silent["result"], silent["bus_master"], silent["drained"]) == ("done", "off", "1"), silent
    assert order(host, "move web lan0/3")["reason"] == "vf-in-use"
    host.run("web", f"traffic number {ADDRESS['db']} 20 100 >/tmp/silent 2>&1; true")
    assert order(host, "resume lan0/1")["result"] == "done"
    assert lib.ping_line(host.run("web", f"lmping {ADDRESS['db']} 20 5"), ADDRESS["db"])[:2] == (20, 0)


@lib.test(f"system migrate: {MOVES} moves under transfers and numbered datagrams, no frame lost", on="migrate", limit=90 + 8 * MOVES)
def moves(host):
    count(host, "web", "db", 3)
    assert numbers(host, "web", 60)[1:3] == (0, 0), "lost without any move"
    count(host, "web", "db", 3 + 3 * MOVES)
    transfers(host, "web", "db")
    done = [to_and_fro(host, i) for i in range(MOVES)]
    for one in done:
        parked, looped = int(one["parked"]), int(one["looped"])
        assert int(one["accesses"]) <= ACCESSES_MAX + looped + parked // BATCH, one
        assert (one["lost"], one["duplicated"]) == ("0", "0"), one
    transfers_end(host, "web")
    sent, lost, doubled, late = numbers(host, "web", 30 + 3 * MOVES)
    report(done)
    print(f"migrate: sent {sent} late {late}")
    assert (lost, doubled) == (0, 0) and late <= REORDERED_MAX * MOVES, (sent, lost, doubled, late)
    log = host.run("web", "dmesg")
    assert not re.search(r"igbvf.*(?:Link is Down|reset|Reset)", log), log
    faults = handover.told(host, "faults")
    assert not any(" lan0" in line for line in faults), faults


@lib.test("system migrate: the configured address of a guest that was moved is its own under the next I/O domain, too", on="migrate", limit=150)
def restarted(host):
    until_clean(host, "lan0/3")
    assert order(host, "move web lan0/3")["result"] == "done"
    host.line(texts.NIC_UP, 60, start=handover.order(host, "restart iodomain"), fail=texts.PANIC)
    change = "if ip link set eth0 address 02:00:00:00:00:77; then echo may; else echo may not; fi"
    assert "may not" in host.run("web", change).splitlines()
    assert lib.ping_line(host.run("web", f"lmping {ADDRESS['db']} 20 5"), ADDRESS["db"])[:2] == (20, 0)
    until_clean(host, "lan0/0")
    assert order(host, "move web lan0/0")["result"] == "done"
