#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Runs the tests: one line each with its seconds, logs under BUILD/log, last line `N passed, N failed`.

A test's name begins with its kind: lint (tests/lint), unit and fuzz (built under BUILD), system (tests/system). `--only` selects by a
regular expression on names. System tests that share a boot run on one machine, one after the other; boots whose tests no busy host can disturb
(lib.boot(beside=True)) run beside each other, the others alone. A fuzz target gets FUZZ_SECONDS (60) of a processor's time, as far as possible that
which the machines leave.
"""
import argparse
import concurrent.futures
import contextlib
import math
import os
import pathlib
import re
import shutil
import subprocess
import sys
import threading
import time
import traceback

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

JOBS = 2
UNIT_SECONDS = 120
LINT_SECONDS = 600
FUZZ_PIECE = 5  # seconds at least that a fuzz target is started for
LOWEST = ("sh", "-c", 'nice -n 19 "$@"; exit $?', "sh")  # a child of its own: the most memory that a process had is counted from its fork on
FUZZ_SHOWN = r"ERROR|SUMMARY|runtime error|Test unit written|#\d+ .*_fuzz\.c"


class Results:
    def __init__(self, log):
        self.log, self.passed, self.failed, self.skipped = log, [], [], []
        self.lock = threading.Lock()

    def path(self, name):
        return self.log / (re.sub(r"[^\w.-]+", "-", name) + ".log")

    def add(self, name, why, seconds, output=None):
        """why: None if the test passed, otherwise what went wrong."""
        if output is not None:
            self.path(name).write_bytes(output)
        lines = [f"{'FAIL' if why else 'ok':4} {seconds:7.1f} s  {name}"]
        if why:
            lines += ["              " + line for line in [*why.strip().splitlines()[-12:], f"log: {self.path(name)}"]]
        with self.lock:
            (self.failed if why else self.passed).append(name)
            print("\n".join(lines), flush=True)

    def skip(self, name, why):
        self.skipped.append(name)
        print(f"skip           {name}: {why}", flush=True)

    def close(self):
        skipped = f", {len(self.skipped)} skipped" if self.skipped else ""
        print(f"{len(self.passed)} passed, {len(self.failed)} failed{skipped}")
        return 1 if self.failed or not self.passed else 0


def complaint(output, show, why):
    """The last lines of an output that match, and why."""
    lines = [line for line in output.decode(errors="replace").splitlines() if re.search(show, line)]
    return "\n".join(lines[-10:] + [why])


class Program:
    """A test that is a program: passes with status 0 within its time."""

    def __init__(self, name, args, seconds, env=None, show=r"."):
        self.name, self.args, self.seconds, self.env, self.show = name, args, seconds, env, show

    def run(self, results):
        start = time.monotonic()
        try:
            done = subprocess.run(self.args, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  timeout=self.seconds, env=dict(os.environ, **(self.env or {})), check=False)
            output, why = done.stdout, f"status {done.returncode}" if done.returncode else None
        except subprocess.TimeoutExpired as error:
            output, why = error.stdout or b"", f"not done within {self.seconds} s"
        if why:
            why = complaint(output, self.show, why)
        results.add(self.name, why, time.monotonic() - start, output)


class Fuzz:
    """A fuzz target: it has the lowest priority, and is started until it has had its seconds of a processor."""

    def __init__(self, name, args, seconds):
        self.name, self.args, self.seconds = name, args, seconds

    def run(self, results):
        start, had, status = time.monotonic(), 0.0, 0
        with open(results.path(self.name), "wb") as log:
            while had < self.seconds and not status:
                left = max(FUZZ_PIECE, math.ceil(self.seconds - had))
                process = subprocess.Popen([*LOWEST, *self.args, f"-max_total_time={left}"], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log,
                                           stderr=subprocess.STDOUT)
                _, status, used = os.wait4(process.pid, 0)
                process.returncode = os.waitstatus_to_exitcode(status)
                had += used.ru_utime + used.ru_stime
        why = complaint(results.path(self.name).read_bytes(), FUZZ_SHOWN, f"status {process.returncode}") if status else None
        results.add(self.name, why, time.monotonic() - start)


class Machine:
    """A boot and the tests that run on it."""

    def __init__(self, boot, tests):
        self.boot, self.tests, self.beside = boot, tests, boot.beside

    def run(self, results):
        run_boot(self.boot, self.tests, results)


def lint_tests(build):
    env = {"BUILD": str(build)}
    for path in sorted((ROOT / "tests/lint").glob("*")):
        if os.access(path, os.X_OK) and path.is_file():
            yield Program(f"lint {path.stem}", [str(path)], LINT_SECONDS, env)


def unit_tests(build):
    for path in sorted((build / "unit").rglob("*_test")):
        name = str(path.relative_to(build / "unit"))[:-len("_test")]
        if (ROOT / f"tests/unit/{name}_test.c").exists():
            yield Program(f"unit {name}", [str(path)], UNIT_SECONDS, show=r"FAIL|^    |ERROR|runtime error|SUMMARY")


def fuzz_tests(build, results):
    seconds = int(os.environ.get("FUZZ_SECONDS") or 60)
    for path in sorted((build / "fuzz").glob("*_fuzz")):
        name = path.name[:-len("_fuzz")]
        if not (ROOT / f"tests/fuzz/{name}_fuzz.c").exists():
            continue
        corpus, seeds = build / "fuzz/corpus" / name, ROOT / "tests/fuzz/corpus" / name
        corpus.mkdir(parents=True, exist_ok=True)
        if seeds.is_dir():
            shutil.copytree(seeds, corpus, dirs_exist_ok=True)
        args = [str(path), "-timeout=30", "-rss_limit_mb=2048", "-print_final_stats=1", "-verbosity=1",
                f"-artifact_prefix={results.log}/{name}-", str(corpus)]
        yield Fuzz(f"fuzz {name}", args, seconds)


def machines(build, wanted):
    from tests.system import lib
    for boot, tests in lib.collect(build):
        tests = [test for test in tests if wanted(test.name)]
        if tests:
            yield Machine(boot, tests)


@contextlib.contextmanager
def beside(runs, results):
    """JOBS of them at a time, while the block runs; all have ended when it has been left."""
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        futures = [pool.submit(one.run, results) for one in runs]
        yield
        for future in concurrent.futures.as_completed(futures):
            future.result()


def run_beside(runs, results):
    with beside(runs, results):
        pass


def run_boot(boot, tests, results):
    """Boots once, runs the tests on it; a boot that fails fails them all."""
    start = time.monotonic()
    try:
        host = boot.start(results.path(f"boot {boot.name}"))
    except Exception as error:  # whatever goes wrong is this boot's result
        for test in tests:
            results.add(test.name, f"boot {boot.name}: {error}", time.monotonic() - start, traceback.format_exc().encode())
        return
    with host:
        print(f"     {time.monotonic() - start:7.1f} s  (boot {boot.name})", flush=True)
        for test in tests:
            start, why, text = time.monotonic(), None, b""
            host.begin(test.limit)
            try:
                test.function(host)
            except Exception as error:
                why = str(error) if isinstance(error, AssertionError) or type(error).__name__ == "BoardError" else repr(error)
                why, text = why or "assertion failed: see the log", traceback.format_exc().encode()
            results.add(test.name, why, time.monotonic() - start, text + b"\n" + host.spoken().encode(errors="replace"))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path("build"))
    parser.add_argument("--only", default="", help="regular expression on the tests' names")
    parser.add_argument("--list", action="store_true", help="print the names and stop")
    args = parser.parse_args()
    build = (ROOT / args.build).resolve()
    pattern = re.compile(args.only)
    results = Results(build / "log")

    def wanted(name):
        return bool(pattern.search(name))

    quick = [p for p in [*lint_tests(build), *unit_tests(build)] if wanted(p.name)]
    fuzz = [p for p in fuzz_tests(build, results) if wanted(p.name)]
    if args.list:
        names = [p.name for p in quick + fuzz] + [t.name for one in machines(build, wanted) for t in one.tests]
        print("\n".join(names))
        return 0
    shutil.rmtree(results.log, ignore_errors=True)
    results.log.mkdir(parents=True)
    booted = list(machines(build, wanted))
    run_beside(quick, results)
    with beside(fuzz, results):
        run_beside([one for one in booted if one.beside], results)
        for one in booted:
            if not one.beside:
                one.run(results)
    return results.close()


if __name__ == "__main__":
    sys.exit(main())
