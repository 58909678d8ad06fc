"""What the cgroups of the traced containers count: pids and memory.

Read at the begin and the end of a trace, every few seconds, and as soon as the
OOM killer struck or an init ended: a runtime removes a cgroup soon after that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tracer.containers.cgroup import controller_directories
from tracer.containers.cgroup_limits import PidsLevel, read_memory, read_pids
from tracer.correlate.correlator import Correlator
from tracer.kernel.clock import boot_now_ns
from tracer.model.events import ContainerEvent, ForkFailedEvent, ObservationEvent
from tracer.model.target import Container, Target
from tracer.session.observer import Listener
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
"""Where no process begins or ends, somebody may still move a limit."""
_CONTAINERS_A_PERIOD = 16


@dataclass(slots=True)
class _Watched:
    """One container, where it is counted, and what was last told of it."""

    container: Container
    directories: dict[str, tuple[str, ...]] = field(default_factory=dict)
    told: dict[str, Any] = field(default_factory=dict)

    def find(self) -> None:
        """Look where its init is now; keep the last answer once that is gone."""
        try:
            raw = Path(f"/proc/{self.container.init_host_pid}/cgroup").read_bytes()
        except OSError:
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
        return bool(known) and not any(Path(path).is_dir() for path in known)

    def existing(self, controller: str) -> tuple[str, ...]:
        """The levels to read; none once the innermost is removed."""
        directories = self.directories.get(controller, ())
        return directories if directories and Path(directories[0]).is_dir() else ()


class CgroupEvidence:
    """Reads pids and memory counters of the target's containers."""

    def __init__(self) -> None:
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

    def begin(self, correlator: Correlator, target: Target) -> Iterator[ObservationEvent]:  # noqa: ARG002
        """Read the baseline."""
        self._watched = [_Watched(container) for container in target.containers]
        self._inits = frozenset(one.container.init_host_pid for one in self._watched)
        yield from self._read_all()

    def listeners(self) -> Mapping[type, Listener]:
        """Failed forks: the limit that refused them is full. Containers that come later."""
        return {ForkFailedEvent: self._on_fork_failed, ContainerEvent: self._on_container}

    def peek(self, records: npt.NDArray[np.void]) -> Iterator[ObservationEvent]:
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
        self._inits |= {event.container.init_host_pid}
        yield from self._read_all()

    def _on_fork_failed(self, event: ForkFailedEvent) -> Iterator[ObservationEvent]:
        if event.boot_ns >= self._not_before_ns:
            self._not_before_ns = boot_now_ns() + _AT_MOST_EVERY_NS
            yield from self._read_all()

    def _read_all(self) -> Iterator[ObservationEvent]:
        for watched in self._watched:
            watched.find()
            pids = read_pids(watched.existing("pids"))
            memory = read_memory(watched.existing("memory"))
            yield from _tell(watched, "pids", pids, _pids_news(pids))
            # Usage alone moves all the time and is no news.
            yield from _tell(
                watched, "memory", memory, [(one.path, one.limit, one.kills) for one in memory]
            )


def _pids_news(levels: list[PidsLevel]) -> list[object]:
    # Numbers far from any limit are told every few seconds, near one as they move.
    every_while = boot_now_ns() // _UNHURRIED_NS
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
    watched: _Watched, controller: str, levels: list[Any], news: Any
) -> Iterator[ObservationEvent]:
    if not levels or watched.told.get(controller) == news:
        return
    watched.told[controller] = news
    values = {
        "container_id": watched.container.id,
        "controller": controller,
        "levels": [asdict(level) for level in levels],
    }
    yield ObservationEvent(boot_now_ns(), "cgroup", None, values)
