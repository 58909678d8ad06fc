"""A runc container whose init is our own child: we reap it, and learn its status."""

from __future__ import annotations

import ctypes
import os
import select
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.runc import Runc, RuncContainer
from tests.support.waiting import wait_for

_PR_SET_CHILD_SUBREAPER = 36
_LIBC = ctypes.CDLL(None, use_errno=True)


@dataclass
class AdoptedContainer:
    """A container whose init this process has to wait for."""

    container: RuncContainer
    pidfd: int
    status: int | None = None

    @property
    def id(self) -> str:
        """The container's id."""
        return self.container.id

    @property
    def pid(self) -> int:
        """The host pid of its init."""
        return self.container.pid

    @property
    def journal(self) -> list[list[str]]:
        """What it has written down: lines of words."""
        return [line.split() for line in self.container.log.read_text().splitlines()]

    def wait_journal(self, word: str) -> list[list[str]]:
        """Wait until a line begins with a word; the journal so far."""
        wait_for(lambda: any(line[:1] == [word] for line in self.journal), f"{self.id}: {word}")
        return self.journal

    def reap(self, *, within_s: float = 15.0) -> int:
        """Wait for its init; the raw wait status."""
        if self.status is None:
            poll = select.poll()
            poll.register(self.pidfd, select.POLLIN)
            assert poll.poll(within_s * 1000), f"{self.id} did not end within {within_s} s"
            self.status = os.waitpid(self.pid, 0)[1]
        return self.status


@contextmanager
def adopted(runc: Runc, args: Sequence[str], **options: Any) -> Iterator[AdoptedContainer]:
    """Run a container under runc as a child of ours; gone at the end."""
    # A subreaper for as long as runc takes to end: no orphan of anybody else's.
    assert _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
    try:
        container = runc.run(args, **options)
    finally:
        assert _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0) == 0
    one = AdoptedContainer(container, os.pidfd_open(container.pid))
    try:
        yield one
    finally:
        runc.cli("kill", container.id, "KILL", check=False)
        one.reap()
        os.close(one.pidfd)


def cgroup_of(pid: int, controller: str = "") -> Path:
    """The cgroup directory of a process; ``""`` is the v2 hierarchy."""
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(",") and bool(controller) == bool(controllers):
            base = Path("/sys/fs/cgroup")
            below = [controller] if controller else ["unified", "."]
            return next(found for one in below if (found := base / one / path.lstrip("/")).is_dir())
    raise AssertionError(f"process {pid} is in no {controller or 'v2'} cgroup")
