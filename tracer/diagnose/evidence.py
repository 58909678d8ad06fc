"""Readings of cgroups and /proc, as verdicts use them: read, never concluded.

An observation says what was read at one moment; these say it in the words
of a sentence. Where nothing was read they say nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

from tracer.correlate.correlator import Correlator
from tracer.model.events import TRACER_SOURCE, ObservationEvent
from tracer.model.identity import ProcessKey

_BATCH_BYTES = 1 << 20
"""Memory is charged ahead in batches: a limit is reached this far below it."""
_STATES = {
    "R": "running",
    "S": "sleeping",
    "D": "in uninterruptible sleep (state D)",
    "T": "stopped",
    "t": "stopped by a tracer",
    "Z": "a zombie",
    "I": "idle",
}


@dataclass(frozen=True, slots=True)
class PidsReading:
    """One level of the pids controller at one moment.

    Args:
        boot_ns: When.
        depth: 0 is the container's own cgroup, 1 its parent, ...
        path: The cgroup's directory.
        current: How many tasks it counted.
        limit: pids.max; None without one.
        refused: How many forks it had counted as refused, or None.
    """

    boot_ns: int
    depth: int
    path: str
    current: int
    limit: int | None
    refused: int | None

    @property
    def share(self) -> float:
        """How full it was, 0 to 1."""
        return self.current / self.limit if self.limit else 0.0


def pids_readings(correlator: Correlator) -> dict[str, list[list[PidsReading]]]:
    """Every reading of the pids controller: container id -> readings, each by level."""
    found: dict[str, list[list[PidsReading]]] = {}
    for event in _readings(correlator, "cgroup"):
        values = event.values
        if values.get("controller") == "pids":
            found.setdefault(str(values.get("container_id")), []).append(
                [
                    PidsReading(
                        event.boot_ns, depth, str(one["path"]), int(one["current"]),
                        one.get("limit"), one.get("refused"),
                    )
                    for depth, one in enumerate(values["levels"])
                ]
            )  # fmt: skip
    return found


@dataclass(frozen=True, slots=True)
class HostReading:
    """How full the host's table of tasks was at one moment.

    Args:
        boot_ns: When.
        tasks: How many there were, zombies among them.
        limit: How many there may be.
        limit_name: The setting that says so.
    """

    boot_ns: int
    tasks: int
    limit: int
    limit_name: str

    @property
    def share(self) -> float:
        """How full it was, 0 to 1."""
        return self.tasks / self.limit if self.limit else 0.0


def host_readings(correlator: Correlator) -> Iterator[HostReading]:
    """Every reading of the host's table of tasks."""
    for event in _readings(correlator, "proc"):
        values = event.values
        if values.get("reading") == "host":
            yield HostReading(
                event.boot_ns,
                int(values["tasks"]),
                int(values["limit"]),
                str(values["limit_name"]),
            )


def most_behind_ns(correlator: Correlator) -> int:
    """How far the tracer was behind what it traced at the most; 0 where it kept up."""
    behind_ns = (event.values.get("behind_ns") for event in _readings(correlator, TRACER_SOURCE))
    return max((int(one) for one in behind_ns if isinstance(one, int)), default=0)


def say_whose_memory_limit(correlator: Correlator, container_id: str | None) -> str:
    """Say which level's memory limit was reached while something was killed for it.

    Two levels may both have reached theirs: then both are named.

    Source:
        v2 counts ``oom`` in memory.events.local of the level whose limit could not
        be kept; v1 counts ``memory.failcnt`` there, and keeps the most there was.
    """
    readings = [
        event.values["levels"]
        for event in _readings(correlator, "cgroup")
        if event.values.get("controller") == "memory"
        and event.values.get("container_id") == container_id
    ]
    if len(readings) < 2:
        return ""
    before = {str(one["path"]): one for one in readings[0]}
    after = {str(one["path"]): one for reading in readings[1:] for one in reading}
    limited = [
        (depth, one) for depth, one in enumerate(after.values()) if one.get("limit") is not None
    ]
    full = [
        _name_level(depth, one)
        for depth, one in limited
        if _grew(before.get(str(one["path"])), one, "reached")
    ] or [_name_level(depth, one) for depth, one in limited if _came_close(one)]
    if len(full) == 1:
        return f" The limit was {full[0]}."
    if full:
        return (
            f" More than one limit was reached: {' and '.join(full)}. Which of them caused the kill"
            " is unknown."
        )
    was_counted = all(one.get("reached") is not None for _, one in limited) and not any(
        map(_has_gap, readings)
    )
    if was_counted and any(_grew(before.get(path), one, "kills") for path, one in after.items()):
        return " No limit of its cgroups was reached: the host ran out of memory."
    return ""


def _has_gap(levels: Sequence[Mapping[str, Any]]) -> bool:
    """Whether levels were left out: of a cgroup that is very deep only some are read."""
    paths = [str(one["path"]) for one in levels]
    return any(inner.rpartition("/")[0] != outer for inner, outer in pairwise(paths))


