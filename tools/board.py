# SPDX-License-Identifier: BSD-2-Clause
"""The boards: the emulator and its settings for each (README.md, "Boards"), and a running machine whose console a program can drive.

Environment: QEMU and BOCHS (programs), OVMF (QEMU: firmware code file, the variable store is looked for beside it; Bochs: the whole
firmware), SMP, MEM, NETDEV (a -netdev value), QEMU_ARGS (appended as they are).
"""
import contextlib
import ctypes
import fcntl
import json
import os
import pathlib
import re
import selectors
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time

# (model, processors); neither has an IOMMU, ECAM or a NIC. On `vmx` a guest that spins with interrupts off keeps its processor (CAVEATS.md).
BOCHS_MODELS = {"vmx": ("corei7_skylake_x", 2), "ryzen": ("ryzen", 1)}
BOARDS = ("amd", "vtd", *BOCHS_MODELS)
CPU = "EPYC,+x2apic,+umip,+vgif,+svme-addr-chk"
PR_SET_PDEATHSIG = 1
NIC_SLOT = 5  # not 3 or 4: a VF's requester id would be the I/O APIC's (CAVEATS.md)
FIRMWARE = (
    "/usr/share/OVMF/OVMF_CODE_4M.fd",
    "/usr/share/OVMF/OVMF_CODE.fd",
)
WHOLE_FIRMWARE = "/usr/share/ovmf/OVMF.fd"  # of at most 2 MiB: what Bochs 2.7 takes
BOCHS_MIPS = 300  # what its clocks take for the speed: the hypervisor wants a TSC of 250 MHz at least
RESETS = "resets"  # QEMU's log of them, in the scratch folder, unless `extra` has another
SOFT_OFF = "ACPI control: soft power off"
IDLE_WORDS = r"TCG doesn't support requested feature|QEMU waiting for connection|^\d+[ie]\[|^=+$|Bochs is exiting|ALSA lib"  # whatever happens


class BoardError(Exception):
    """The board cannot be built or did not do what was waited for; the text is for the user."""


def qemu_program():
    program = os.environ.get("QEMU") or "qemu-system-x86_64"
    if not shutil.which(program):
        raise BoardError(f"{program}: not found; install qemu-system-x86 or set QEMU")
    return program


def qemu_version(program):
    text = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    match = re.search(r"version (\d+)\.(\d+)", text)
    if not match:
        raise BoardError(f"{program}: gives no version")
    return int(match[1]), int(match[2])


def firmware():
    """(code, variables) of OVMF."""
    for code in [os.environ["OVMF"]] if os.environ.get("OVMF") else FIRMWARE:
        variables = code.replace("CODE", "VARS").replace(".secboot", "")
        if os.path.exists(code) and os.path.exists(variables):
            return code, variables
    raise BoardError("OVMF: no OVMF_CODE file with its OVMF_VARS beside it; install ovmf or set OVMF")


def iommu_device(board, version):
    if board == "vtd":
        return "intel-iommu,intremap=on,eim=on"
    # DMA is not translated unless asked for; the property's name changed with QEMU 11.
    return "amd-iommu,intremap=on,xtsup=on," + ("dma-remap=on" if version >= (11, 0) else "pt=off")


def netdev():
    value = os.environ.get("NETDEV") or "user"
    return value if "id=n0" in value.split(",") else value + ",id=n0"


def check(board):
    if board not in BOARDS:
        raise BoardError(f"BOARD: {board}: accepted are {', '.join(BOARDS)}")


def image_files(board, build):
    """NAME=PATH pairs that the board's disk image needs beyond what its configuration names: OVMF in Bochs makes no ACPI tables."""
    check(board)
    if board not in BOCHS_MODELS:
        return ()
    return (f"BOOTX64.EFI={build}/pre/piix4.efi", f"lastmile.efi={build}/BOOTX64.EFI")


