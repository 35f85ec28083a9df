# SPDX-License-Identifier: BSD-2-Clause
"""Runs the attack kit (tests/guest/attack) on a board and looks from outside what came of each attack: what the attacker says, what the log
records and whom it names, the pings that the bystanders lost meanwhile, and a checksum of all of the hypervisor that must not change: its
code, its constants and its page tables, in the machine's memory."""
import collections
import hashlib
import re

from tests.system import hostile, lib, memory, texts

CFG = "tests/guest/attack/attack.cfg"
FORGED = 0xee             # tests/guest/attack/dma.c
SECONDS = 240

# attack: of attack.c. guest: who makes it. verdict: what the attacker must say; STOPS: nothing, the hypervisor stops it for `why`.
# recorded: what the log must say between the attack's begin and that of the guest's next one (None: there is nothing to be said).
Row = collections.namedtuple("Row", "attack guest verdict recorded", defaults=(None,))
BLOCKED, TRIED, STOPS = "blocked", "tried", "stops"

STOPPED = r"\[{guest}\] (?:stops|is stopped): "  # where many end at once, the console loses what it has no room for
FAULT = r"IOMMU: .* of {guest}"
FORGED_FAULT = r"IOMMU: .*interrupt at .* of {guest}"
OF_THE_GUEST = [Row(name, "attacker", BLOCKED, recorded) for name, recorded in (
    ("instructions", None), ("control", None), ("cpuid", None), ("msr", r"\[{guest}\] write of MSR"), ("pv", None), ("hypercall", None),
    ("pci-bus", None), ("port", r"\[{guest}\] INS or OUTS"), ("mmio-fuzz", None), ("config-bytes", None), ("bar-ram", None),
    ("bar-interrupts", None), ("bar-bar", None), ("bar-fuzz", None), ("msix-widths", None),
    ("msix-message", r"\[{guest}\] interrupt message \S+ dropped"), ("dma-sweep", FAULT), ("rings", FAULT),
    ("flr-storm", None), ("flr-dma", None), ("mailbox", None), ("ap-odd", None), ("ipi-storm", None), ("x2apic-fuzz", None),
    ("msr-fuzz", r"\[{guest}\] (read|write) of MSR"))]
FORGING = Row("msi-forged", "attacker", TRIED, FORGED_FAULT)
OF_THEMSELVES = [Row(name, name, STOPS, STOPPED + why) for name, why in (
    ("triple", "triple fault"), ("garbage", "triple fault"), ("hole", r"reads 0x60000000, which is neither RAM nor a device"),
    ("jump", r"executes at 0x60000000,"), ("cr3", r"has a page table at 0x60000\w{3},"), ("idt-hole", r"delivers an event through 0x60000\w{3},"),
    ("stack-mmio", r"delivers an event through 0xfee00\w{3}"), ("triple-ipi", "triple fault"))]
OF_RESTARTS = Row("restart-dma", "restart-dma", STOPS, r"\[{guest}\] crashed \d+ times")
OF_THE_OPERATOR = Row("spin", "spin", STOPS, r"\[{guest}\] is stopped: by the operator")
ROWS = OF_THE_GUEST + [FORGING] + OF_THEMSELVES + [OF_RESTARTS, OF_THE_OPERATOR]
ORDERS = {OF_THE_OPERATOR: "stop spin"}  # what the operator types against an attack

Result = collections.namedtuple("Result", "row said recorded lost memory")


def boot_options(build, board_name, rows=ROWS):
    """For lib.boot(): the kit's own configuration, the guest of dma.py, images that must not start, and QEMU's record of the interrupts that
    reach a processor and of the addresses that AMD's IOMMU gives and refuses. Of the kit's guests only those that `rows` need."""
    text = configuration(rows).replace("vfs  = 4", "vfs  = 5") + hostile.section("dma")
    for name in hostile.BROKEN:
        text += f"\n[guest {name}]\nkernel = hello-{name}.elf\nmemory = 16M\n"
    events = ("apic_deliver_irq", "amdvi_translation_result", "amdvi_page_fault")
    extra = [arg for event in events for arg in ("-trace", event)] + ["-D", str(trace(build, f"attack-{board_name}"))]
    return {"cfg": text, "files": hostile.broken_images(build, f"attack-{board_name}"), "extra": extra, "ready": lambda host: run(host, rows)}


