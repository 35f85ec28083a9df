# SPDX-License-Identifier: BSD-2-Clause
"""VFs that change hands at run time: the operator's commands, and that the next guest finds nothing of the last (tests/guest/handover.c)."""
import os
import re

from tests.system import guests, lib, texts

CYCLES = int(os.environ.get("HANDOVER_CYCLES") or 1000)
CYCLES_VTD = min(CYCLES, 100)
VF = "lan0/2"
CFG = """[global]
loglevel = info
[nic lan0]
pf = 00:05.0
vfs = 4
"""
GUEST = """[guest {name}]
kernel = handover.elf
memory = 4M
cpus = 1-3
on_crash = stop
"""
VERDICT = r"\[{guest}\] handover: (?P<what>[^\r\n]*)"


@lib.boot("handover", beside=True)
def handover(build):
    return {"cfg": CFG + GUEST.format(name="a") + f"vf = {VF}\n" + GUEST.format(name="b"), "ready": ready}


@lib.boot("handover-vtd", "vtd", beside=True)
def handover_vtd(build):
    return handover(build)


def ready(host):
    host.line(texts.NIC_UP, 120, fail=texts.PANIC)
    for guest in "ab":
        host.line(texts.of(VERDICT, guest), 60, start=0, fail=texts.PANIC)


def order(host, *commands):
    """Types commands; where their answers begin."""
    host.focus("lastmile")
    at = len(host.text)
    host.send("".join(command + "\r" for command in commands))
    return at


def told(host, command):
    """The lines that a command answers with, without the log's."""
    host.focus("lastmile")
    host.settle()
    at = order(host, command)
    said = host.expect(rf"{re.escape(command)}\r?\n(?P<said>(?s:.*?))lastmile> $", 20, start=at)["said"]
    return [line for line in said.replace("\r", "").split("\n") if line and not re.match(texts.FIRST_LOG, line)]


def stop(host, guest):
    host.line(texts.of(texts.STOPPED, guest), 20, start=order(host, f"stop {guest}"))


def stop_if_running(host, guest):
    if any(line.split()[3:] == ["running", guest] for line in told(host, "list")):
        stop(host, guest)


def start(host, guest, *before):
    """What a guest that is started says of its VF."""
    return host.line(texts.of(VERDICT, guest), 30, start=order(host, *before, f"start {guest}"), fail=texts.PANIC)["what"].strip()


def usage(host):
    return dict(re.findall(r"(\w+) (\d+)", told(host, "usage")[0]))


@lib.test("system handover: a VF without a last owner is clean, a guest without a VF has none", on="handover", limit=60)
def first(host):
    assert lib.find(texts.of(VERDICT, "a"), host.text)["what"].strip() == "clean"
    assert lib.find(texts.of(VERDICT, "b"), host.text)["what"].strip() == "no VF"
    assert told(host, "vf")[1:] == [f"{'used' if i == 2 else 'clean'} 00:00:00:00:00:00 lan0/{i} {'a' if i == 2 else '-'} 0" for i in range(4)]


@lib.test("system handover: commands that cannot be carried out say why", on="handover", limit=60)
def refusals(host):
    for command, answer in {
        f"vf {VF} detach": "a: must be stopped",
        f"vf {VF} attach b": f"{VF}: a has it",
        "vf lan0/3 attach a": "a: must be stopped, and have less than 8 VFs",
        "vf lan0/4 detach": "lan0/4: no such VF; `vf` names them",
        "start a": "a: is running already",
        "start iodomain": "iodomain: no such guest; `list` names them",
        "stop": "stop: other words must follow; `help` lists them",
    }.items():
        assert told(host, command) == [answer], f"{command}: {told(host, command)}"


@lib.test("system handover: guests that the operator stops do not end the machine", on="handover", limit=60)
def all_stopped(host):
    for guest in "ab":
        stop(host, guest)
    assert [line.split()[3:] for line in told(host, "list")[1:]] == [["running", "iodomain"], ["stopped", "a"], ["stopped", "b"]]
    assert told(host, "stop a") == ["a: is stopped already"]
    assert start(host, "a") == "clean"
    at = order(host, "restart a")
    assert host.line(texts.of(VERDICT, "a"), 30, start=at)["what"].strip() == "clean"


def cycles_test(on, times, prefix=""):
    @lib.test(f"system handover: {prefix}{times:,} times from one guest to another, never a trace of the last, nothing leaked", on=on,
              limit=times + 60)
    def cycles(host):
        owner, other = "a", "b"

        def hand_over(times):
            nonlocal owner, other
            for i in range(times):
                stop(host, owner)
                what = start(host, other, f"vf {VF} detach", f"vf {VF} attach {other}")
                assert what == "clean", f"cycle {i + 1}, {owner} to {other}: {what}"
                owner, other = other, owner

        for guest in "ab":
            stop_if_running(host, guest)
        start(host, owner)
        hand_over(2)  # each guest has had it
        before = usage(host)
        hand_over(times)
        assert usage(host) == before, f"{before} before, {usage(host)} after"


cycles_test("handover", CYCLES)
cycles_test("handover-vtd", CYCLES_VTD, "behind VT-d, ")


@lib.test("system handover: stock guests that are stopped, or have powered off, start again with their VFs", on="demo", limit=240)
def stock(host):
    for guest in guests.ADDRESS:
        stop_if_running(host, guest)
    at = order(host, *(f"start {guest}" for guest in guests.ADDRESS))
    host.focus(texts.HYPERVISOR)
    for guest in guests.ADDRESS:
        host.line(texts.of(texts.PREFIX, guest) + texts.GUEST_READY, 200, start=at, fail=texts.PANIC)
    host.run("db", "lmserve")
    assert lib.ping_line(host.run("web", f"lmping {guests.ADDRESS['db']} 50 5"), guests.ADDRESS["db"])[:2] == (50, 0)
