#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Boots a board with the operator's console on the terminal. Every key goes to Lastmile; Ctrl-] ends the machine."""
import argparse
import contextlib
import os
import pathlib
import selectors
import subprocess
import sys
import termios
import tty

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))
import board  # noqa: E402

QUIT = 0x1D  # Ctrl-]


def relay(machine):
    """Terminal <-> serial port until the machine ends or the operator has had enough. True: the operator did."""
    keys, port = sys.stdin.fileno(), machine.port
    with selectors.DefaultSelector() as selector:
        selector.register(port, selectors.EVENT_READ)
        with contextlib.suppress(PermissionError):  # a file or /dev/null: no operator
            selector.register(keys, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is port:
                    data = port.receive()
                    if not data:
                        return False
                    os.write(sys.stdout.fileno(), data)
                    continue
                data = os.read(keys, 64)
                if not data:  # no operator any more: go on without
                    selector.unregister(keys)
                elif QUIT in data:
                    return True
                else:
                    port.send(data)


def operate(machine):
    if not sys.stdin.isatty():
        return relay(machine)
    saved = termios.tcgetattr(sys.stdin)
    tty.setraw(sys.stdin)
    try:
        return relay(machine)
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, saved)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--board", default="amd")
    parser.add_argument("--cfg", required=True)
    parser.add_argument("--build", default="build")
    args = parser.parse_args()
    image = f"{args.build}/run.img"
    try:
        command = [str(ROOT / "tools/mkimage.py"), "--cfg", args.cfg, "--out", image, "--build", args.build]
        for item in board.image_files(args.board, args.build):
            command += ["--file", item]
        made = subprocess.run(command, check=False)
        if made.returncode:
            return made.returncode
        with board.Machine(args.board, disk=image) as machine:
            print(f"run: board {args.board}; Ctrl-] ends the machine, Ctrl-A three times moves the console on", flush=True)
            if operate(machine):
                print("\nrun: ended by the operator")
                return 0
            status = machine.status()
            if status:
                print(f"\nrun: {machine.epitaph()}", file=sys.stderr)
            return status
    except board.BoardError as error:
        print(f"run: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
