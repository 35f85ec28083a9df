#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The text of the sources: an SPDX line first, no conditional compilation in .c files, functions of 60 lines at most but for those that
tests/lint/long-functions lists, which is checked for entries that are no longer needed; in the hypervisor, only the conversions that its
printf knows (kernel/lib/string.h)."""
import re

import lib

LIMIT = 60
CONVERSION = re.compile(r"%(?:[0#]*\d*(?:l|ll|z)?[dux]|(?:\.\*)?s|%)")
LICENSE = "SPDX-License-Identifier: BSD-2-Clause"


def functions(text):
    """(name, line, lines) of each function of a C file in the project's style: its braces stand in column 0."""
    lines, start = lib.code(text).splitlines(), None
    for number, line in enumerate(lines, 1):
        if line == "{":
            start = number
        elif line.startswith("}") and start:
            head = " ".join(lines[max(0, start - 4):start - 1])
            named = re.findall(r"(\w+)\s*\(", head)
            yield (named[0] if named else "?"), start, number - start + 1
            start = None


def conversions(text):
    """Line numbers of the strings of a C file, assembly apart, that have a conversion which the hypervisor's printf does not know."""
    text = re.sub(r"/\*.*?\*/|__asm__.*?;\n", lambda match: re.sub(r"[^\n]", " ", match[0]), text, flags=re.S)
    for match in re.finditer(r'"(?:\\.|[^"\\\n])*"', text):
        if "%" in CONVERSION.sub("", match[0]):
            yield text.count("\n", 0, match.start()) + 1


def main():
    findings, allowed, used = [], set(), set()
    for line in (lib.ROOT / "tests/lint/long-functions").read_text().splitlines():
        if line and not line.startswith("#"):
            allowed.add(tuple(line.split()[:2]))
    for path in lib.files(lib.SOURCES, ".c", ".h", ".S", ".py", ".sh"):
        if LICENSE not in "\n".join(path.read_text().splitlines()[:3]):
            findings.append(f"{lib.name(path)}:1: no SPDX line")
    for path in lib.files(("boot", *lib.TCB, "drivers", "tests/guest"), ".c"):
        text, name = path.read_text(), lib.name(path)
        for number, line in enumerate(lib.code(text).splitlines(), 1):
            if re.match(r"\s*#\s*(if|ifdef|ifndef|elif)\b", line):
                findings.append(f"{name}:{number}: conditional compilation")
        if name.startswith(tuple(f"{folder}/" for folder in lib.TCB)):
            findings += [f"{name}:{line}: a conversion that the hypervisor's printf does not know" for line in conversions(text)]
        for function, line, length in functions(text):
            if length > LIMIT and (name, function) not in allowed:
                findings.append(f"{name}:{line}: {function} has {length} lines")
            if length > LIMIT:
                used.add((name, function))
    findings += [f"tests/lint/long-functions: {' '.join(entry)} is not long any more" for entry in sorted(allowed - used)]
    lib.finish(findings)


main()
