"""/proc, read so that a process may vanish, or its pid be reused, at any point.

Every function returns None (or leaves an entry out) for what is gone or is kept
from us; none raises for it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from types import TracebackType
from typing import Self

from tracer.model.proc_status import ProcStatus, parse_cgroup, parse_timens_offset
from tracer.wire.syscalls import syscall_name

_GONE = (FileNotFoundError, ProcessLookupError, NotADirectoryError)
_KEPT_FROM_US = (PermissionError,)
_ELFCLASS32 = 1


class ProcDirectory:
    """A process's directory in /proc, held open.

    The descriptor is bound to the process, not to its number: once the process
    is released reads fail, even where the pid is somebody else's by then.
    """

    def __init__(self, path: str) -> None:
        self._fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        os.close(self._fd)

    def read(self, name: str, limit: int = 1 << 20) -> bytes | None:
        """Read a file of the directory; None when it is gone or kept from us."""
        try:
            fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._fd)
        except (*_GONE, *_KEPT_FROM_US):
            return None
        try:
            return _read_all(fd, limit)
        except (*_GONE, *_KEPT_FROM_US):
            return None
        finally:
            os.close(fd)

    def link(self, name: str) -> str | None:
        """Read a symbolic link of the directory, the same way."""
        try:
            return os.readlink(name, dir_fd=self._fd)
        except (*_GONE, *_KEPT_FROM_US):
            return None

    def tids(self) -> list[int]:
        """List its threads."""
        try:
            fd = os.open("task", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self._fd)
        except _GONE:
            return []
        try:
            with os.scandir(fd) as entries:
                return sorted(int(entry.name) for entry in entries)
        except _GONE:
            return []
        finally:
            os.close(fd)

    def status(self) -> ProcStatus | None:
        """Read stat and status."""
        stat, status = self.read("stat"), self.read("status")
        if not stat or not status:
            return None
        return ProcStatus.parse(stat, status, timens_offset_ns=timens_offset_ns())

    def pidns_inum(self) -> int | None:
        """Read the inode of the PID namespace it is in; works for zombies."""
        return _namespace_inum(self.link("ns/pid"))

    def blocked_in(self) -> Blocked:
        """Read what its leader is blocked in; see :class:`Blocked`."""
        wchan = self.read("wchan")
        number = parse_syscall_number(self.read("syscall"))
        name = None
        if number is not None:
            header = self.read("exe", 5)
            is_compat = header is not None and header[4:5] == bytes([_ELFCLASS32])
            name = syscall_name(number, os.uname().machine, is_compat=is_compat)
        text = wchan.decode("ascii", "backslashreplace").strip() if wchan else ""
        return Blocked(syscall=name, wchan=None if text in ("", "0") else text)


@dataclass(frozen=True, slots=True)
class Blocked:
    """Where a thread sleeps in the kernel.

    Args:
        syscall: The system call it is in; None when it runs, is in none, or we
            may not look.
        wchan: The kernel function it sleeps in; None likewise.

    Source:
        /proc/PID/syscall, /proc/PID/wchan.
    """

    syscall: str | None
    wchan: str | None


def list_pids() -> list[int]:
    """List the processes there are."""
    with os.scandir("/proc") as entries:
        return sorted(int(entry.name) for entry in entries if entry.name.isdecimal())


def iter_directories() -> Iterator[tuple[int, ProcDirectory]]:
    """Open one process's directory after the other; those that vanish are left out."""
    for pid in list_pids():
        directory = open_process(pid)
        if directory is not None:
            with directory:
                yield pid, directory


def open_process(pid: int) -> ProcDirectory | None:
    """Open a process's directory; None when there is no such process."""
    with suppress(*_GONE):
        return ProcDirectory(f"/proc/{pid}")
    return None


def open_thread(pid: int, tid: int) -> ProcDirectory | None:
    """Open the directory of one thread."""
    with suppress(*_GONE):
        return ProcDirectory(f"/proc/{pid}/task/{tid}")
    return None


def read_status(pid: int) -> ProcStatus | None:
    """Read stat and status of a process."""
    directory = open_process(pid)
    if directory is None:
        return None
    with directory:
        return directory.status()


def read_pidns_inum(pid: int) -> int | None:
    """Read the inode of the PID namespace a process is in; works for zombies."""
    directory = open_process(pid)
    if directory is None:
        return None
    with directory:
        return directory.pidns_inum()


def read_cmdline(pid: int) -> tuple[str, ...] | None:
    """Read a process's arguments; empty for zombies and kernel threads."""
    directory = open_process(pid)
    if directory is None:
        return None
    with directory:
        raw = directory.read("cmdline")
    if raw is None:
        return None
    words = raw.split(b"\0")
    if words[-1] == b"":
        words.pop()
    return tuple(word.decode("utf-8", "backslashreplace") for word in words)


def read_cgroups(pid: int) -> dict[str, str] | None:
    """Read the cgroup a process is in: controller -> path, ``""`` for v2."""
    directory = open_process(pid)
    if directory is None:
        return None
    with directory:
        raw = directory.read("cgroup")
    return None if raw is None else parse_cgroup(raw)


def parse_syscall_number(raw: bytes | None) -> int | None:
    """Read ``/proc/PID/syscall``; None for ``running``, or when in no system call."""
    if not raw:
        return None
    number = raw.split(None, 1)[0]
    if not number.isdigit():
        return None
    return int(number)


@lru_cache(maxsize=1)
def timens_offset_ns() -> int:
    """Read what our time namespace adds to CLOCK_BOOTTIME; 0 on the host."""
    with ProcDirectory("/proc/self") as directory:
        return parse_timens_offset(directory.read("timens_offsets") or b"")


def _namespace_inum(link: str | None) -> int | None:
    match = re.fullmatch(r"\w+:\[(\d+)\]", link or "")
    return int(match[1]) if match else None


def _read_all(fd: int, limit: int) -> bytes:
    chunks = []
    left = limit
    while left > 0:
        chunk = os.read(fd, min(left, 1 << 16))
        if not chunk:
            break
        chunks.append(chunk)
        left -= len(chunk)
    return b"".join(chunks)
