# SPDX-License-Identifier: BSD-2-Clause
"""Boots on which tests/boot/bend.c starts Lastmile over and over from one session of the firmware, each time with something else bent."""
import re

from tests.system import lib, texts

LOST = r"X64 Exception|bend: (?:done|cannot)|" + texts.PANIC


def options(build, name, cfg, cases, configurations=None):
    """For lib.boot(). cases: {title: lines of bend.txt}; configurations: {file: bytes} that they name."""
    lib.make("bend", build)
    folder = build / "system"
    folder.mkdir(parents=True, exist_ok=True)
    plan = folder / f"{name}-bend.txt"
    plan.write_text("".join(f"case {title}\n" + "".join(line + "\n" for line in lines) for title, lines in cases.items()))
    files = [f"BOOTX64.EFI={build}/pre/bend.efi", f"lastmile.efi={build}/BOOTX64.EFI", f"bend.txt={plan}"]
    for file, content in (configurations or {}).items():
        (folder / file).write_bytes(content)
        files.append(f"{file}={folder / file}")
    return {"cfg": cfg, "files": tuple(files)}


def begin(host, title):
    """Where the console's text of a case begins."""
    return host.line("bend: case " + re.escape(title) + r"\r?$", 120, start=0, fail=LOST).end()


def refused(host, title, refusal):
    """The case ends with an error and one line, which matches; all that was said."""
    start = begin(host, title)
    end = host.line(r"bend: it returned (?P<status>\w+)", 60, start=start, fail=texts.LEAVES_FIRMWARE + "|" + LOST)
    said = host.text[start:end.start()]
    assert int(end["status"], 16) >> 63, f"status {end['status']} is no error"
    lines = re.findall(r"^lastmile: (?!warning)[^\n]*", said, re.M)
    assert len(lines) == 1 and re.search(refusal, lines[0]), said
    return said
