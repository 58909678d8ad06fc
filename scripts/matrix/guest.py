"""One guest: boot a kernel, run one command in it, take what it said."""

from __future__ import annotations

import fcntl
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from matrix.cache import cache_home
from matrix.debian import ENVIRONMENT
from matrix.errors import GuestError, UsageError
from matrix.initrd import job_archive
from matrix.kernelimage import BootableKernel
from matrix.programs import keep_program, kept_programs

GUESTS_AT_ONCE = 2
_BOOT_ALLOWANCE_S = 60.0
"""What a boot and a shutdown may take beside the command, on a loaded host."""
_POLL_S = 0.05
_SLOT_POLL_S = 0.2
_CONSOLE_TAIL = 15


@dataclass(frozen=True, slots=True)
class Machine:
    """What hardware and what boot a guest gets.

    Args:
        cpus: With more than one, QEMU runs them in turns in one thread: QEMU
            7.2's own threads panic guests at random.
        memory_mib: Main memory.
        cmdline: What is added to the kernel's command line.
        cgroup_v1: Mount the version 1 controllers instead of version 2.
    """

    cpus: int = 1
    memory_mib: int = 1024
    cmdline: str = ""
    cgroup_v1: bool = False


@dataclass(frozen=True, slots=True)
class Disks:
    """The images every guest of a run shares."""

    root: Path
    python: Path
    checkout: Path


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a guest's command ended.

    Args:
        status: Its exit status.
        seconds: Wall time from QEMU's start to its end.
        command_seconds: The command's own time, by the guest's clock.
        release: uname -r in the guest.
        results: The lines it wrote to $ZOMTRACE_GUEST_RESULTS.
    """

    status: int
    seconds: float
    command_seconds: float
    release: str
    results: tuple[str, ...]
    stdout: bytes = field(repr=False, default=b"")
    stderr: bytes = field(repr=False, default=b"")


Sink = Callable[[str, bytes], None]
"""Takes what a running command writes: ("stdout" or "stderr", the bytes)."""


def _acceleration() -> list[str]:
    # /dev/kvm can exist and not work, so nothing is concluded from it.
    chosen = os.environ.get("ZOMTRACE_QEMU_ACCEL") or "tcg"
    if chosen == "kvm":
        return ["-accel", "kvm", "-cpu", "host"]
    if chosen == "tcg":
        # Emulated by QEMU 7.2, cmpxchg16b hands guests garbage flags now and then,
        # and AVX2 has numpy's argsort() return wrong orders and read stray memory.
        return ["-cpu", "max,-cx16,-avx2"]
    raise UsageError(f"ZOMTRACE_QEMU_ACCEL is {chosen!r}; it can be tcg or kvm")


def _command(
    kernel: BootableKernel, machine: Machine, disks: Disks, work: Path, cmdline: str
) -> list[str]:
    thread = "multi" if machine.cpus == 1 else "single"
    command = ["setpriv", "--pdeathsig", "KILL", "nice", "-n", "10", "qemu-system-x86_64"]
    command += ["-M", "q35", *_acceleration()]
    if "-accel" not in command:
        command += ["-accel", f"tcg,thread={thread},tb-size=512"]
    command += ["-smp", str(machine.cpus), "-m", f"{machine.memory_mib}M"]
    command += ["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]
    command += ["-kernel", str(kernel.vmlinuz), "-initrd", str(work / "initrd")]
    command += ["-append", cmdline]
    for name, image, access in (
        ("root", disks.root, "snapshot=on"),
        ("python", disks.python, "readonly=on"),
        ("checkout", disks.checkout, "readonly=on"),
    ):
        command += ["-drive", f"if=none,id={name},file={image},format=raw,{access}"]
        command += ["-device", f"virtio-blk-pci,drive={name}"]
    command += ["-serial", f"file:{work / 'console'}"]
    command += ["-device", "virtio-serial-pci"]
    for port in ("stdout", "stderr", "report"):
        command += ["-chardev", f"file,id={port},path={work / port}"]
        command += ["-device", f"virtserialport,chardev={port},name={port}"]
    return command


def _cmdline(machine: Machine, *extra: str) -> str:
    words = ["console=ttyS0", "quiet", "panic=-1", machine.cmdline, *extra]
    if machine.cgroup_v1:
        words.append("zomtrace.cgroup=v1")
    return " ".join(word for word in words if word)


def job_script(command: Sequence[str], timeout_s: float) -> str:
    """Write the script a guest runs.

    The command's own time limit is kept inside the guest, so that a command
    that hangs is told from a guest that does.
    """
    return f"#!/bin/sh\ncd /zomtrace\nexec timeout -k 10 {timeout_s:.0f} {shlex.join(command)}\n"


class InterruptedRunError(Exception):
    """The run was told to stop."""


class Guests:
    """Starts guests, and ends them all when told to."""

    def __init__(self, disks: Disks) -> None:
        self._disks = disks
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def stop(self) -> None:
        """End every running guest and start no more."""
        with self._lock:
            self._stopped = True
            for process in self._running:
                process.kill()

    @contextmanager
    def _slot(self) -> Iterator[None]:
        """Wait for one of the machine's places for a guest, whoever has the others."""
        home = cache_home()
        home.mkdir(parents=True, exist_ok=True)
        while not self._stopped:
            for number in range(GUESTS_AT_ONCE):
                handle = (home / f"guest-slot-{number}.lock").open("w")
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    handle.close()
                    continue
                with handle:
                    yield
                return
            time.sleep(_SLOT_POLL_S)
        raise InterruptedRunError

    def _start(
        self, command: list[str], *, stdin: int | None = None, stdout: int | None = None
    ) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._stopped:
                raise InterruptedRunError
            process = subprocess.Popen(
                command, env=ENVIRONMENT, stdin=stdin, stdout=stdout, stderr=stdout
            )
            self._running.add(process)
            return process

    def run(
        self,
        kernel: BootableKernel,
        command: Sequence[str],
        *,
        machine: Machine,
        timeout_s: float,
        sink: Sink,
    ) -> Outcome:
        """Boot a kernel, run a command in it as root, power off.

        Raises:
            GuestError: The guest did not say how the command ended.
        """
        with self._slot(), tempfile.TemporaryDirectory(prefix="zomtrace-guest-") as name:
            work = Path(name)
            script = job_script(command, timeout_s)
            (work / "initrd").write_bytes(
                kernel.initrd.read_bytes() + job_archive(script, kept_programs())
            )
            for port in ("stdout", "stderr", "report", "console"):
                (work / port).touch()
            begin = time.monotonic()
            with (work / "qemu").open("wb") as said:
                process = self._start(
                    _command(kernel, machine, self._disks, work, _cmdline(machine)),
                    stdin=subprocess.DEVNULL,
                    stdout=said.fileno(),
                )
            try:
                taken = self._follow(process, work, begin + timeout_s + _BOOT_ALLOWANCE_S, sink)
            finally:
                process.kill()
                process.wait()
                with self._lock:
                    self._running.discard(process)
            if self._stopped:
                raise InterruptedRunError
            return _outcome(work, kernel, time.monotonic() - begin, taken)

    def _follow(
        self, process: subprocess.Popen[bytes], work: Path, deadline: float, sink: Sink
    ) -> dict[str, bytes]:
        """Hand on what the command writes until the guest ends."""
        taken = {"stdout": b"", "stderr": b""}
        with (work / "stdout").open("rb") as out, (work / "stderr").open("rb") as err:
            while True:
                ended = process.poll() is not None
                for stream, handle in (("stdout", out), ("stderr", err)):
                    data = handle.read()
                    if data:
                        taken[stream] += data
                        sink(stream, data)
                if ended or time.monotonic() > deadline:
                    return taken
                time.sleep(_POLL_S)

    def shell(self, kernel: BootableKernel, machine: Machine) -> int:
        """Put the caller's terminal into a guest; return the shell's status."""
        size = os.get_terminal_size(sys.stdin.fileno())
        script = (
            "#!/bin/sh\ncd /zomtrace\n"
            f"stty rows {size.lines} cols {size.columns}\n"
            f"export TERM={shlex.quote(os.environ.get('TERM', 'linux'))}\n"
            "echo \"zomtrace: $(uname -r); the checkout's copy is here; 'exit' powers off\"\n"
            "exec bash\n"
        )
        with self._slot(), tempfile.TemporaryDirectory(prefix="zomtrace-guest-") as name:
            work = Path(name)
            (work / "initrd").write_bytes(kernel.initrd.read_bytes() + job_archive(script))
            command = _command(
                kernel, machine, self._disks, work, _cmdline(machine, "zomtrace.shell")
            )
            command += ["-chardev", "stdio,id=terminal,signal=off", "-serial", "chardev:terminal"]
            # Ctrl-C is the guest's to see.
            previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
            try:
                process = self._start(command)
                process.wait()
            finally:
                signal.signal(signal.SIGINT, previous)
            return _outcome(work, kernel, 0.0, {}).status


