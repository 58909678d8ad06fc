"""What the cgroups of the traced containers count: pids and memory.

Read at the begin and the end of a trace, every few seconds, and as soon as the
OOM killer struck or an init ended: a runtime removes a cgroup soon after that.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from tracer.correlate.correlator import Correlator
from tracer.live.observers.observer import Listener, Observer
from tracer.model.events import ContainerEvent, ForkFailedEvent, ObservationEvent
from tracer.model.target import Container, Target
from tracer.procfs.cgroup import controller_directories
from tracer.procfs.cgroup_limits import PidsLevel, read_memory, read_pids
from tracer.procfs.clock import BootClock, boot_now_ns
from tracer.procfs.process import open_process
from tracer.wire.header import CONSTANTS

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_OOM, _EXEC, _EXIT = (CONSTANTS[f"ZT_KIND_{name}"] for name in ("OOM", "EXEC", "EXIT"))
_AT_MOST_EVERY_NS = 100_000_000
"""Failed forks and OOM kills come in storms; the counters count them all."""
_UNHURRIED_NS = 10_000_000_000
_PERIOD_S = 0.5
_IDLE_PERIOD_S = 10.0
"""A limit may be changed though no process begins or ends."""
_CONTAINERS_A_PERIOD = 16


@dataclass(slots=True)
class _Watched:
    """One container, where it is counted, and what was emitted last."""

    container: Container
    directories: dict[str, tuple[str, ...]] = field(default_factory=dict)
    emitted: dict[str, Any] = field(default_factory=dict)

    def find(self) -> None:
        """Look where its init is now; keep the last answer once that is gone."""
        directory = open_process(self.container.init_host_pid)
        if directory is None:
            return
        with directory:
            status = directory.status()
            raw = directory.read("cgroup")
        if raw is None or status is None or not self.container.is_init(status.key):
            # Its pid is another's by now.
            return
        for controller in ("pids", "memory"):
            directories = controller_directories(raw, controller)
            known = self.directories.get(controller, ())
            # A task on its way out shows the v1 root: it is counted where it was.
            if directories and directories != known[-len(directories) :]:
                self.directories[controller] = directories

    @property
    def is_gone(self) -> bool:
        """Whether its cgroups were removed: nothing of it will be counted again."""
        known = [directories[0] for directories in self.directories.values()]
        return bool(known) and not any(os.path.isdir(path) for path in known)

    def existing(self, controller: str) -> tuple[str, ...]:
        """The levels to read; none once the innermost is removed."""
        directories = self.directories.get(controller, ())
        return directories if directories and os.path.isdir(directories[0]) else ()


class CgroupEvidence(Observer):
    """Reads pids and memory counters of the target's containers."""

    def __init__(self, clock: BootClock = boot_now_ns) -> None:
        super().__init__(clock)
        self._is_idle = False
        self._watched: list[_Watched] = []
        self._inits: frozenset[int] = frozenset()
        self._not_before_ns = 0

    @property
    def period_s(self) -> float | None:
        """Seldom where nothing happens; a host full of containers costs no more than a few."""
        if not self._watched:
            return None
        period_s = _IDLE_PERIOD_S if self._is_idle else _PERIOD_S
        return period_s * max(1.0, len(self._watched) / _CONTAINERS_A_PERIOD)

    def begin(self, _correlator: Correlator, target: Target, /) -> Iterator[ObservationEvent]:
        """Read the baseline."""
        self._watched = [_Watched(container) for container in target.containers]
        self._inits = frozenset(one.container.init_host_pid for one in self._watched)
        yield from self._read_all()

    def listeners(self) -> Mapping[type, Listener]:
        """Failed forks: the limit that refused them is full. Containers that come later."""
        return {ForkFailedEvent: self._on_fork_failed, ContainerEvent: self._on_container}

    def peek(self, records: npt.NDArray[np.void], /) -> Iterator[ObservationEvent]:
        """Read at once where an OOM kill, or an init's exec or end, is among the records.

        Its exec, because a runtime may have moved it before it let it go.
        """
        self._is_idle = False
        kinds = records["kind"].copy()
        if not (kinds == _OOM).any():
            if not self._inits:
                return
            turned = ((kinds == _EXEC) | (kinds == _EXIT)).nonzero()
            if self._inits.isdisjoint(records["host_pid"][turned].tolist()):
                return
        yield from self._read_all()

    def look(self) -> Iterator[ObservationEvent]:
        """Read what has changed."""
        self._is_idle = True
        yield from self._read_all()

    def finish(self) -> Iterator[ObservationEvent]:
        """Read what is left."""
        yield from self._read_all()

    def _on_container(self, event: ContainerEvent) -> Iterator[ObservationEvent]:
        self._watched = [one for one in self._watched if not one.is_gone]
        self._watched.append(_Watched(event.container))
        self._inits = frozenset(one.container.init_host_pid for one in self._watched)
        yield from self._read_all()

    def _on_fork_failed(self, event: ForkFailedEvent) -> Iterator[ObservationEvent]:
        if event.boot_ns >= self._not_before_ns:
            self._not_before_ns = self._clock() + _AT_MOST_EVERY_NS
            yield from self._read_all()

    def _read_all(self) -> Iterator[ObservationEvent]:
        for watched in self._watched:
            watched.find()
            pids = read_pids(watched.existing("pids"))
            memory = read_memory(watched.existing("memory"))
            now_ns = self._clock()
            yield from _tell(watched, "pids", pids, _pids_news(pids, now_ns), now_ns)
            # Usage alone moves all the time and is no news.
            news = [(one.path, one.limit, one.kills) for one in memory]
            yield from _tell(watched, "memory", memory, news, now_ns)


def _pids_news(levels: list[PidsLevel], now_ns: int) -> list[object]:
    # Numbers far from any limit are emitted every few seconds, near one as they change.
    every_while = now_ns // _UNHURRIED_NS
    return [
        (
            one.path,
            one.limit,
            one.refused,
            one.current if one.limit and one.current * 2 >= one.limit else every_while,
        )
        for one in levels
        if one.limit is not None
    ]


def _tell(
    watched: _Watched, controller: str, levels: list[Any], news: Any, now_ns: int
) -> Iterator[ObservationEvent]:
    if not levels or watched.emitted.get(controller) == news:
        return
    watched.emitted[controller] = news
    values = {
        "container_id": watched.container.id,
        "controller": controller,
        "levels": [asdict(level) for level in levels],
    }
    yield ObservationEvent(now_ns, "cgroup", None, values)
