#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Every header stands alone: each is compiled by itself, by gcc and by clang, with the flags of its image."""
import concurrent.futures
import subprocess

import lib


def check(compiler, flags, header):
    done = subprocess.run([compiler, *flags, "-fsyntax-only", "-x", "c", "-include", str(header), "/dev/null"], cwd=lib.ROOT, capture_output=True,
                          text=True, check=False)
    return None if done.returncode == 0 else f"{lib.name(header)}: {compiler}: {(done.stderr.splitlines() or ['?'])[0]}"


def main():
    drop = {"-MMD", "-MP", "-g"}
    hv = [flag for flag in lib.make_variable("HV_CFLAGS") if flag not in drop]
    guest = [flag for flag in lib.make_variable("GUEST_CFLAGS") if flag not in drop]
    jobs = [(compiler, hv, header) for header in lib.files(lib.TCB, ".h") for compiler in ("gcc", "clang")]
    jobs += [("gcc", hv, lib.ROOT / "boot/bootinfo.h"), ("clang", hv, lib.ROOT / "boot/bootinfo.h")]
    jobs += [(compiler, guest, header) for header in lib.files(("tests/guest/lib",), ".h") for compiler in ("gcc", "clang")]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        lib.finish([why for why in pool.map(lambda job: check(*job), jobs) if why])


main()
