# SPDX-License-Identifier: BSD-2-Clause
"""System tests: functions that get a booted machine. @boot says how to boot one, @test puts a test on it.

    @boot("demo")                               a function (build) -> dict of what Host needs: cfg=, or linux=; limit= of the boot in seconds
    def demo(build): return {"cfg": "tests/guest/demo/lastmile.cfg"}

    stalls=: of a board without Lastmile, what it says when the emulator has lost one of its interrupts: it is booted once more (CAVEATS.md)

    @test("system ping both ways", on="demo", limit=60)
    def ping(host): ...

MODULES lists the modules whose tests run, the slowest first; those in SLOW take minutes each, and run where the environment has SLOW=1.
"""
import collections
import importlib
import os
import pathlib
import re
import subprocess
import threading
import time

import board
from tests.system import texts

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
MODULES = ("vmx", "bare", "config", "acpi", "handover", "guests", "iodomain", "share", "own", "attack", "dma", "vtd", "faults", "function", "migrate", "uplinks", "save", "combined", "rings")
SLOW = ("nested", "ryzen", "delegated")

NO_MACHINE = "none"  # a test that boots its own

Test = collections.namedtuple("Test", "name on limit function")
boots, tests = {}, []
making = threading.Lock()


def boot(name, board_name="amd", *, beside=False):
    """beside: nothing that its tests look at depends on how busy the host is."""
    def add(function):
        boots[name] = Boot(name, board_name, function, beside)
        return function
    return add


def test(name, on, limit):
    """limit: seconds for all waits of the test together."""
    def add(function):
        tests.append(Test(name, on, limit, function))
        return function
    return add


def collect(build):
    """[(Boot, its tests)] of the modules that are enabled, in the order of their definition."""
    boots.setdefault(NO_MACHINE, Boot(NO_MACHINE, "amd", None, True))
    for module in MODULES + (SLOW if os.environ.get("SLOW") else ()):
        importlib.import_module(f"tests.system.{module}")
    for one in boots.values():
        one.build = pathlib.Path(build)
    return [(one, [t for t in tests if t.on == name]) for name, one in boots.items()]


class Boot:
    def __init__(self, name, board_name, function, beside):
        self.name, self.board, self.function, self.beside, self.build = name, board_name, function, beside, None

    def start(self, log):
        if self.function is None:
            return Context(self.build)
        options = dict(self.function(self.build))
        ready = options.pop("ready", None)
        cfg = options.pop("cfg", None)
        if cfg:
            files = (*options.pop("files", ()), *board.image_files(self.board, self.build))
            options["disk"] = make_image(self.build, self.name, cfg, files)
        limit, stalls = options.pop("limit", 300), options.pop("stalls", None)
        while True:
            machine = Host(self.board, log=log, build=self.build, **options)
            try:
                machine.begin(limit)
                if ready:
                    ready(machine)
                return machine
            except BaseException as error:
                machine.close()
                if not (stalls and isinstance(error, board.BoardError) and re.search(stalls, machine.text)):
                    raise
            print(f"               (boot {self.name}: the emulator stalled, once more)", flush=True)
            stalls = None


class Context:
    """What a test gets that boots its own machines."""

    def __init__(self, build):
        self.build, self.logs = build, []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def begin(self, _limit):
        self.logs = []

    def log(self, name):
        path = self.build / "system" / (re.sub(r"\W+", "-", name) + ".log")
        self.logs.append(path)
        return path

    def spoken(self):
        return "\n".join(path.read_text(errors="replace") for path in self.logs if path.exists())