def _outcome(
    work: Path, kernel: BootableKernel, seconds: float, taken: dict[str, bytes]
) -> Outcome:
    status: int | None = None
    command_seconds = 0.0
    release = kernel.release
    results: list[str] = []
    for line in (work / "report").read_text(encoding="utf-8", errors="replace").splitlines():
        word, _, rest = line.partition(" ")
        if word == "release":
            release = rest
        elif word == "uptime":
            begin, end = rest.split()
            command_seconds = float(end) - float(begin)
        elif word == "result":
            results.append(rest)
        elif word == "programs":
            keep_program(rest)
        elif word == "exit" and rest.isdecimal():
            status = int(rest)
    if status is None:
        said = []
        for log in ("qemu", "console"):
            path = work / log
            if path.is_file():
                text = path.read_text(encoding="utf-8", errors="replace").strip()
                said += text.splitlines()[-_CONSOLE_TAIL:]
        raise GuestError(
            f"the guest with {kernel.release} ended after {seconds:.0f} s without saying how "
            "its command ended; its console says:\n    " + "\n    ".join(said or ["nothing"])
        )
    return Outcome(
        status,
        seconds,
        command_seconds,
        release,
        tuple(results),
        taken.get("stdout", b""),
        taken.get("stderr", b""),
    )
