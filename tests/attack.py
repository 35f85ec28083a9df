#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Runs the attack kit on a board and prints what came of each attack: whether it was blocked, whether the log recorded it and named the guest,
the pings that two guests beside it lost meanwhile, and whether a checksum of the hypervisor's code, constants and page tables stayed."""
import argparse
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]
import board as boards  # noqa: E402
from tests.system import attack, kit, lib  # noqa: E402

LINE = "{:<14} {:<12} {:<9} {:<10} {:<8} {:<5} {}"


def line(result, board, forged):
    """(as it must be, the line of the table)."""
    row, recorded = result.row, {None: "-", True: "yes", False: "NO"}[result.recorded]
    if result.recorded is False and row.recorded in attack.UNRECORDED[board]:
        recorded = "emulator"
    verdict = {kit.STOPS: "stopped", kit.TRIED: "PASSED" if forged else "blocked"}.get(result.said, result.said)
    good = result.said == row.verdict
    return good, LINE.format(row.attack, row.guest, verdict.split(":")[0], recorded, row.guest if recorded == "yes" else "-", result.lost,
                             "unchanged" if result.memory else "CHANGED") + ("" if good else f"  {result.said}")


def rows_named(names):
    try:
        return kit.rows_named(names or None)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--board", default="amd", choices=attack.BOARDS)
    parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path("build"))
    parser.add_argument("--rows", type=rows_named, default=kit.ROWS, help="names of attacks, with commas: no others")
    args = parser.parse_args()
    build = (ROOT / args.build).resolve()
    (build / "log").mkdir(exist_ok=True)
    chosen = lib.Boot(f"attack-{args.board}", args.board, lambda build: kit.boot_options(build, args.board, args.rows), False)
    chosen.build = build
    try:
        with chosen.start(build / f"log/attack-{args.board}.log") as host:
            results, (_, pings, lost, words) = list(host.kit.results()), kit.reports(host.text)[-1]
            forged = host.kit.forged(f"attack-{args.board}")
    except (AssertionError, boards.BoardError) as error:
        print(f"attack: {error}", file=sys.stderr)
        return 1
    lines = [line(result, args.board, forged) for result in results]
    print(LINE.format("attack", "by", "verdict", "recorded", "culprit", "lost", "hypervisor"))
    print("\n".join(text for _, text in lines))
    known = " (the emulator's defect: CAVEATS.md)" if forged and args.board in attack.FORGED_PASS else ""
    print(f"board {args.board}: {len(lines)} attacks; {pings} pings of the guests beside them, {lost} lost, {words} words of their memory changed; "
          f"{forged} forged interrupts reached a processor{known}")
    return 0 if all(good for good, _ in lines) and all(r.memory for r in results) and lost == words == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