def configuration(rows):
    """The kit's, with the bystanders and those who make the attacks of `rows`, and no other."""
    head, *sections = re.split(r"(?m)^(?=\[guest )", (lib.ROOT / CFG).read_text())
    who = {"ping", "echo"} | {row.guest for row in rows}
    text = head + "".join(section for section in sections if re.match(r"\[guest (\S+)\]", section)[1] in who)
    if len(rows) == len(ROWS):
        return text
    return text.replace("vcpus=4 after=8000", "vcpus=4 after=8000 run=" + ",".join(row.attack for row in rows if row.guest == "attacker"))


def rows_named(names):
    """names: of attacks, with commas; None: all."""
    rows = [row for row in ROWS if names is None or row.attack in names.split(",")]
    unknown = set(names.split(",") if names else []) - {row.attack for row in rows}
    if unknown:
        raise ValueError(f"{', '.join(sorted(unknown))}: no such attack; there are {', '.join(row.attack for row in ROWS)}")
    return rows


# What the I/O domain tries: it has no functions of its own to reset, no mailbox, one processor.
NOT_OF_THE_PF = ("msix-message", "flr-storm", "flr-dma", "mailbox", "ap-odd", "ipi-storm")
OF_THE_IODOM = [row._replace(guest="iodomain") for row in OF_THE_GUEST + [FORGING] if row.attack not in NOT_OF_THE_PF]


def iodom_options(build):
    """For lib.boot(): the kit under the name of the I/O domain, and the two that send each other frames."""
    text = (lib.ROOT / CFG).read_text().split("[guest attacker]")[0].replace("cmdline = ", "cmdline = mailbox=0 ")
    events = ["-trace", "apic_deliver_irq", "-D", str(trace(build, "attack-iodom"))]
    return {"cfg": text, "files": [f"iodom.elf={build}/guest/attack.elf"], "extra": events, "ready": lambda host: run(host, OF_THE_IODOM)}


def trace(build, boot_name):
    return build / f"log/{boot_name}.trace"


class Speech:
    """What one guest has said, in one piece: the console may cut a line of a slow guest in two. at(): where in the console's text."""

    def __init__(self, guest, text):
        self.text, self.places = "", []
        for match in re.finditer(rf"^\({re.escape(guest)}\) ([^\n]*)\n", text, re.M):
            self.places.append((len(self.text), match.end()))
            self.text += match[1]

    def at(self, offset):
        return max(place for start, place in self.places if start <= offset)

    def find(self, pattern):
        """(match, where in the console's text) of the first, or None."""
        match = re.search(pattern, self.text)
        return match and (match, self.at(match.end() - 1))


def answer(text, row):
    """(what became of an attack, where in the text it began and ended), or None as long as it has not ended."""
    speech = Speech(row.guest, text)
    begins = speech.find(rf"attack {row.attack}: begins at \d+ ms")
    if not begins:
        return None
    said = speech.find(rf"attack {row.attack}: (blocked|tried|PASSED: .*?)(?=attack[ :]|$)")
    if said:
        return said[0][1], begins[1], said[1]
    over = row.verdict == STOPS and re.search(texts.of(texts.STOPPED, row.guest), text)
    if over:
        return STOPS if re.search(texts.of(row.recorded, row.guest), text) else f"stops, but: {over['why']}", begins[1], over.end()
    return None


def begin_times(text, guest):
    """{attack: when it began, in milliseconds of the hypervisor's clock} of one guest; of one that came again, the first time."""
    found = re.findall(r"attack ([\w-]+): begins at (\d+) ms", Speech(guest, text).text)
    return {name: int(ms) for name, ms in reversed(found)}


def log_times(text, pattern):
    """When the log said that, in the same milliseconds."""
    return [int(m[1]) * 1000 + int(m[2]) for m in re.finditer(r"^\[ *(\d+)\.(\d{3})\d{3}\] ([^\n]*)\n", text, re.M) if re.search(pattern, m[3])]


def is_silent(text, guest):
    """Its VM is gone, and all that it said has been printed: the console takes a line of each guest in turn."""
    stopped = re.search(texts.of(texts.STOPPED, guest), text)
    return bool(stopped) and text.count("\n(ping) ", max(stopped.end(), text.rfind(f"\n({guest}) "))) > 2


