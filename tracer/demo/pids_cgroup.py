"""A pids cgroup of one's own: a limit a demonstration may run into."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from tracer.errors import TargetNotFoundError, UnavailableError
from tracer.procfs.cgroup import V2, resolve_cgroup

_V1_TOP = "/sys/fs/cgroup/pids"
_TOP = "/sys/fs/cgroup"
_REMOVE_WITHIN_S = 3.0


class PidsCgroup:
    """A cgroup with a limit on the number of processes; removed when closed.

    Args:
        limit: Its pids.max.

    Raises:
        UnavailableError: No pids controller can be used here.

    Source:
        pids.max, pids.current and pids.events of cgroup v1 or v2.
    """

    def __init__(self, limit: int) -> None:
        self._switched_on: Path | None = None
        top = self._find_top()
        self.path = top / f"zomtrace-demo-{os.getpid()}"
        try:
            self.path.mkdir()
            (self.path / "pids.max").write_text(str(limit))
        except OSError as error:
            self.close()
            raise UnavailableError(
                f"{self.path}: cannot make a pids cgroup: {error.strerror}",
                hint="it needs root and a writable cgroup file system",
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def add(self, host_pid: int) -> None:
        """Put a process in; its later children are in it too."""
        (self.path / "cgroup.procs").write_text(str(host_pid))

    def current(self) -> int:
        """How many tasks are in it; zombies count."""
        return int((self.path / "pids.current").read_text())

    def refusals(self) -> int | None:
        """How many forks the limit has refused; None where the kernel does not count."""
        try:
            lines = (self.path / "pids.events").read_text().splitlines()
        except FileNotFoundError:
            return None
        return next((int(line[4:]) for line in lines if line.startswith("max ")), None)

    def close(self) -> None:
        """Remove it, once its last task is gone."""
        deadline = time.monotonic() + _REMOVE_WITHIN_S
        while self.path.is_dir():
            try:
                self.path.rmdir()
            except OSError as error:
                # A released task leaves its cgroup a moment later.
                if error.errno != errno.EBUSY or time.monotonic() > deadline:
                    raise UnavailableError(
                        f"{self.path}: cannot remove it: {error.strerror}",
                        hint="remove it with rmdir once no process is in it",
                    ) from error
                time.sleep(0.01)
        if self._switched_on is not None:
            self._switched_on.write_text("-pids")
            self._switched_on = None

    def _find_top(self) -> Path:
        try:
            found = resolve_cgroup(_V1_TOP)
            if found.hierarchy == "pids":
                return Path(found.path)
        except TargetNotFoundError:
            pass
        try:
            found = resolve_cgroup(_TOP)
        except TargetNotFoundError as error:
            raise UnavailableError("no cgroup file system at /sys/fs/cgroup") from error
        top = Path(found.path)
        if found.hierarchy != V2 or "pids" not in _words(top / "cgroup.controllers"):
            raise UnavailableError("this kernel has no pids controller")
        switch = top / "cgroup.subtree_control"
        if "pids" not in _words(switch):
            try:
                switch.write_text("+pids")
            except OSError as error:
                raise UnavailableError(
                    f"{switch}: the pids controller cannot be enabled: {error.strerror}"
                ) from error
            self._switched_on = switch
        return top


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except FileNotFoundError:
        return []
