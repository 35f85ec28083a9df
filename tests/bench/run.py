#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The benchmark table, and BUILD/bench/results.json. Under an emulator absolute figures say nothing about hardware: each row is an instruction
count (QEMU's -icount shift=0, where a TSC tick is an instruction) or stands beside the same program on the bare board, in runs that take turns.
"""
import argparse
import contextlib
import json
import os
import pathlib
import re
import statistics
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]
from tests.system import bare, guests, handover, iodomain, lib, migrate, texts  # noqa: E402

KVM = {"cpuid": 3290, "hypercall": 3525, "ping": 16, "get": 63, "put": 33}  # KVM + VFIO on the same board (QEMU 10.0, Debian 12 in both levels)
RESTARTS = 9
MOVES = int(os.environ.get("BENCH_MOVES") or 8)
ROUNDS = int(os.environ.get("BENCH_ROUNDS") or 3)

EXITS_CFG = """[global]
loglevel = info
[guest bench]
kernel = cpuid.elf
memory = 16M
on_crash = stop
"""
FRAMES_CFG = """[nic lan0]
pf = 00:05.0
vfs = 1
[guest bench]
kernel = vfexits.elf
memory = 16M
on_crash = stop
vf = lan0/0 mac=02:00:00:00:00:01
"""


BOARD = os.environ.get("BOARD") or "amd"
IOMMU_CFG = """[global]
loglevel = info
[guest never-started]
kernel = hello.elf
memory = 2M
"""


class Table:
    def __init__(self):
        self.rows = []

    def add(self, name, value, unit, against=None):
        """against: (what it is compared with, its value, the target of the ratio or None)."""
        row = {"name": name, "value": round(value, 4), "unit": unit, "board": BOARD}
        text = f"{name:44} {value:12,.2f} {unit:14}"
        if against:
            other, other_value, target = against
            ratio = value / other_value if other_value else 0
            row["against"] = {"name": other, "value": round(other_value, 4), "ratio": round(ratio, 4), "target": target}
            text += f" {ratio:7.3f} of {other} ({other_value:,.2f})" + (f", target {target}" if target is not None else "")
        self.rows.append(row)
        print(text, flush=True)

    def write(self, build):
        folder = build / "bench"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "results.json").write_text(json.dumps(self.rows, indent=1) + "\n")


def boot(build, name, board=BOARD, **options):
    folder = build / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    host = lib.Host(board, build=build, log=folder / f"{name}.log", **options)
    host.begin(1200)
    return host


@contextlib.contextmanager
def counting(build, name, disk, board=BOARD, **options):
    """A machine with one CPU, where a tick of the TSC is an instruction."""
    os.environ["SMP"], smp = "1", os.environ.get("SMP")
    try:
        with boot(build, name, board, disk=disk, extra=("-icount", "shift=0"), **options) as host:
            # Reading the APIC's timer in the middle of a translation block ends QEMU under -icount: one instruction a block from here on.
            host.line(r"BdsDxe: starting", 500)
            host.qmp("human-monitor-command", **{"command-line": "one-insn-per-tb on"})
            yield host
    finally:
        os.environ["SMP"] = smp or ""


def counted(build, name, image, board=BOARD):
    """What a program on one processor says until it is done, with a TSC tick for each instruction."""
    with counting(build, name, image, board, nic=False) as host:
        host.line(r"bench: done", 500)
        return host.text


def exits(build, table):
    """Round trips of exits, in instructions."""
    image = lib.make_image(build, "bench-exits", EXITS_CFG)
    found = dict(re.findall(r"bench: ([\w-]+) (\d+)", counted(build, "exits", image)))
    none = int(found["none"])
    for name in ("cpuid", "hypercall", "x2apic-eoi", "x2apic-timer"):
        if name in found:
            known = KVM.get(name)
            table.add(f"exit round trip: {name}", int(found[name]) - none, "instructions",
                      ("KVM", known, 0.125 if name == "cpuid" else None) if known else None)


def iommus(build, table):
    """Mapping by each IOMMU, in instructions of the hypervisor's own files (tests/bench/iommu.c); the emulated unit's work takes none."""
    image = lib.make_image(build, "bench-iommu", IOMMU_CFG, files=(f"hv.elf={build}/bench/iommu.elf",))
    for board, unit in (("amd", "AMD-Vi"), ("vtd", "VT-d")):
        text = counted(build, "iommu-" + board, image, board)
        for what, n in zip(("attach", "detach"), lib.find(r"bench: attach (\d+) detach (\d+)", text).groups()):
            table.add(f"{unit}: {what} a function", int(n), "instructions")
        for leaf, line in re.findall(r"bench: (4k|2m|1g) ([^\n]*)", text):
            size, n = {"4k": "4 KiB", "2m": "2 MiB", "1g": "1 GiB"}[leaf], {k: int(v) for k, v in re.findall(r"([\w-]+) (\d+)", line)}
            for what in ("map", "unmap"):
                table.add(f"{unit}: {what} a page of {size}", n[what], "instructions")
                table.add(f"{unit}: {what} 1 GiB in pages of {size}", n[what + "-gib"], "instructions")
            table.add(f"{unit}: tables for 1 GiB in pages of {size}", n["table-bytes"] / 1024, "KiB")


def hand_over(build, table):
    """What a VF costs the hypervisor when its guest starts and stops, in instructions, and how long it is nobody's. What a new I/O domain costs, too."""
    cfg = handover.CFG.replace("info", "debug").replace("vfs = 4", "vfs = 1") + handover.GUEST.format(name="a").replace("cpus = 1-3\n", "")
    with counting(build, "handover", lib.make_image(build, "bench-handover", cfg + "vf = lan0/0\n")) as host:
        host.line(texts.of(handover.VERDICT, "a"), 500)
        for _ in range(RESTARTS):
            host.line(texts.of(handover.VERDICT, "a"), 100, start=handover.order(host, "restart a"))
        said = {what: re.findall(rf"\[ *([\d.]+)\] debug: a: functions {what} in (\d+) ns", host.text)[-RESTARTS:] for what in ("assigned", "released")}
        start = len(host.text)
        for _ in range(RESTARTS):
            iodomain.restart(host)
        anew = statistics.median(up - at for at, up, _ in iodomain.deaths(host, start))
    cost = {what: statistics.median(int(ns) for _, ns in lines) for what, lines in said.items()}
    idle = statistics.median(float(end[0]) - float(begin[0]) for begin, end in zip(said["released"], said["assigned"]))
    table.add("attach of a VF, to a guest of 4 MiB", cost["assigned"], "instructions")
    table.add("detach of a VF", cost["released"], "instructions")
    table.add("hand-over of a VF, 100 ms of it for its reset", 1000 * idle, "ms")
    table.add("the I/O domain anew, until its NIC is up", 1e9 * anew, "instructions")


def frames(build, table):
    image = lib.make_image(build, "bench-frames", FRAMES_CFG)
    with boot(build, "frames", disk=image) as host:
        match = host.line(r"bench: vf-frames (\d+) received (\d+) exits (-?\d+)", 200)
        table.add("VM exits for a frame sent and received, polling", int(match[3]) / int(match[1]), "exits")


def exits_of(host, command, count):
    """VM exits of `web` and `db` together for one of `count` things that a command in `web` does: (by kind, of `web` alone)."""
    before = lib.exit_counts(host)
    host.run("web", command, 300)
    after = lib.exit_counts(host)
    kinds = {}
    for name in ("web", "db"):
        for kind, n in after[name].items():
            kinds[kind] = kinds.get(kind, 0) + n - before[name].get(kind, 0)
    web = sum(after["web"].values()) - sum(before["web"].values())
    return {kind: n / count for kind, n in kinds.items() if n}, web / count


def traffic_exits(host, table, where):
    """Exits for a ping (back to back) and for a MB of TCP, in the guest that asks; what KVM takes there stands beside it."""
    peer = guests.ADDRESS["db"]
    for name, command, count in (("ping", f"lmping {peer} 4000 0", 4000), ("get", f"lmget {peer} 128", 128), ("put", f"lmput {peer} 128", 128)):
        kinds, web = exits_of(host, command, count)
        what = {"ping": "ping round trip", "get": "MB of TCP to the guest", "put": "MB of TCP from the guest"}[name]
        table.add(f"VM exits for a {what}{where}", web, "exits", ("KVM", KVM[name], 0.5))
        for kind in sorted(kinds, key=kinds.get, reverse=True):
            if kinds[kind] >= 0.05:
                table.add(f"  both guests: {kind}", kinds[kind], "exits")


class Bare:
    """The bare board: `web` and `db` are two network namespaces."""
    what = ""

    def __init__(self, build):
        self.build = build

    def start(self):
        start = time.monotonic()
        host = boot(self.build, "bare", linux=(self.build / "guest/vmlinuz", self.build / "guest/initrd.cpio.gz", bare.CMDLINE))
        host.line(r"guest: init at", 200, fail="Kernel panic")
        self.init = time.monotonic() - start
        bare.ready(host)
        return host

    @staticmethod
    def run(host, command):
        return host.run(None, f"ns 0 {command}", 300)


class Guests:
    """Two guests. what: how the rows about them end."""

    def __init__(self, build, what, **processors):
        self.build, self.what, self.name, self.processors = build, what, "lastmile" + what.replace(" ", "-").replace(",", ""), processors

    def start(self):
        image = lib.make_image(self.build, "bench-" + self.name, guests.demo_text(**self.processors))
        start = time.monotonic()
        host = boot(self.build, self.name, disk=image)
        host.line(texts.STARTS, 60)
        self.first = time.monotonic()
        host.line(texts.NIC_UP, 120)
        self.link = time.monotonic() - self.first
        host.line(texts.of(texts.PREFIX, "web") + r"guest: init at", 240, fail=texts.PANIC)
        self.init = time.monotonic() - self.first
        self.firmware = self.first - start
        for guest in guests.ADDRESS:
            host.line(texts.of(texts.PREFIX, guest) + texts.GUEST_READY, 240, start=0, fail=texts.PANIC)
        for guest in guests.ADDRESS:
            host.run(guest, "lmserve")
        return host

    @staticmethod
    def run(host, command):
        return host.run("web", command, 300)


def measure(side, host):
    """One round on one side: figures by name."""
    peer = guests.ADDRESS["db"]
    ping = side.run(host, f"lmping {peer} 1000 0")
    rtt = side.run(host, f"traffic rtt {peer} 500")
    rate = side.run(host, f"traffic udp {peer} 5 64")
    return {
        "ping RTT, least": (float(lib.find(r"rtt min/avg/max ([\d.]+)/", ping)[1]), "ms"),
        "UDP echo of 64 bytes, mean": (float(lib.find(r"rtt min/avg/max [\d.]+/([\d.]+)/", rtt)[1]), "ms"),
        "datagrams of 64 bytes received": (float(lib.find(r"rate (\d+)/s", rate)[1]), "1/s"),
        "TCP to the guest": (lib.transfer_line(side.run(host, f"lmget {peer} 32"), "get", peer)[3], "MB/s"),
        "TCP from the guest": (lib.transfer_line(side.run(host, f"lmput {peer} 32"), "put", peer)[3], "MB/s"),
    }


TARGETS = {"ping RTT, least": 1.2}


def traffic(table, bare_side, others):
    """Each side in turn, ROUNDS times; medians."""
    rounds, starts = {}, {}
    for turn in range(ROUNDS):
        for side in [bare_side] + others:
            with side.start() as host:
                starts.setdefault(side, []).append(side.init)
                rounds.setdefault(side, []).append(measure(side, host))
                if side is not bare_side and turn == ROUNDS - 1:
                    traffic_exits(host, table, side.what)
    for side in others or [bare_side]:
        for name, (_, unit) in rounds[side][0].items():
            value, against = (statistics.median(r[name][0] for r in rounds[which]) for which in (side, bare_side))
            table.add(name + side.what, value, unit, ("bare", against, TARGETS.get(name + side.what)) if others else None)
    for side in others:
        table.add("first line to the I/O domain's link" + side.what, side.link, "s")
        table.add("first line to the guest's init" + side.what, statistics.median(starts[side]), "s",
                  ("bare boot", statistics.median(starts[bare_side]), 1.5))
    if not others:
        table.add("bare boot to init", statistics.median(starts[bare_side]), "s")


STEPS = ("park", "quiesce", "save", "stage", "load", "start", "switch", "replay", "resume")  # in microseconds


def moves(table, host):
    """A guest that sends and receives goes from VF to VF and back."""
    migrate.count(host, "web", "db", 3 + 3 * MOVES)
    migrate.transfers(host, "web", "db")
    done = [migrate.to_and_fro(host, i) for i in range(MOVES)]
    migrate.transfers_end(host, "web")
    sent, lost, doubled, late = migrate.numbers(host, "web", 30 + 3 * MOVES)
    table.add(f"{MOVES} moves to another VF: numbered datagrams", sent, "datagrams")
    for what, n in (("lost", lost), ("doubled", doubled), ("late", late)):
        table.add(f"  of them {what}", n, "datagrams")
    for what in ("accesses", "exits", "hypercalls", "parked"):
        table.add(f"  a move's {what}, median", statistics.median(int(one[what]) for one in done), "")
    table.add("  the guest stands still, median", statistics.median(int(one["blackout_ns"]) for one in done) / 1e6, "ms")
    for step in STEPS:
        table.add(f"  step {step}, median", statistics.median(int(one[step + "_us"]) for one in done) / 1e3, "ms")


def rate_with_moves(table, host):
    """TCP from a guest before, while and after it is moved."""
    peer = guests.ADDRESS["db"]

    def put(size):
        return lib.transfer_line(host.run("web", f"lmput {peer} {size}", 120), "put", peer)[3]

    before = put(32)
    host.run("web", f"rm -f /tmp/put; (lmput {peer} 128 >/tmp/put; echo over >>/tmp/put) 2>&1 &")
    for i in range(2):
        migrate.to_and_fro(host, i)
    host.run("web", "while ! grep -q over /tmp/put; do usleep 100000; done", 300)
    during = lib.transfer_line(host.run("web", "cat /tmp/put"), "put", peer)[3]
    table.add("TCP from a guest that is moved twice", during, "MB/s", ("before", before, None))
    table.add("TCP from it afterwards", put(32), "MB/s", ("before", before, None))


def restarts(table, host):
    """The I/O domain starts anew under traffic."""
    streams, back = iodomain.restarted(host, RESTARTS)
    for what, times in back.items():
        table.add(f"restart of the I/O domain: until the {what}", 1000 * statistics.median(times), "ms")
    for name in "peer", "uplink", "mailbox":
        table.add(f"  lost of {streams[name].sent} requests ({name})", streams[name].lost, "")


# What comes nearest on a bare Linux: the PF's driver is loaded anew, or a VF's interface is set down and up.
RELOAD = ("rmmod igbvf; rmmod igb; load igb 2>/dev/null; ip link set eth0 up; echo 2 >/sys/class/net/eth0/device/sriov_numvfs; load igbvf 2>/dev/null; "
          "for i in 0 1; do n=eth$((i + 1)); ip link set $n netns $(cat /run/ns$i); ns $i ip link set $n up; "
          "ns $i ip addr add 10.0.2.$((101 + i))/24 dev $n; done")
DOWN_UP = "ns 0 ip link set eth1 down; ns 0 ip link set eth1 up"
CLOCK = "cut -d' ' -f1 /proc/uptime"


def out_of_service(host, command):
    """Milliseconds of a command on the bare board until its VFs can be pinged again."""
    text = host.run(None, f"echo from $({CLOCK}); {command}; until ns 0 ping -c 1 -W 1 10.0.2.102 >/dev/null 2>&1; do usleep 10000; done; "
                          f"echo to $({CLOCK})", 300)
    begin, end = (float(lib.find(rf"^{word} ([\d.]+)\r?$", text)[1]) for word in ("from", "to"))
    return 1000 * (end - begin)


def services(build, table):
    """Guests are moved, the I/O domain is started anew; what a bare Linux has in their place."""
    with Guests(build, ", moved", web=(1, "1-3"), db=(4, "1-3")).start() as host:
        moves(table, host)
        rate_with_moves(table, host)
        restarts(table, host)
    with Bare(build).start() as host:
        table.add("bare board: a VF's interface down and up", out_of_service(host, DOWN_UP), "ms")
        table.add("bare board: the PF's driver loaded anew", out_of_service(host, RELOAD), "ms")


def compare(build, table):
    traffic(table, Bare(build), [Guests(build, "", web=(1, "1"), db=(1, "2")), Guests(build, ", shared CPUs", web=(1, "1-3"), db=(4, "1-3"))])


PARTS = {"exits": exits, "iommus": iommus, "hand-over": hand_over, "frames": frames, "services": services, "traffic": compare}


def parts(text):
    names = text.split(",")
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: no such part; there are {', '.join(PARTS)}")
    return names


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path("build"))
    parser.add_argument("--bare", action="store_true", help="only the bare board's side")
    parser.add_argument("--parts", type=parts, default=list(PARTS), help=f"which ones, with commas: {', '.join(PARTS)} (default: all)")
    args = parser.parse_args()
    build, table = (ROOT / args.build).resolve(), Table()
    if args.bare:
        traffic(table, Bare(build), [])
    else:
        for name in args.parts:
            PARTS[name](build, table)
    table.write(build)


if __name__ == "__main__":
    main()