def given_up(text, row):
    """The same for an attack that will not end any more: its VM is gone, or the time is over."""
    stopped = re.search(texts.of(texts.STOPS, row.guest), text)
    return f"its VM was stopped: {stopped['why']}" if stopped else "no end", len(text), len(text)


def reports(text):
    """[(where in the console's text, pings, lost, words of memory changed)] of the bystander that asks."""
    speech = Speech("ping", text)
    return [(speech.at(m.end() - 1), *(int(m[i]) for i in (1, 2, 3)))
            for m in re.finditer(r"bystander: (\d+) pings, (\d+) lost, (\d+) words of memory changed", speech.text)]


class Kit:
    """One run: results() has a line for each row once run() has returned."""

    def __init__(self, host, rows):
        self.host, self.rows, self.ended, self.sums = host, list(rows), {}, {}
        self.orders = {row: ORDERS[row] for row in rows if row in ORDERS}

    def still(self):
        """The ranges of memory that must not change."""
        host = self.host
        top = next(end for first, end, kind, _ in memory.regions(host) if kind == "ram" and first == 1 << 20)
        with memory.Picture(host, host.file("kit.bin"), top) as picture:
            things = memory.hypervisor(host, picture, host.build / "hv.elf")
        assert things, "the hypervisor is not found in the machine's memory"
        return memory.merge(place for thing in things if thing.still == memory.STILL for place in thing.ranges)

    def checksum(self):
        path, digest = self.host.file("kit.bin"), hashlib.sha256()
        for start, end in self.ranges:
            self.host.qmp("pmemsave", val=start, size=end - start, filename=str(path))
            digest.update(path.read_bytes())
        path.unlink()
        return digest.hexdigest()

    def operate(self):
        """When all other attacks have ended: a console with the focus is the only one that is seen."""
        if not self.orders or len(self.ended) + len(self.orders) < len(self.rows):
            return
        self.host.focus("lastmile")
        for row in list(self.orders):
            self.host.send(self.orders.pop(row) + "\r")
        self.host.focus(texts.HYPERVISOR)

    def run(self):
        host = self.host
        host.line(r"bystander: \d+ pings", 120, fail=texts.PANIC)  # every function has its owner: nothing is mapped any more
        self.ranges = self.still()
        self.before = self.checksum()
        while len(self.ended) < len(self.rows):
            over = host.left(1) < 0.5
            self.operate()
            for row in self.rows:
                gone = over or row.verdict != STOPS and is_silent(host.text, row.guest)
                ended = row.attack not in self.ended and (answer(host.text, row) or gone and given_up(host.text, row))
                if ended:
                    self.ended[row.attack], self.sums[row.attack] = ended, self.checksum()
            assert host.pump(0.5), f"the machine has ended: {host.epitaph()}"
            host.never(texts.PANIC, start=0)
        host.begin(200)
        host.line(r"bystander: \d+ pings", 90, start=len(host.text))
        host.line(r"bystander: \d+ pings", 90)
        return self

    def recorded(self, row):
        """By the log's clock: what guests say is printed some time after the log."""
        if row.recorded is None:
            return None
        began = begin_times(self.host.text, row.guest)
        if row.attack not in began:
            return False
        over = min((ms for ms in began.values() if ms > began[row.attack]), default=float("inf"))
        return any(began[row.attack] <= ms < over for ms in log_times(self.host.text, texts.of(row.recorded, row.guest)))

    def results(self):
        seen = reports(self.host.text)
        for row in self.rows:
            said, begin, end = self.ended[row.attack]
            first = [report for report in seen if report[0] <= begin][-1:] or seen[:1]
            last = [report for report in seen if report[0] >= end][:1] or seen[-1:]
            yield Result(row, said, self.recorded(row), last[0][2] - first[0][2], self.sums[row.attack] == self.before)

    def forged(self, boot_name):
        """How many of the forged interrupts reached a processor."""
        text = trace(self.host.build, boot_name).read_text(errors="replace")
        return len(re.findall(rf"apic_deliver_irq .* vector {FORGED} ", text))


def run(host, rows=ROWS):
    """The `ready` of a boot: the kit runs to its end; what came of it is in host.kit."""
    host.begin(SECONDS)
    host.line(texts.NIC_UP, 120, fail=texts.PANIC)
    host.kit = Kit(host, rows).run()
