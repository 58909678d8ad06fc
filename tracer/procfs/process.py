"""/proc, read so that a process may vanish, its pid be reused, or nothing come, at any point.

Every function returns None (or leaves an entry out) for what is gone, is kept
from us or does not come; none raises for it.
"""

from __future__ import annotations

import errno
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from types import TracebackType
from typing import Self, TypeVar

from tracer.model.syscalls import syscall_name
from tracer.procfs.patience import NoAnswerError, ask
from tracer.procfs.status import ProcStatus, parse_cgroup, parse_timens_offset
from tracer.procfs.time_share import for_cgroup_paths

T = TypeVar("T")

_PATIENCE_S = 2.0
_RETRY_S = 0.01
_GONE = (FileNotFoundError, ProcessLookupError, NotADirectoryError)
_KEPT_FROM_US = (PermissionError,)
NEVER_WAITS = frozenset({"status", "timens_offsets"})
"""Files of a process for which the kernel takes none of its locks, and has little to do."""
_ONE_RECORD = frozenset({"stat", "status", "cgroup"})
"""Written by the kernel in one piece: a read that comes short was the last."""
_USUAL_SIZE = 1 << 12
_CHUNK_SIZE = 1 << 16
_32_BITS = 1 << 32
_MOST_COMMAND_BYTES = 8192
"""2048 characters of any kind, and more are shown nowhere; one argument may have 128 KiB."""


class ProcDirectory:
    """A process's directory in /proc, held open.

    The descriptor is bound to the process, not to its number: once the process
    is released reads fail, even where the pid has been reused by then.
    """

    _cgroup_share = for_cgroup_paths()

    def __init__(self, path: str) -> None:
        self._fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._is_dead = False

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
        """Read a file of the directory; None when it is gone, kept from us or does not come."""
        try:
            if self._is_dead and name == "cgroup":
                return self._read_cgroup_of_dead(limit)
            if self._is_dead or name in NEVER_WAITS:
                return self._read_now(name, limit)
            return ask(lambda: self._read_now(name, limit))
        except (*_GONE, *_KEPT_FROM_US):
            return None
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                # Its cgroup is deeper than a path may be long.
                return None
            raise

    def read_zombie(self) -> bytes | None:
        """Read ``status`` of a process whose main thread has ended; None of any other.

        Where no other thread is left either, none holds a lock of the process, nor
        ever will: from then on its files are read here and now, which takes a tenth of
        the time that asking another thread does.
        """
        status = self.read("status")
        if status is None or b"\nState:\tZ" not in status:
            return None
        self._is_dead = b"\nThreads:\t1\n" in status
        return status

    def _read_cgroup_of_dead(self, limit: int) -> bytes:
        """Read it here and now until deep ones have taken too long in all."""
        share = ProcDirectory._cgroup_share
        if share.is_spent:
            return ask(lambda: self._read_now("cgroup", limit))
        with share.reading():
            return self._read_now("cgroup", limit)

    def _read_now(self, name: str, limit: int) -> bytes:
        fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._fd)
        try:
            return _read_all(fd, limit, is_one_record=name in _ONE_RECORD)
        finally:
            os.close(fd)

    def link(self, name: str) -> str | None:
        """Read a symbolic link of the directory, the same way."""
        try:
            if self._is_dead:
                return os.readlink(name, dir_fd=self._fd)
            return ask(lambda: os.readlink(name, dir_fd=self._fd))
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
        stat = self.read("stat")
        status = self.read("status") if stat else None
        if not stat or not status:
            return None
        return ProcStatus.parse(stat, status, timens_offset_ns=timens_offset_ns())

    def pidns_inum(self) -> int | None:
        """Read the inode of the PID namespace it is in; works for zombies."""
        link = self.link("ns/pid")
        return namespace_inum(link) if link is not None else None

    def blocked_in(self) -> Blocked:
        """Read what its leader is blocked in; see :class:`Blocked`."""
        wchan = self.read("wchan")
        raw = self.read("syscall")
        number = parse_syscall_number(raw)
        name = None
        if raw is not None and number is not None:
            name = syscall_name(number, os.uname().machine, is_compat=_is_compat(raw))
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


def is_unreaped(pidfd: int) -> bool:
    """Whether the process of a pidfd exists, if only as a zombie or one we may not signal."""
    try:
        signal.pidfd_send_signal(pidfd, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def ask_while_there(pidfd: int, read: Callable[[], T | None]) -> T | None:
    """Read of a process until an answer comes; None once it is reaped.

    For what decides whether it is there at all: on a machine that is short of CPU time
    no answer may come within the patience that one read has.

    Args:
        pidfd: Of the process.
        read: Returns None where nothing came.

    Raises:
        NoAnswerError: It is there, and nothing has come for 2 s.
    """
    until_s = time.monotonic() + _PATIENCE_S
    while (answer := read()) is None:
        if not is_unreaped(pidfd):
            return None
        if time.monotonic() > until_s:
            raise NoAnswerError(f"/proc could not be read within {_PATIENCE_S:.0f} s")
        time.sleep(_RETRY_S)
    return answer


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


def read_status_now(pid: int) -> bytes | None:
    """Read ``status``, which never blocks, of the process that has a pid now."""
    try:
        fd = os.open(f"/proc/{pid}/status", os.O_RDONLY | os.O_CLOEXEC)
    except (*_GONE, *_KEPT_FROM_US):
        return None
    try:
        return _read_all(fd, 1 << 16, is_one_record=True)
    except (*_GONE, *_KEPT_FROM_US):
        return None
    finally:
        os.close(fd)


def read_pidns_inum(pid: int) -> int | None:
    """Read the inode of the PID namespace a process is in; works for zombies."""
    directory = open_process(pid)
    if directory is None:
        return None
    with directory:
        return directory.pidns_inum()


def read_cmdline(pid: int) -> tuple[str, ...] | None:
    """Read a process's arguments, the first 8 KiB; empty for zombies and kernel threads."""
    directory = open_process(pid)
    if directory is None:
        return None
    with directory:
        raw = directory.read("cmdline", _MOST_COMMAND_BYTES)
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


def _is_compat(raw: bytes) -> bool:
    # Stack and instruction pointer, the last two. The program file would show it too, but
    # is on a file system that may never answer: a process that waits for it cannot be killed.
    return all(int(word, 16) < _32_BITS for word in raw.split()[-2:])


@lru_cache(maxsize=1)
def timens_offset_ns() -> int:
    """Read what our time namespace adds to CLOCK_BOOTTIME; 0 on the host."""
    with ProcDirectory("/proc/self") as directory:
        return parse_timens_offset(directory.read("timens_offsets") or b"")


def monotonic_offset_ns() -> int:
    """Read what our time namespace adds to CLOCK_MONOTONIC; 0 on the host."""
    with ProcDirectory("/proc/self") as directory:
        raw = directory.read("timens_offsets") or b""
    return parse_timens_offset(raw, b"monotonic")


@lru_cache(maxsize=1024)
def namespace_inum(link: str) -> int:
    """Take the number out of ``pid:[4026531836]``."""
    return int(re.sub(r"\D", "", link))


def _read_all(fd: int, limit: int, *, is_one_record: bool = False) -> bytes:
    chunks = []
    left = limit
    size = _USUAL_SIZE if is_one_record else _CHUNK_SIZE
    while left > 0:
        size = min(left, size)
        chunk = os.read(fd, size)
        if chunk:
            chunks.append(chunk)
            left -= len(chunk)
        if not chunk or (is_one_record and len(chunk) < size):
            break
        size = _CHUNK_SIZE
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)
