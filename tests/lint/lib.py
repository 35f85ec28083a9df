# SPDX-License-Identifier: BSD-2-Clause
"""For the lints: the project's files, and how a lint ends."""
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("BUILD") or ROOT / "build")
TCB = ("kernel", "iommu", "vm")
SOURCES = ("boot", *TCB, "drivers", "tests", "tools", "linker")


def files(folders, *suffixes):
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and path.suffix in suffixes and "__pycache__" not in path.parts:
                yield path


def name(path):
    return str(path.relative_to(ROOT))


def code(text):
    """C without comments and strings, line numbers kept."""
    def blank(match):
        return re.sub(r"[^\n]", " ", match[0])
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"', blank, text, flags=re.S)


def make_variable(variable):
    """A variable of the root Makefile."""
    text = "include Makefile\nlint-print:\n\t@printf '%s\\n' '$(" + variable + ")'\n"
    done = subprocess.run(["make", "-s", "--no-print-directory", "-f", "-", "lint-print", f"BUILD={BUILD}"], cwd=ROOT, input=text,
                          capture_output=True, text=True, check=True)
    return done.stdout.split()


def finish(findings):
    for finding in findings:
        print(finding)
    print(f"{len(findings)} findings")
    sys.exit(1 if findings else 0)
