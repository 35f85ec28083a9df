# SPDX-License-Identifier: BSD-2-Clause
"""The I/O domain dies, by the operator, by a crash or by a hang, and guests with VFs do not notice: frames, links, mailboxes.
IODOMAIN_KILLS: how often the operator restarts it (10)."""
import collections
import os
import random
import re
import statistics

from tests.system import guests, handover, lib, texts

KILLS = int(os.environ.get("IODOMAIN_KILLS") or 10)
ADDRESS = "10.0.2.15"
ORDERS_PORT = 9
PEER = guests.ADDRESS["db"]
DOMAIN = "iodomain"
BACK_S = 1         # igbvf waits so long for an answer; what the median is on an idle host is printed, not judged: hosts are busy
STOPS_AT = r"^\[ *(?P<s>\d+\.\d+)\] \w+: \[iodomain\] stops: (?P<why>[^\n]*)(?=\n)"
UP_AT = r"^\[ *(?P<s>\d+\.\d+)\] \w+: iodomain: lan0 is up"
NO_LIFE = "no sign of life"
LIMIT_S = 3        # so long it may be silent


@lib.boot("iodomain")
def demo(build):
    lib.make("iodom-orders", build)
    return {"cfg": "tests/guest/demo/lastmile.cfg", "files": (f"iodom.elf={build}/iodom-orders.elf",), "ready": guests.ready}


# What runs in which guest: (guest, command, milliseconds between two).
STREAMS = {
    "peer": ("web", f"ping {PEER}", 20),
    "uplink": ("web", f"ping {guests.UPLINK}", 20),
    "stack": ("db", f"ping {ADDRESS}", 2),
    "mailbox": ("db", "mailbox eth0", 5),
}

Stream = collections.namedtuple("Stream", "sent lost repeated silences")  # silences: (from, to) in seconds of the board's clock


def begin_traffic(host, streams=tuple(STREAMS)):
    """Slower where the host is: what a VF's ring does not hold while its guest waits for a processor is lost, restart or not."""
    for name in streams:
        guest, what, ms = STREAMS[name]
        host.run(guest, f"outage {what} {ms * slowness():.1f} >/tmp/{name} 2>&1 &")


def end_traffic(host, names=tuple(STREAMS)):
    khz = int(lib.find(r"time: TSC (\d+) kHz", host.text)[1])
    streams = {}
    for guest in guests.ADDRESS:
        host.run(guest, "killall outage")
    for name in names:
        text = host.run(STREAMS[name][0], f"wait; cat /tmp/{name}")
        total = lib.find(r"guest: outage .* sent (\d+) lost (\d+) repeated (\d+)", text)
        silences = [tuple(int(n) / khz / 1e3 for n in pair) for pair in re.findall(r"from (\d+) to (\d+)", text)]
        streams[name] = Stream(*(int(n) for n in total.groups()), silences)
    return streams


def link_state(host):
    """What igbvf has had to say in each guest, and how often it saw the carrier come or go."""
    command = "echo state $(dmesg | grep -c igbvf) $(cat /sys/class/net/eth0/carrier_changes)"
    return {guest: lib.find(r"state (\d+) (\d+)", host.run(guest, command)).groups() for guest in guests.ADDRESS}


def deaths(host, start):
    """[(when it ended, when the NIC was up again, why)] in seconds of the board's clock, in the console's text from `start` on."""
    found = []
    for stop in re.finditer(STOPS_AT, host.text[start:], re.M):
        up = re.search(UP_AT, host.text[start + stop.end():], re.M)
        found.append((float(stop["s"]), float(up["s"]) if up else None, stop["why"]))
    return found


def silence(stream, moment):
    """The silence that a moment fell into, or that began with the next request after it; one too short to be reported is taken for 10 ms."""
    around = [pair for pair in stream.silences if pair[0] - 0.03 * slowness() < moment < pair[1]]
    return max(around, key=lambda pair: pair[1] - pair[0], default=(moment, moment + 0.01))


def judge(streams, links, host):
    assert streams["peer"].lost == streams["peer"].repeated == 0, f"between VFs: {streams['peer'][:3]}"
    assert streams["uplink"].lost == streams["uplink"].repeated == 0, f"to the uplink: {streams['uplink'][:3]}"
    assert "mailbox" not in streams or streams["mailbox"].lost == 0, f"requests that failed: {streams['mailbox'][:3]}"
    assert link_state(host) == links, f"the guests' logs: {links} before, {link_state(host)} after"
    host.never(r"\) lan0/\d: (reset|driver is up)")
    host.never(texts.PANIC)


def slowness():
    """How much longer than on an idle host things take on this one."""
    return max(1.0, os.getloadavg()[0] / os.cpu_count())


def show(what, seconds):
    ms = sorted(1000 * s for s in seconds)
    print(f"              {what}: best {ms[0]:.0f}, median {statistics.median(ms):.0f}, worst {ms[-1]:.0f} ms ({len(ms)} times, "
          f"host loaded {slowness():.1f} times)", flush=True)


