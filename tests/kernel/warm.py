"""BPF programs compiled once for a whole test session.

Compiling takes an emulated guest ten seconds, attaching a tenth of one. So the
session compiles each kind of program set once, by the project's own loader, and
lends it to every trace: programs, maps, hooks and all that follows are what
they always are. Where a set is lent already, or other sizes are asked for, the
loader runs as usual.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from tracer.kernel.loader import LoadedPrograms, LoadJob
from tracer.kernel.maps import program_misses
from tracer.kernel.plan import kprobes_unavailable
from tracer.kernel.ring import RingReader
from tracer.kernel.source import HOST_RING_BYTES, TARGET_RING_BYTES
from tracer.wire.layout import RECORD

_SIZES = frozenset({TARGET_RING_BYTES, HOST_RING_BYTES})


_MISSED_BEFORE: dict[int, int] = {}
"""Descriptor of a lent program -> runs it had missed when it was lent."""


def _missed_since(fd: int) -> int:
    return program_misses(fd) - _MISSED_BEFORE.get(fd, 0)


class WarmSets:
    """The loaded program sets of a session.

    Args:
        locks: A directory for the locks that say what is lent.
    """

    def __init__(self, locks: Path) -> None:
        self._locks = locks
        self._cgroup_v1 = not any(
            line.split()[2] == "cgroup2" for line in Path("/proc/mounts").read_text().splitlines()
        )
        self._refused = kprobes_unavailable()
        self._sets = [self._load()]

    def _load(self) -> LoadedPrograms:
        job = LoadJob(
            ring_bytes=TARGET_RING_BYTES,
            cgroup_v1=self._cgroup_v1,
            kprobes_refused=self._refused,
        )
        return job.result()

    def __len__(self) -> int:
        return len(self._sets)

    def add(self) -> None:
        """Load one more set, so that two traces can run at a time."""
        self._sets.append(self._load())

    @property
    def load_seconds(self) -> dict[str, float]:
        """What the loader said about the richer set."""
        return self._sets[0].seconds

    def lend(self, *, ring_bytes: int, cgroup_v1: bool) -> Lent | None:
        """Lend a set, as new; None where all are lent or there is none such."""
        if ring_bytes not in _SIZES or cgroup_v1 != self._cgroup_v1:
            return None
        for number, warm in enumerate(self._sets):
            lock = os.open(self._locks / f"set-{number}", os.O_CREAT | os.O_RDWR, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
                continue
            _wipe(warm)
            return Lent(warm, lock)
        return None


class Lent:
    """A set while it is lent, in the shape of a LoadJob."""

    def __init__(self, warm: LoadedPrograms, lock: int) -> None:
        self._warm = warm
        self._lock = lock

    def result(self) -> LoadedPrograms:
        """The programs and maps, by descriptors of the borrower's own."""
        copies = {fd: os.dup(fd) for fd in self._warm._fds}
        lock, self._lock = self._lock, -1
        # The kernel counts these for as long as a program lives.
        for fd in self._warm.programs.values():
            _MISSED_BEFORE[copies[fd]] = program_misses(fd)
        return replace(
            self._warm,
            programs={name: copies[fd] for name, fd in self._warm.programs.items()},
            maps={name: replace(one, fd=copies[one.fd]) for name, one in self._warm.maps.items()},
            # Closed with the rest: that gives the set back.
            _fds=[*copies.values(), lock],
        )

    def close(self) -> None:
        """Give the set back if nobody took it."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def _wipe(warm: LoadedPrograms) -> None:
    """Leave nothing of the last borrower in the maps."""
    for name in ("zt_pidns", "zt_cgroups", "zt_tracked", "zt_lifetimes", "zt_repeats"):
        one = warm.maps[name]
        for key in list(one.keys()):
            one.delete(key)
    for name in ("zt_drops", "zt_numbers"):
        numbers = warm.maps[name]
        numbers.memory[: 8 * numbers.max_entries] = bytes(8 * numbers.max_entries)
    for name in ("zt_events", "zt_uneventful"):
        events = warm.maps[name]
        ring = RingReader(events.fd, events.max_entries, RECORD)
        # What is not ordinary is discarded and leaves nothing: no drain is the last one.
        while ring.filled:
            ring.drain()
        ring.close()


@contextmanager
def warm_loader(sets: WarmSets) -> Iterator[None]:
    """Let every BpfSource of this process, and of its forks, borrow from ``sets``."""
    from tracer.kernel import source

    def load_job(
        *,
        ring_bytes: int,
        cgroup_v1: bool,
        kprobes_refused: str | None,
        preallocate: bool,
        fresh: bool,
    ) -> LoadJob | Lent:
        # A set with kprobes serves a trace without: the plan attaches none.
        lent = None if fresh else sets.lend(ring_bytes=ring_bytes, cgroup_v1=cgroup_v1)
        return lent or LoadJob(
            ring_bytes=ring_bytes,
            cgroup_v1=cgroup_v1,
            kprobes_refused=kprobes_refused,
            preallocate=preallocate,
            fresh=fresh,
        )

    module: Any = source
    original = module.LoadJob, module.program_misses
    module.LoadJob, module.program_misses = load_job, _missed_since
    try:
        yield
    finally:
        module.LoadJob, module.program_misses = original
