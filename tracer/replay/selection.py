"""Which records of a capture concern some containers or namespaces.

They are picked by whole columns, before anything is decoded: one container out
of a host-wide capture costs little more than reading it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tracer.capture.event_json import SideEvent
from tracer.capture.reader import CaptureReader
from tracer.errors import AmbiguousTargetError, TargetNotFoundError
from tracer.model.events import AttachedEvent, ContainerEvent, ObservationEvent
from tracer.model.identity import ProcessKey
from tracer.model.target import Container
from tracer.wire.layout import CONSTANTS
from tracer.wire.process_ids import is_in, process_ids

_F_INIT = CONSTANTS["ZT_F_INIT"]
_F_NOTIFY = CONSTANTS["ZT_F_NOTIFY"]
_MIN_PREFIX = 3
_LISTED = 5
_SURVEYED = (
    "host_pid",
    "start_boot_ns",
    "pidns_inum",
    "init_start_boot_ns",
    "parent_pidns_inum",
    "cgroup_id",
    "flags",
)

CHOSEN_BY = (
    "host_pid",
    "start_boot_ns",
    "pidns_inum",
    "init_start_boot_ns",
    "cgroup_id",
    "flags",
    "child_pid",
    "child_start_boot_ns",
    "cur_host_pid",
    "cur_start_boot_ns",
)
"""The columns that :meth:`RecordSelection.choose` asks for."""

Columns = Callable[[str], npt.NDArray[Any]]


@dataclass(frozen=True, slots=True)
class RecordSelection:
    """The records of some processes: those inside certain namespaces or cgroups.

    Args:
        containers: The containers asked for.
        others: All the rest that the capture knows of.
        namespaces: (inum, start of its init), nested ones included; one array
            each.
        cgroup_ids: Of containers that share their namespace.
        processes: The ids of all of them, sorted.
    """

    containers: tuple[Container, ...]
    others: tuple[Container, ...]
    namespaces: tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]
    cgroup_ids: npt.NDArray[np.uint64]
    processes: npt.NDArray[np.uint64]

    def choose(self, columns: Columns, count: int) -> npt.NDArray[np.bool_]:
        """Pick the records about them, and the notices of their ends."""
        chosen = np.zeros(count, bool)
        inums, starts = columns("pidns_inum"), columns("init_start_boot_ns")
        for inum, start in zip(*self.namespaces, strict=True):
            chosen |= (inums == inum) & (starts == start)
        if len(self.cgroup_ids):
            chosen |= np.isin(columns("cgroup_id"), self.cgroup_ids)
        # What the hooks at a release know is the process alone.
        about = process_ids(columns("host_pid"), columns("start_boot_ns"))
        chosen |= is_in(about, self.processes)
        notices = np.flatnonzero((columns("flags") & _F_NOTIFY) != 0)
        for pid, start in (
            ("child_pid", "child_start_boot_ns"),
            ("cur_host_pid", "cur_start_boot_ns"),
        ):
            notified = process_ids(columns(pid)[notices], columns(start)[notices])
            chosen[notices] |= is_in(notified, self.processes)
        return chosen

    def narrow(self, event: AttachedEvent) -> AttachedEvent:
        """Make the target what was asked for."""
        kept = tuple(each for each in event.target.containers if each in self.containers)
        if len(kept) == len(event.target.containers) and not self.others:
            return event
        description = ", ".join(each.label for each in self.containers) or ", ".join(
            f"pid:[{inum}]" for inum in self.namespaces[0].tolist()
        )
        return replace(
            event, target=replace(event.target, containers=kept, description=description)
        )

    def wants(self, item: npt.NDArray[np.void] | SideEvent) -> bool:
        """Whether something read concerns them; records were picked before."""
        if isinstance(item, ContainerEvent):
            return item.container in self.containers
        if isinstance(item, ObservationEvent):
            about = item.values.get("container_id")
            return about is None or all(about != other.id for other in self.others)
        return True


def select_processes(
    paths: Sequence[Path], names: Sequence[str], pidns: Sequence[int]
) -> RecordSelection:
    """Find the records of containers, by name, and of PID namespaces.

    Args:
        paths: The files of one trace.
        names: Names, ids, or beginnings of ids.
        pidns: Inums.

    Raises:
        TargetNotFoundError: The capture knows no such container or namespace.
        AmbiguousTargetError: An id's beginning is that of several.
        CaptureError: A file is corrupt; it says where.
    """
    known, survey = _survey(paths)
    chosen = tuple(dict.fromkeys(each for name in names for each in _find(name, known)))
    namespaces = _namespaces_of(survey, chosen, pidns)
    inside_of = {inum for inum, _ in namespaces}
    chosen += tuple(
        each
        for each in known
        if each not in chosen and each.has_own_pidns and each.pidns_inum in inside_of
    )
    cgroup_ids = [
        cgroup_id
        for each in chosen
        if not each.has_own_pidns and each.cgroup_id is not None
        for cgroup_id in (each.cgroup_id, *sorted(each.descendant_cgroup_ids))
    ]
    if not namespaces and not cgroup_ids:
        what = ", ".join([*names, *(str(inum) for inum in pidns)])
        raise TargetNotFoundError(f"{paths[0]}: this capture has no process of {what}")
    inside = np.zeros(len(survey["host_pid"]), bool)
    for inum, start in namespaces:
        inside |= (survey["pidns_inum"] == inum) & (survey["init_start_boot_ns"] == start)
    inside |= np.isin(survey["cgroup_id"], np.array(cgroup_ids, np.uint64))
    processes = process_ids(survey["host_pid"][inside], survey["start_boot_ns"][inside])
    return RecordSelection(
        containers=chosen,
        others=tuple(each for each in known if each not in chosen),
        namespaces=(
            np.array([inum for inum, _ in namespaces], np.uint64),
            np.array([start for _, start in namespaces], np.uint64),
        ),
        cgroup_ids=np.array(cgroup_ids, np.uint64),
        processes=np.unique(processes),
    )


@dataclass(slots=True)
class KnownContainers:
    """The containers a capture knows by name, gathered as its events are read."""

    _found: dict[tuple[str, int], Container] = field(default_factory=dict)

    def note(self, event: SideEvent) -> None:
        """Take one event."""
        if isinstance(event, AttachedEvent):
            for container in event.target.containers:
                self._found[container.id, container.init_host_pid] = container
        elif isinstance(event, ContainerEvent):
            container = event.container
            self._found[container.id, container.init_host_pid] = container

    def __iter__(self) -> Iterator[Container]:
        return iter(self._found.values())


def _find(name: str, known: Iterable[Container]) -> list[Container]:
    containers = list(known)
    found = [each for each in containers if each.id == name] or [
        each for each in containers if each.name == name
    ]
    if not found and len(name) >= _MIN_PREFIX:
        found = [each for each in containers if each.id.startswith(name)]
        by_id = {each.id: each for each in found}
        if len(by_id) > 1:
            choices = [f"{each.label} ({each.id})" for each in by_id.values()][:_LISTED]
            raise AmbiguousTargetError(
                f"{len(by_id)} containers of the capture have ids that begin with {name!r}",
                hint=f"give the name or more of the id: {', '.join(choices)}",
            )
    if found:
        # A restart is the same container with another init.
        return [each for each in containers if each.id == found[-1].id]
    labels = ", ".join(each.label for each in containers[:_LISTED])
    raise TargetNotFoundError(
        f"the capture has no container {name!r}",
        hint=f"it contains {labels}" if labels else "--pidns selects by namespace",
    )


def _survey(
    paths: Sequence[Path],
) -> tuple[tuple[Container, ...], dict[str, npt.NDArray[Any]]]:
    """The containers known, and a row for each process that occurs in a batch."""
    known = KnownContainers()
    parts: list[dict[str, npt.NDArray[Any]]] = []
    for path in paths:
        with CaptureReader(path) as reader:
            for item in reader.columns(_SURVEYED):
                if not isinstance(item, dict):
                    known.note(item)
                    continue
                rows = item["pidns_inum"] != 0
                ids = process_ids(item["host_pid"], item["start_boot_ns"])
                _, first = np.unique(ids[rows], return_index=True)
                where = np.flatnonzero(rows)[first]
                parts.append({name: values[where] for name, values in item.items()})
    if not parts:
        return tuple(known), {name: np.zeros(0, np.uint64) for name in _SURVEYED}
    survey = {name: np.concatenate([part[name] for part in parts]) for name in _SURVEYED}
    return tuple(known), survey


def _namespaces_of(
    survey: dict[str, npt.NDArray[Any]], containers: Iterable[Container], pidns: Iterable[int]
) -> list[tuple[int, int]]:
    found: set[tuple[int, int]] = set()
    for container in containers:
        if not container.has_own_pidns:
            continue
        rows = survey["host_pid"] == container.init_host_pid
        rows &= survey["pidns_inum"] == container.pidns_inum
        for row in np.flatnonzero(rows):
            start_boot_ns = int(survey["start_boot_ns"][row])
            rows[row] = container.is_init(ProcessKey(container.init_host_pid, start_boot_ns))
        found |= _pairs(survey, rows)
    for inum in pidns:
        found |= _pairs(survey, survey["pidns_inum"] == inum)
    # Namespaces in them: their inits say in which one they were made.
    inits = (survey["flags"] & _F_INIT) != 0
    inits &= survey["parent_pidns_inum"] != survey["pidns_inum"]
    while True:
        outer = np.array([inum for inum, _ in found], np.uint64)
        nested = _pairs(survey, inits & np.isin(survey["parent_pidns_inum"], outer))
        if nested <= found:
            return sorted(found)
        found |= nested


def _pairs(
    survey: dict[str, npt.NDArray[Any]], rows: npt.NDArray[np.bool_]
) -> set[tuple[int, int]]:
    return set(
        zip(
            survey["pidns_inum"][rows].tolist(),
            survey["init_start_boot_ns"][rows].tolist(),
            strict=True,
        )
    )