def restart(host):
    at = handover.order(host, "restart iodomain")
    host.line(texts.NIC_UP, 30, start=at, fail=texts.PANIC)


def restarted(host, times):
    """The operator does that again and again under traffic: (the streams, {what: seconds until it is back, each time})."""
    start = len(host.text)
    begin_traffic(host)
    for _ in range(times):
        host.pause(random.uniform(0.8, 2))  # the log has a line a second for restarts
        restart(host)
    streams = end_traffic(host)
    killed = [death for death in deaths(host, start) if death[2].startswith("by the operator")]  # a busy host may add hangs
    assert len(killed) == times, killed
    back = {"NIC is up": [up - at for at, up, _ in killed]}
    for name in "stack", "mailbox":
        back[f"{name} answers"] = [silence(streams[name], at)[1] - at for at, _, _ in killed]
    return streams, back


def die(host, how):
    """Gives the I/O domain an order; where the console's text of it begins. It comes when the console is there to see it: a switch drops what was to come."""
    at = len(host.text)
    host.run("db", f"(sleep 2; echo {how} | timeout 5 nc {ADDRESS} {ORDERS_PORT}) >/dev/null 2>&1 &")
    host.focus("lastmile")
    return at


@lib.test("system iodomain: without a restart no frame is lost", on="iodomain", limit=200)
def baseline(host):
    links = link_state(host)
    begin_traffic(host)
    host.pause(3)
    streams = end_traffic(host)
    judge(streams, links, host)
    assert streams["stack"].lost == 0, streams["stack"]


@lib.test(f"system iodomain: {KILLS} restarts by the operator: no frame lost, no link event, requests answered, control back soon",
          on="iodomain", limit=200 + 10 * KILLS)
def restarts(host):
    links = link_state(host)
    streams, back = restarted(host, KILLS)
    for what, times in back.items():
        show(f"until the {what}", times)
    judge(streams, links, host)
    for what, times in back.items():
        assert statistics.median(times) < BACK_S, f"{what}: {times}"


@lib.test("system iodomain: a crash: the same", on="iodomain", limit=200)
def crashes(host):
    links, start = link_state(host), len(host.text)
    begin_traffic(host)
    at = die(host, "crash")
    assert "triple fault" in host.expect(STOPS_AT, 20, start=at)["why"]
    host.line(texts.NIC_UP, 30, fail=texts.PANIC)
    host.pause(1)
    streams = end_traffic(host)
    died = deaths(host, start)[0][0]
    show("from a crash until the stack answers", [silence(streams["stack"], died)[1] - died])
    judge(streams, links, host)


@lib.test("system iodomain: a hang is noticed; no frame lost, no link event", on="iodomain", limit=200)
def hangs(host):
    """Without requests to the mailbox: a hang is only noticed when igbvf has waited for longer than it does."""
    links, start = link_state(host), len(host.text)
    names = ("peer", "uplink", "stack")
    begin_traffic(host, names)
    at = die(host, "hang")
    assert NO_LIFE in host.expect(STOPS_AT, 20, start=at)["why"]
    host.line(texts.NIC_UP, 30, fail=texts.PANIC)
    host.pause(1)
    streams = end_traffic(host, names)
    noticed = deaths(host, start)[0][0]
    hung = silence(streams["stack"], noticed)
    show("a hang until it is noticed", [noticed - hung[0]])
    show("from then until the stack answers", [hung[1] - noticed])
    judge(streams, links, host)
    assert LIMIT_S - 0.5 < noticed - hung[0], "taken for hung while it was not"


@lib.test("system iodomain: after three deaths in a minute it stays down, VFs go on, who starts meanwhile waits; the operator starts it",
          on="iodomain", limit=300)
def left_down(host):
    for how in "crash", "halt", "crash", "crash":
        at = die(host, how)
        host.expect(STOPS_AT, 20, start=at)
        if host.expect(rf"{texts.of(texts.STAYS_DOWN, DOMAIN)}|{texts.NIC_UP}", 60, fail=texts.PANIC)[0].startswith("["):
            break
    host.line(texts.of(texts.STOPPED, DOMAIN), 20)
    assert any(line.split()[3:] == ["stopped", DOMAIN] for line in handover.told(host, "list"))
    assert lib.ping_line(host.run("web", f"lmping {PEER} 100 2"), PEER)[:2] == (100, 0)
    handover.stop(host, "web")
    handover.order(host, "start web")
    host.pause(1)
    assert any(line.split()[3:] == ["starting", "web"] for line in handover.told(host, "list"))
    restart(host)
    host.focus(texts.HYPERVISOR)
    host.line(texts.of(texts.PREFIX, "web") + texts.GUEST_READY, 200, start=at, fail=texts.PANIC)
    assert lib.ping_line(host.run("web", f"lmping {PEER} 100 2"), PEER)[:2] == (100, 0)
    assert lib.ping_line(host.run("web", f"lmping {ADDRESS} 20 5"), ADDRESS)[:2] == (20, 0)