def _came_close(level: Mapping[str, Any]) -> bool:
    # Where swap is limited to the same, some kernels count no failure of either.
    peak = level.get("peak")
    return isinstance(peak, int) and peak >= int(level["limit"]) - _BATCH_BYTES


def _grew(before: Mapping[str, Any] | None, after: Mapping[str, Any], key: str) -> bool:
    new, old = after.get(key), (before or {}).get(key)
    return isinstance(new, int) and new > (old if isinstance(old, int) else 0)


def _name_level(depth: int, level: Mapping[str, Any]) -> str:
    size = f"{int(level['limit']) / (1 << 20):.0f} MiB"
    path = str(level["path"])
    if depth == 0:
        return f"the container's own ({size}, {path})"
    if "/pod" in path.rpartition("/")[2] or "pod" in path.rpartition("/")[2]:
        return f"its pod's ({size}, {path})"
    return f"that of a cgroup above it ({size}, {path})"


def say_what_a_parent_does(correlator: Correlator, parent: ProcessKey | None) -> str:
    """Say whether the process that must reap is waiting, and what it is blocked in."""
    values = _about(correlator, parent, "parent")
    if values is None:
        return ""
    state = _STATES.get(str(values.get("state")), f"in state {values.get('state')}")
    where = values.get("syscall") or values.get("wchan")
    doing = f"{state} in {where}" if where else state
    waiting = values.get("is_waiting")
    if waiting is None or values.get("state") in ("T", "t", "Z"):
        return f"it was {doing}"
    if waiting:
        return f"it was waiting for a child, but not for these ({doing})"
    return f"it was not waiting for a child: {doing}"


def say_which_threads_live(correlator: Correlator, leader: ProcessKey) -> str:
    """Name the threads that live on after a leader, and what each is blocked in."""
    values = _about(correlator, leader, "threads")
    threads = values.get("threads") if values is not None else None
    if values is None or not threads:
        return ""
    parts = [_say_thread(thread) for thread in threads[:3]]
    more = max(len(threads), values.get("others") or 0) - len(parts)
    return ", ".join(parts) + (f" and {more} more" if more > 0 else "")


def _say_thread(thread: Mapping[str, Any]) -> str:
    where = thread.get("syscall") or thread.get("wchan")
    return f"{thread['comm']} (tid {thread['host_tid']}{f', in {where}' if where else ''})"


def say_how_held(correlator: Correlator, holder: ProcessKey) -> str:
    """Say why a process was not gone yet while a teardown waited for it."""
    values = _about(correlator, holder, "holder")
    if values is None:
        return ""
    if values.get("is_frozen"):
        return "it was in a frozen cgroup, where SIGKILL does not take effect"
    state = str(values.get("state"))
    where = values.get("wchan") or values.get("syscall")
    if state == "D":
        return f"it was {_STATES['D']}{f' in {where}' if where else ''}"
    parent = values.get("parent")
    if state == "Z" and parent is not None:
        doing = _STATES.get(str(parent.get("state")), "")
        call = f" in {parent['syscall']}" if parent.get("syscall") else ""
        return (
            f"it was already a zombie, and {parent['comm']} (host pid {parent['host_pid']}),"
            f" which must reap it, was {doing}{call}"
        )
    return f"it was {_STATES.get(state, f'in state {state}')}{f' in {where}' if where else ''}"


def command_of(correlator: Correlator, key: ProcessKey | None) -> str | None:
    """The command line of a process that sent a signal, where it was read in time."""
    values = _about(correlator, key, "")
    command = values.get("cmdline") if values is not None else None
    return str(command) if command is not None else None


def commands_read(correlator: Correlator) -> dict[ProcessKey, str]:
    """The command lines that were read, masked and cut, by whose they are."""
    return {
        event.about: str(event.values["cmdline"])
        for event in _readings(correlator, "proc")
        if event.about is not None and event.values.get("cmdline")
    }


def say_command(correlator: Correlator, key: ProcessKey | None) -> str:
    """A sender's command line as a sentence."""
    command = command_of(correlator, key)
    return f" Command line: {command}" if command else ""


def _about(
    correlator: Correlator, key: ProcessKey | None, reading: str
) -> Mapping[str, Any] | None:
    if key is None:
        return None
    return _newest_by_subject(correlator, len(correlator.observations)).get((key, reading))


@lru_cache(maxsize=1)
def _newest_by_subject(
    correlator: Correlator,
    count: int,  # noqa: ARG001 (more observations make another answer)
) -> dict[tuple[ProcessKey, str], Mapping[str, Any]]:
    # Thousands of senders make as many findings: each asks for one reading.
    return {
        (event.about, str(event.values.get("reading", ""))): event.values
        for event in _readings(correlator, "proc")
        if event.about is not None
    }


def _readings(correlator: Correlator, source: str) -> Iterator[ObservationEvent]:
    observations: Iterable[ObservationEvent] = correlator.observations
    return (event for event in observations if event.source == source)