def bochs_command(board, scratch, port, *, disk=None, **others):
    """Bochs' argument list; its settings become a file in `scratch`. port: where its serial port connects to on this machine."""
    program = os.environ.get("BOCHS") or "bochs"
    if not shutil.which(program):
        raise BoardError(f"{program}: not found; install bochs or set BOCHS")
    firmware_file = os.environ.get("OVMF") or WHOLE_FIRMWARE
    if not os.path.exists(firmware_file):
        raise BoardError(f"{firmware_file}: no such firmware; install ovmf or set OVMF")
    if not disk or any(others.values()):
        raise BoardError(f"board {board}: boots a disk image and nothing else")
    mem = re.fullmatch(r"(\d+)([MG])", os.environ.get("MEM") or "1G")
    if not mem:
        raise BoardError(f"MEM: {os.environ['MEM']}: accepted is a number with M or G")
    mib = int(mem[1]) << (10 if mem[2] == "G" else 0)
    model, processors = BOCHS_MODELS[board]
    settings = pathlib.Path(scratch) / "bochsrc"
    settings.write_text(f"""\
cpu: model={model}, count={os.environ.get("SMP") or processors}, ips={BOCHS_MIPS}000000, reset_on_triple_fault=0
memory: guest={mib}, host={mib}
romimage: file={firmware_file}
vgaromimage: file=/usr/share/vgabios/vgabios.stdvga.bin
vga: extension=vbe
display_library: rfb, options="timeout=0"
pci: enabled=1, chipset=i440fx
com1: enabled=1, mode=socket-client, dev=localhost:{port}
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=disk, path={disk}, mode=volatile, journal={scratch}/changes
boot: disk
clock: sync=none, time0=utc
sound: waveoutdrv=dummy
plugin_ctrl: speaker=0, parallel=0, gameport=0
log: {scratch}/log
panic: action=fatal
error: action=ignore
info: action=ignore
""")
    args = [program, "-q", "-f", str(settings)]
    # One that is built with its debugger (Debian's is) waits for a command before it starts.
    if "-rc" in subprocess.run([program, "--help"], capture_output=True, text=True, check=False).stderr:
        start = pathlib.Path(scratch) / "start"
        start.write_text("c\n")
        args += ["-rc", str(start)]
    return args


def command(board, scratch, serial, *, disk=None, linux=None, iommu=True, nic=True, qmp=None, extra=()):
    """QEMU's argument list. serial: a -chardev value without its id. disk: image to boot under OVMF. linux: (kernel, initrd or None,
    command line) to boot directly. scratch: a folder for the writable firmware variables."""
    program = qemu_program()
    args = [program, "-machine", "q35", "-cpu", CPU, "-smp", os.environ.get("SMP") or "4", "-m", os.environ.get("MEM") or "2G",
            "-nodefaults", "-display", "none", "-no-reboot", "-d", "cpu_reset", "-D", f"{scratch}/{RESETS}"]
    if iommu:
        args += ["-device", iommu_device(board, qemu_version(program))]
    if nic:
        args += ["-netdev", netdev(), "-device", f"igb,netdev=n0,bus=pcie.0,addr={NIC_SLOT:#x}"]
    args += ["-chardev", f"{serial},id=com1", "-serial", "chardev:com1"]
    if qmp:
        args += ["-qmp", f"unix:{qmp},server=on,wait=off"]
    if disk:
        code, variables = firmware()
        own = pathlib.Path(scratch) / "OVMF_VARS.fd"
        shutil.copyfile(variables, own)
        args += ["-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={code}",
                 "-drive", f"if=pflash,unit=1,format=raw,file={own}",
                 "-drive", f"format=raw,snapshot=on,file={disk}"]
    if linux:
        kernel, initrd, cmdline = linux
        args += ["-kernel", str(kernel), "-append", cmdline] + (["-initrd", str(initrd)] if initrd else [])
        # Linux places VF BARs above 4 GiB where it can, and QEMU does not decode them there (CAVEATS.md).
        args += ["-global", "q35-pcihost.pci-hole64-size=0", "-global", "q35-pcihost.x-pci-hole64-fix=off"]
    return args + list(extra) + shlex.split(os.environ.get("QEMU_ARGS") or "")


