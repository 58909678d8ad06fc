"""What a run changes on the machine, and how all of that is undone."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmark.errors import BenchError

_PID_MAX = Path("/proc/sys/kernel/pid_max")
_BPF_STATS = Path("/proc/sys/kernel/bpf_stats_enabled")
_EMPTY_WITHIN_S = 20.0
_ROOM_BYTES = 4 << 30
_PREFIX = "zomtrace-bench-"


class Cgroup:
    """A cgroup (v2) for one tool or one workload.

    Args:
        path: Its directory.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()

    def pids(self) -> list[int]:
        """The processes in it."""
        return [int(word) for word in (self.path / "cgroup.procs").read_text().split()]

    def cpu_s(self) -> float:
        """Processor time of all that is or was in it, user and system; seconds.

        Source: ``cpu.stat``, which needs no controller.
        """
        text = (self.path / "cpu.stat").read_text()
        return int(text.split("usage_usec ", 1)[1].split(maxsplit=1)[0]) / 1e6

    def close(self) -> None:
        """End what is in it, and remove it."""
        _remove(self.path)


def _remove(path: Path) -> None:
    for child in path.iterdir():
        if child.is_dir():
            _remove(child)
    (path / "cgroup.kill").write_text("1")
    deadline = time.monotonic() + _EMPTY_WITHIN_S
    while True:
        try:
            path.rmdir()
        except OSError:
            # What was killed takes a moment to go.
            if time.monotonic() > deadline:
                raise
            time.sleep(0.005)
        else:
            return


def cgroup_root() -> Path:
    """Where cgroup v2 is mounted.

    Raises:
        BenchError: It is not.
    """
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        if right.startswith("cgroup2 "):
            return Path(left.split()[4])
    raise BenchError(
        "cgroup v2 is not mounted: the tools' processor time is read from it",
        hint="mount -t cgroup2 none /sys/fs/cgroup/unified",
    )


def _roomy() -> str:
    """Where output goes: into memory if there is room, so that no disk has a say."""
    memory = "/dev/shm"
    try:
        state = os.statvfs(memory)
    except OSError:
        return "/var/tmp"
    roomy = state.f_bavail * state.f_frsize > _ROOM_BYTES
    return memory if roomy and not state.f_flag & os.ST_NOEXEC else "/var/tmp"


def mount_trace_events() -> None:
    """Mount tracefs and debugfs where peers look for them.

    scripts/bench has given us a mount namespace of our own: it ends with us.
    """
    for kind, where, probe in (
        ("tracefs", "/sys/kernel/tracing", "events"),
        ("debugfs", "/sys/kernel/debug", "tracing/events"),
    ):
        if not Path(where, probe).is_dir():
            subprocess.run(
                ["mount", "-t", kind, kind, where],
                check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip


class Place:
    """A directory and cgroups of a run's own, and settings of the host.

    A second process keeps watch: when this one is gone, however it ended, that
    one ends all that was started, removes the cgroups and the directory, and
    puts the host's settings back.
    """

    def __init__(self) -> None:
        self._cgroups = cgroup_root() / f"{_PREFIX}{os.getpid()}"
        self.directory = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=_roomy()))
        self._cgroups.mkdir()
        self._numbers = 0
        self._stats_before = "0"
        self._settings: list[str] = []
        reading, self._told = os.pipe()
        self._guard = os.fork()
        if self._guard == 0:
            os.close(self._told)
            _guard(reading, self._cgroups, self.directory)
        os.close(reading)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        os.close(self._told)
        _, status = os.waitpid(self._guard, 0)
        if status != 0:
            # It was killed, or could not: then it is for us, and we can complain.
            _undo(self._settings, self._cgroups, self.directory)

    def cgroup(self, name: str) -> Cgroup:
        """Make a cgroup."""
        self._numbers += 1
        return Cgroup(self._cgroups / f"{self._numbers}-{name}")

    def file(self, name: str) -> Path:
        """Name a file nobody else has."""
        self._numbers += 1
        return self.directory / f"{self._numbers}-{name}"

    def make_room_for(self, processes: int) -> None:
        """Raise pid_max for the rest of the run if so many more need it."""
        present = int(_PID_MAX.read_text())
        in_use = sum(1 for entry in os.scandir("/proc") if entry.name.isdigit())
        # Threads have pids as well; the kernel keeps the lowest 300 for itself.
        wanted = processes + 4 * in_use + 1000
        if wanted > present:
            self._change(_PID_MAX, str(wanted))

    def count_programs(self) -> None:
        """Have the kernel time BPF programs, for the rest of the run."""
        self._stats_before = _BPF_STATS.read_text()
        self._change(_BPF_STATS, "1")

    def stop_counting_programs(self) -> None:
        """Timing costs time: only while it is wanted."""
        _BPF_STATS.write_text(self._stats_before)

    def _change(self, setting: Path, value: str) -> None:
        line = f"{setting} {setting.read_text().strip()}"
        self._settings.append(line)
        os.write(self._told, f"{line}\n".encode())
        setting.write_text(value)


def _guard(reading: int, cgroups: Path, directory: Path) -> None:
    """Wait until the run is over, and undo what it did. Does not return."""
    os.setsid()
    for signo in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(signo, signal.SIG_IGN)
    told = b""
    while chunk := os.read(reading, 4096):
        told += chunk
    try:
        _undo(told.decode().splitlines(), cgroups, directory)
    except OSError:
        os._exit(1)
    os._exit(0)


def _undo(settings: Sequence[str], cgroups: Path, directory: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        _remove(cgroups)
    shutil.rmtree(directory, ignore_errors=True)
    # Last: while 30,000 zombies are there, the old pid_max does not hold them.
    for line in reversed(settings):
        setting, _, value = line.partition(" ")
        Path(setting).write_text(value)
