# SPDX-License-Identifier: BSD-2-Clause
"""A stock guest is moved from VF to VF of its NIC while it sends and receives, and the I/O domain dies over it. MIGRATE_MOVES says how often it is
moved (10); with MIGRATE_DEATHS=all the I/O domain dies in every way at every step."""
import os
import re
import statistics
import time

import board
from tests.system import handover, iodomain, lib, texts
from tests.system.guests import ADDRESS, ready, two_vfs

MOVES = int(os.environ.get("MIGRATE_MOVES") or 10)
RATE = 200          # numbered datagrams a second, echoed: what a board under TCG carries beside a transfer
ACCESSES_MAX = 60   # and what a busy host adds: one for each frame that is looped back, and for each batch of parked ones
BATCH = 8
REORDERED_MAX = 2   # a move
VFS = (0, 3)
IODOMAIN = "iodomain"


@lib.boot("migrate")
def machine(_build):
    return {"cfg": two_vfs((lib.ROOT / "tests/guest/demo/lastmile.cfg").read_text()), "ready": ready}


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


def numbers(host, guest, seconds, file="/tmp/number"):
    """(sent, lost, doubled, late) of a `traffic number`, or `listen`, that was started in the background."""
    host.run(guest, f"while ! grep -q guest: {file}; do usleep 200000; done", seconds)
    text = host.run(guest, f"cat {file}")
    if missing := re.findall(r"^missing: (\d+)", text, re.M):
        print(f"migrate: {file}: missing {' '.join(missing)}")
    return tuple(int(n) for n in lib.find(r"guest: \w+ [\d.]+ (\d+) lost (\d+) doubled (\d+) late (\d+)", text).groups())


def add_vlan(host, guest, vid, address):
    """To the guest's first NIC."""
    host.run(guest, "[ -e /proc/net/vlan ] || load 8021q")
    host.run(guest, f"ip link add link eth0 name eth0.{vid} type vlan id {vid} && ip addr add {address}/24 dev eth0.{vid} && ip link set eth0.{vid} up")


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


# --- the I/O domain dies in the middle of a move, or a step fails (tests/iodom/orders.c) ---

STEPS = "begin stage park freeze stop quiesce save replay load switch start resume finish".split()
STILL = STEPS[STEPS.index("stop"):STEPS.index("finish")]  # at whose beginning the guest stands still
MOVED = STEPS[STEPS.index("start"):]                      # at whose beginning the destination is the guest's
DEATHS = [("reset", step) for step in STEPS]
ERRORS = [("error", step) for step in STEPS if step not in ("park", "start", "finish")] + [("starve", "park"), ("hang", "load"), ("hang", "start")]
OTHERS = [(how, step) for how in ("hang", "crash") for step in STEPS]
CRASH_WINDOW = 70  # seconds: after three crashes in a minute it would stay down


def arm(host, how, step):
    """The I/O domain fails so when the next move comes to that step."""
    for _ in range(3):
        at = len(host.text)
        host.run("db", f"(sleep 1; echo {how} {step} | timeout 5 nc {iodomain.ADDRESS} {iodomain.ORDERS_PORT}) >/dev/null 2>&1 &")
        host.focus(IODOMAIN)
        try:
            host.line(rf"iodom: armed: {how} at {step}", 15, start=at)
            return
        except board.BoardError:
            continue
    raise AssertionError(f"the I/O domain does not take the order {how} {step}")


def fail(host, how, step, to):
    """A move that comes to a bad end; what came of it, if the I/O domain lived to tell."""
    arm(host, how, step)
    at = handover.order(host, f"move web lan0/{to}")
    host.focus(IODOMAIN)
    result = None
    if how in ("error", "starve"):
        result = host.line(r"migrate: id=(\d+) op=move result=(\w+)", 60, start=at, fail=texts.PANIC)[2]
    else:
        host.expect(iodomain.STOPS_AT, 60, start=at, fail=texts.PANIC)
        host.line(texts.NIC_UP, 90, start=at, fail=texts.PANIC)
    if (step in STILL and result is None) or (how, step) == ("error", "resume"):
        host.line(r"op=wake result=done", 60, start=at, fail=texts.PANIC)
    return result


def owned(host):
    """Numbers of the VFs that are web's, each of which it uses."""
    lines = [line.split() for line in handover.told(host, "vf")[1:]]
    assert all(line[0] == "used" for line in lines if line[3] == "web"), lines
    return [int(line[2].split("/")[1]) for line in lines if line[3] == "web"]


def is_well(host):
    assert lib.ping_line(host.run("web", f"lmping {ADDRESS['db']} 10 5"), ADDRESS["db"])[:2] == (10, 0)
    assert lib.ping_line(host.run("db", f"lmping {ADDRESS['web']} 10 5"), ADDRESS["web"])[:2] == (10, 0)


def good_move(host, to):
    until_clean(host, f"lan0/{to}")
    done = order(host, f"move web lan0/{to}")
    assert done["result"] == "done", done


def fail_at_each_step(host, cases):
    """One owner, whatever happens, and the next move succeeds."""
    is_well(host)
    for to in reversed(VFS):  # each has been had
        good_move(host, to)
    before = handover.usage(host)
    transfers(host, "web", "db")
    at, crashes = VFS[0], [float("-inf")] * 2
    for how, step in cases:
        other = sum(VFS) - at
        until_clean(host, f"lan0/{other}")
        if how in ("crash", "hang"):
            host.pause(max(0.0, crashes[-2] + CRASH_WINDOW - time.monotonic()))
            crashes.append(time.monotonic())
        began = time.monotonic()
        result = fail(host, how, step, other)
        moved = result == "done" or (step in MOVED and how not in ("error", "starve")) or (how, step) == ("error", "resume")
        assert owned(host) == [other if moved else at], f"{how} at {step}: web has {owned(host)}"
        is_well(host)
        print(f"              {how} at {step}: {'the destination goes on' if moved else 'the source goes on'}, {time.monotonic() - began:.1f} s", flush=True)
        at = other if moved else at
        good_move(host, sum(VFS) - at)
        at = sum(VFS) - at
    transfers_end(host, "web")
    if at != VFS[0]:
        good_move(host, VFS[0])
    for vf in VFS[1:]:
        until_clean(host, f"lan0/{vf}")
    assert handover.usage(host) == before, f"{before} before, {handover.usage(host)} after"
    log = host.run("web", "dmesg")
    assert not re.search(r"igbvf.*(?:reset|Reset)", log), log
    host.never(texts.PANIC)


@lib.test("system migrate: the I/O domain dies at each step of a move: one VF is the guest's, and it goes on; nothing leaked", on="iodomain",
          limit=60 + 30 * len(DEATHS))
def deaths(host):
    fail_at_each_step(host, DEATHS)


@lib.test("system migrate: each step of a move fails with an error, without memory, or never ends: the same", on="iodomain", limit=60 + 30 * len(ERRORS))
def errors(host):
    fail_at_each_step(host, ERRORS)


if os.environ.get("MIGRATE_DEATHS") == "all":
    @lib.test("system migrate, iodomain: it crashes, and it hangs, at each step of a move: the same", on="iodomain", limit=60 + 60 * len(OTHERS))
    def others(host):
        fail_at_each_step(host, OTHERS)
