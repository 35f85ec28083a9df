#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Runs the tests: one line each with its seconds, logs under BUILD/log, last line `N passed, N failed`.

A test's name begins with its kind: lint (tests/lint), unit and fuzz (built under BUILD), system (tests/system). `--only` selects by a
regular expression on names. A fuzz target runs FUZZ_SECONDS (60). System tests that share a boot run on one machine, one after the other.
"""
import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time
import traceback

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

JOBS = 2
UNIT_SECONDS = 120
LINT_SECONDS = 600
FUZZ_SLACK = 60  # beyond its running time: start, corpus, last input


class Results:
    def __init__(self, log):
        self.log, self.passed, self.failed, self.skipped = log, [], [], []

    def path(self, name):
        return self.log / (re.sub(r"[^\w.-]+", "-", name) + ".log")

    def add(self, name, why, seconds, output=None):
        """why: None if the test passed, otherwise what went wrong."""
        if output is not None:
            self.path(name).write_bytes(output)
        (self.failed if why else self.passed).append(name)
        print(f"{'FAIL' if why else 'ok':4} {seconds:7.1f} s  {name}", flush=True)
        if why:
            for line in why.strip().splitlines()[-12:]:
                print("              " + line)
            print(f"              log: {self.path(name)}", flush=True)

    def skip(self, name, why):
        self.skipped.append(name)
        print(f"skip           {name}: {why}", flush=True)

    def close(self):
        skipped = f", {len(self.skipped)} skipped" if self.skipped else ""
        print(f"{len(self.passed)} passed, {len(self.failed)} failed{skipped}")
        return 1 if self.failed or not self.passed else 0


class Program:
    """A test that is a program: passes with status 0 within its time."""

    def __init__(self, name, args, seconds, env=None, show=r"."):
        self.name, self.args, self.seconds, self.env, self.show = name, args, seconds, env, show

    def run(self):
        start = time.monotonic()
        try:
            done = subprocess.run(self.args, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  timeout=self.seconds, env=dict(os.environ, **(self.env or {})), check=False)
            output, why = done.stdout, f"status {done.returncode}" if done.returncode else None
        except subprocess.TimeoutExpired as error:
            output, why = error.stdout or b"", f"not done within {self.seconds} s"
        if why:
            lines = [line for line in output.decode(errors="replace").splitlines() if re.search(self.show, line)]
            why = "\n".join(lines[-10:] + [why])
        return why, time.monotonic() - start, output


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
        args = [str(path), f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1", "-verbosity=1",
                f"-artifact_prefix={results.log}/{name}-", str(corpus)]
        yield Program(f"fuzz {name}", args, seconds + FUZZ_SLACK, show=r"ERROR|SUMMARY|runtime error|Test unit written|#\d+ .*_fuzz\.c")


def run_programs(programs, results):
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        running = {pool.submit(program.run): program for program in programs}
        for future in concurrent.futures.as_completed(running):
            why, seconds, output = future.result()
            results.add(running[future].name, why, seconds, output)


def run_system(build, results, wanted):
    from tests.system import lib
    for boot, tests in lib.collect(build):
        tests = [test for test in tests if wanted(test.name)]
        if tests:
            run_boot(boot, tests, results)


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
        from tests.system import lib
        names = [p.name for p in quick + fuzz] + [t.name for _, tests in lib.collect(build) for t in tests if wanted(t.name)]
        print("\n".join(names))
        return 0
    shutil.rmtree(results.log, ignore_errors=True)
    results.log.mkdir(parents=True)
    run_programs(quick, results)
    run_programs(fuzz, results)
    run_system(build, results, wanted)
    return results.close()


if __name__ == "__main__":
    sys.exit(main())