def end_with_parent():
    """In the child: no machine outlives the program that drives it, however that one ends (prctl(2))."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Socket:
    """A serial port that is a socket."""

    def __init__(self, connected):
        connected.settimeout(None)
        self.socket, self.fileno, self.close, self.send = connected, connected.fileno, connected.close, connected.sendall

    def receive(self):
        """What has come, b"" once the machine is gone. Only after fileno() was ready."""
        try:
            return self.socket.recv(65536)
        except OSError:
            return b""


class Pipes:
    """A serial port that is two named pipes, path.in and path.out. One byte that waits in a pipe takes one byte, in a socket a thousand
    times that: a machine whose reader was kept off its processor for a while finds its port full, and firmware loses what it says then."""

    ROOM = 1 << 20

    def __init__(self, path):
        self.input, self.output = f"{path}.in", f"{path}.out"
        os.mkfifo(self.input)
        os.mkfifo(self.output)
        self.reader, self.writer = os.open(self.output, os.O_RDONLY | os.O_NONBLOCK), None
        fcntl.fcntl(self.reader, fcntl.F_SETPIPE_SZ, self.ROOM)

    def opened(self):
        """Whether the machine has opened its ends; until then there is no writing."""
        with contextlib.suppress(OSError):
            self.writer = os.open(self.input, os.O_WRONLY | os.O_NONBLOCK)
            os.set_blocking(self.writer, True)
        return self.writer is not None

    def fileno(self):
        return self.reader

    def receive(self):
        try:
            return os.read(self.reader, 65536)
        except BlockingIOError:
            return b""

    def send(self, data):
        with contextlib.suppress(BrokenPipeError):
            os.write(self.writer, data)

    def close(self):
        os.close(self.reader)
        if self.writer is not None:
            os.close(self.writer)


class Machine:
    """A running board. Everything that came over its serial port is in .text; wait() is how to get on."""

    def __init__(self, board="amd", *, log=None, **options):
        self.scratch = tempfile.mkdtemp(prefix="lastmile-")
        self.text = self.raw = ""
        self.seen = 0  # where the next wait() begins
        self.log = open(log, "wb") if log else None
        self.process = self.port = None
        try:
            check(board)
            (self.start_bochs if board in BOCHS_MODELS else self.start_qemu)(board, options)
        except BaseException:
            self.close()
            raise

    def execute(self, args):
        with open(f"{self.scratch}/stderr", "wb") as errors:
            self.process = subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors,
                                            start_new_session=True, preexec_fn=end_with_parent)

    def start_qemu(self, board, options):
        path = f"{self.scratch}/com1"
        self.port = Pipes(path)
        self.execute(command(board, self.scratch, f"pipe,path={path}", qmp=f"{self.scratch}/qmp", **options))
        end = time.monotonic() + 20
        while not self.port.opened():
            if self.process.poll() is not None:
                raise BoardError("QEMU: " + self.epitaph())
            if time.monotonic() > end:
                raise BoardError("QEMU: does not open its serial port")
            time.sleep(0.02)

    def start_bochs(self, board, options):
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.execute(bochs_command(board, self.scratch, server.getsockname()[1], **options))
            server.settimeout(1)
            for _ in range(20):
                try:
                    self.port = Socket(server.accept()[0])
                    return
                except TimeoutError:
                    if self.process.poll() is not None:
                        break
        raise BoardError("Bochs: does not connect its serial port: " + self.epitaph())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.port:
            self.port.close()
        if self.log:
            self.log.close()
        shutil.rmtree(self.scratch, ignore_errors=True)

    def epitaph(self):
        """How the emulator ended and with what words; and whether a triple fault of the machine was the reason."""
        try:
            status = self.process.wait(10)
        except subprocess.TimeoutExpired:
            return "it closed the serial port and still runs"
        lines = [f"signal {signal.Signals(-status).name}" if status < 0 else f"status {status}"]
        lines += [line for line in self.scratch_text("stderr").splitlines() if not re.search(IDLE_WORDS, line)][-10:]
        if "Triple fault" in self.scratch_text(RESETS):
            lines.append("the machine has had a triple fault")
        return ", ".join(lines)

    def scratch_text(self, name):
        path = pathlib.Path(self.scratch) / name
        return path.read_text(errors="replace") if path.exists() else ""

    def pump(self, seconds):
        """Takes in what the machine says within that time, returning as soon as anything came. False once the machine is gone."""
        with selectors.DefaultSelector() as selector:
            selector.register(self.port, selectors.EVENT_READ)
            if not selector.select(seconds):
                return True
        data = self.port.receive()
        if self.log:
            self.log.write(data)
            self.log.flush()
        self.raw += data.decode("utf-8", "replace")
        # Terminal sequences (of the firmware's console, of a shell's line editor) go; one that is cut off waits for its rest.
        whole = re.sub(r"\x1b\[[0-9;?=]*[A-Za-z]|\r", "", self.raw)
        cut = whole.rfind("\x1b") if "\x1b" in whole[-16:] else len(whole)
        self.text, self.raw = self.text + whole[:cut], whole[cut:]
        return bool(data)

    def wait(self, pattern, seconds, *, start=None, fail=None):
        """Waits for a regular expression in what comes after the last match (or after `start`). Returns the match. `fail`: an
        expression that ends the wait at once."""
        self.seen = self.seen if start is None else start
        end, alive = time.monotonic() + seconds, True
        while True:
            match = re.compile(pattern, re.M).search(self.text, self.seen)
            if match:
                self.seen = match.end()
                return match
            if fail and (bad := re.compile(fail, re.M).search(self.text, self.seen)):
                raise BoardError(f"waiting for /{pattern}/: the console says {bad[0]!r}")
            left = end - time.monotonic()
            if not alive or left <= 0:
                why = f"the machine has ended ({self.epitaph()})" if not alive else f"not within {seconds} s"
                tail = "\n".join(self.text.splitlines()[-8:])
                raise BoardError(f"/{pattern}/: {why}; the console's last lines:\n{tail}")
            alive = self.pump(min(left, 1.0))

    def status(self):
        """Its exit status once it has ended; 0 for Bochs' way of powering a machine off."""
        status = self.process.wait(10)
        return 0 if SOFT_OFF in self.scratch_text("stderr") else status

    def ended(self, seconds):
        """Waits for the machine to go away by itself; its exit status."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if not self.pump(0.5):
                return self.status()
        raise BoardError(f"the machine still runs after {seconds} s")

    def send(self, text):
        """Keys. In small pieces with the output taken in between: an emulated FIFO holds 16 bytes and nothing throttles us."""
        for i in range(0, len(text), 8):
            self.port.send(text[i:i + 8].encode())
            self.pump(0.02)

    def qmp(self, execute, **arguments):
        """One QMP command; its return value."""
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(120)  # pmemsave of all memory takes its time
            control.connect(f"{self.scratch}/qmp")
            stream = control.makefile("rw")
            stream.readline()
            for name, args in (("qmp_capabilities", {}), (execute, arguments)):
                stream.write(json.dumps({"execute": name, "arguments": args}) + "\n")
                stream.flush()
                answer = json.loads(stream.readline())
                while "event" in answer:
                    answer = json.loads(stream.readline())
            if "error" in answer:
                raise BoardError(f"QMP {execute}: {answer['error']['desc']}")
            return answer["return"]
