# SPDX-License-Identifier: BSD-2-Clause
"""The attack kit on each board (kit.py): every attack is blocked, recorded where there is something to record it, its guest is named, and
nobody else notices."""
from tests.system import hostile, kit, lib, texts

BOARDS = ("amd", "vtd")
# What an emulator does not do (CAVEATS.md): records of blocked DMA, and of whose a forged interrupt was.
UNRECORDED = {"amd": (kit.FAULT, kit.FORGED_FAULT), "vtd": (kit.FORGED_FAULT,)}
# ... and blocking of interrupts in compatibility format.
FORGED_PASS = ("vtd",)


def wrong(results, why):
    """The names of rows for which why() says what is wrong."""
    found = [f"{result.row.attack}: {reason}" for result in results if (reason := why(result))]
    assert not found, "; ".join(found)


def kit_tests(board, on, who):
    """What holds whoever attacks."""

    @lib.test(f"system attack {board}: whatever a hostile {who} does is blocked, or it is stopped", on=on, limit=60)
    def blocked(host):
        wrong(host.kit.results(), lambda r: r.said != r.row.verdict and f"{r.said}, not {r.row.verdict}")

    @lib.test(f"system attack {board}: the log names the {who} wherever there is something to record", on=on, limit=60)
    def recorded(host):
        wrong(host.kit.results(), lambda r: r.recorded is False and r.row.recorded not in UNRECORDED[board] and "not in the log")

    @lib.test(f"system attack {board}: guests beside a hostile {who} lose no ping and no word of their memory", on=on, limit=60)
    def bystanders(host):
        seen = kit.reports(host.text)
        assert seen[-1][1] > 100 and seen[-1][2:] == (0, 0), seen[-1]
        for text in (texts.of(kit.STOPPED, "ping"), texts.of(kit.STOPPED, "echo"), texts.PANIC):
            host.never(text, start=0)

    @lib.test(f"system attack {board}: the hypervisor's code, constants and page tables have not changed by a hostile {who}", on=on, limit=60)
    def memory(host):
        wrong(host.kit.results(), lambda r: not r.memory and "its checksum has changed")

    @lib.test(f"system attack {board}: interrupts forged by the DMA of a hostile {who} reach no processor, but for the emulator's defect",
              on=on, limit=60)
    def forged(host):
        passed = host.kit.forged(on)
        assert bool(passed) == (board in FORGED_PASS), f"{passed} have passed"


@lib.test("system attack amd: guests with a damaged image are not started", on="attack-amd", limit=60)
def broken(host):
    for guest, (_, why) in hostile.BROKEN.items():
        said = lib.find(texts.of(texts.NOT_STARTED, guest), host.text)["why"]
        assert why in said, f"{guest}: {said}"


for name in BOARDS:
    lib.boot(f"attack-{name}", name, beside=True)(lambda build, name=name: kit.boot_options(build, name))
    kit_tests(name, f"attack-{name}", "guest")
lib.boot("attack-iodom", "amd", beside=True)(lambda build: kit.iodom_options(build))
kit_tests("amd", "attack-iodom", "I/O domain")