def make(target, build):
    """Makes one more target of the Makefile; two boots may want the same."""
    with making:
        done = subprocess.run(["make", "-s", "--no-print-directory", target, f"BUILD={build}"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise board.BoardError(f"make {target}: {done.stdout}{done.stderr}".strip())


def find(pattern, text):
    """The first match of a pattern in a text; it must be there."""
    match = re.search(pattern, text, re.M)
    assert match, f"/{pattern}/ is not there"
    return match


def make_image(build, name, cfg, files=()):
    """A disk image of a configuration (a path, or its text). files: NAME=PATH pairs for mkimage."""
    folder = build / "system"
    folder.mkdir(parents=True, exist_ok=True)
    if isinstance(cfg, (bytes, str)) and (b"\n" if isinstance(cfg, bytes) else "\n") in cfg:
        path = folder / f"{name}.cfg"
        path.write_bytes(cfg if isinstance(cfg, bytes) else cfg.encode())
    else:
        path = ROOT / cfg
    image = folder / f"{name}.img"
    args = [str(ROOT / "tools/mkimage.py"), "--cfg", str(path), "--out", str(image), "--build", str(build)]
    for item in files:
        args += ["--file", item]
    done = subprocess.run(args, capture_output=True, text=True, check=False)
    if done.returncode:
        raise board.BoardError(f"mkimage: {done.stdout}{done.stderr}".strip())
    return image


class Host(board.Machine):
    """A machine with Lastmile on it (or a bare Linux): its console, and its guests' shells behind it."""

    def __init__(self, board_name, *, build, log, **options):
        self.build, self.name, self.deadline, self.mark, self.focus_name = build, pathlib.Path(log).stem, time.monotonic() + 300, 0, None
        self.commands = 0
        super().__init__(board_name, log=log, **options)

    def file(self, name):
        """A path that is this machine's alone: others may run beside it."""
        return self.build / "system" / f"{self.name}-{name}"

    def begin(self, limit):
        """A test starts: its deadline, and where its part of the console begins."""
        self.deadline, self.mark = time.monotonic() + limit, len(self.text)

    def spoken(self):
        return self.text[self.mark:]

    def left(self, seconds):
        return max(0.1, min(seconds, self.deadline - time.monotonic()))

    def expect(self, pattern, seconds=60, **options):
        return self.wait(pattern, self.left(seconds), **options)

    def line(self, pattern, seconds=60, **options):
        """Waits for a whole line with that in it; returns the match."""
        return self.expect(pattern + r"[^\n]*\n", seconds, **options)

    def pause(self, seconds):
        """Takes in what the console says for that long."""
        end = time.monotonic() + self.left(seconds)
        while (left := end - time.monotonic()) > 0:
            assert self.pump(min(left, 0.5)), f"the machine has ended: {self.epitaph()}"

    def never(self, pattern, start=None):
        """Fails if the console said that since the test began."""
        found = re.compile(pattern, re.M).search(self.text, self.mark if start is None else start)
        assert not found, f"the console says {found[0]!r}"

    def settle(self):
        """Takes in what has already been said."""
        while True:
            before = len(self.text)
            if not self.pump(0.05) or len(self.text) == before:
                return

    def focus(self, name):
        """Turns the console to a guest (texts.HYPERVISOR for the hypervisor): Ctrl-A three times moves it on by one."""
        for _ in range(32):
            if self.focus_name == name:
                return
            at = len(self.text)
            self.send("\x01\x01\x01")
            self.focus_name = self.expect(texts.FOCUS, 10, start=at)["name"]
        raise board.BoardError(f"the console never comes to {name}")

    def shell(self, name, command, seconds=60):
        """Runs a command in a guest's shell; (status, what it printed). A bare Linux has no focus to move: name None."""
        if name:
            self.focus(name)
        self.settle()
        self.commands += 1
        tag = f"rc{self.commands}"
        at = len(self.text)
        # The tag is taken apart so that its echo does not look like the answer.
        end = "" if command.endswith("&") else ";"
        self.send(f"{command}{end} echo {tag[:2]}''{tag[2:]} $?\n")
        match = self.expect(rf"^(?:\({name}\) )?{tag} (\d+)(?=\n)", seconds, start=at)
        return int(match[1]), self.text[at:match.start()]

    def run(self, name, command, seconds=60):
        """shell() of a command that must succeed; what it printed."""
        status, output = self.shell(name, command, seconds)
        assert status == 0, f"{name}: {command}: status {status}\n{output}"
        return output


def exit_counts(host):
    """The operator's `exits`: {guest: {kind: number}}."""
    host.focus("lastmile")
    host.settle()
    at = len(host.text)
    host.send("exits\r")
    host.expect(r"lastmile> $", 20, start=at + 6)
    return {name: {kind.strip(): int(n) for kind, n in re.findall(r"([\w/ -]+?) (\d+)", rest)}
            for name, rest in re.findall(r"^([\w-]+): ((?:[\w/ -]+ \d+ ?)+)\r?$", host.text[at:], re.M)}


def ping_line(text, peer):
    """(sent, lost, minimum ms) of `guest: ping` in a text."""
    match = re.search(rf"guest: ping {re.escape(peer)} (\d+) lost (\d+) rtt min/avg/max ([\d.]+)/", text)
    assert match, f"no ping result in {text!r}"
    return int(match[1]), int(match[2]), float(match[3])


def transfer_line(text, what, peer):
    """(bytes, checksum, verdict, MB/s) of `guest: get` or `guest: put`."""
    match = re.search(rf"guest: {what} {re.escape(peer)} (\d+) bytes sum (\w+) (\w+) ([\d.]+) MB/s", text)
    assert match, f"no transfer result in {text!r}"
    return int(match[1]), match[2], match[3], float(match[4])

