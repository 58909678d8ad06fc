"""Which readings of /proc, cgroups and engines a long trace keeps: those a verdict can use."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from tracer.correlate.fork_failures import ForkFailures
from tracer.correlate.trace_state import TraceState
from tracer.model.events import ObservationEvent
from tracer.model.identity import ProcessKey

FULL = 2_000
"""At this many readings, those that are no longer needed are dropped."""
_NEWEST = 256
"""The newest readings may be of a sender whose signal is still to come."""
_BEFORE_FULLEST_NS = 60_000_000_000
_MOST_BEFORE = 64
_MOST_FAILURES = 32


def thin_out(observations: Sequence[ObservationEvent], trace: TraceState) -> list[ObservationEvent]:
    """Drop the readings that no verdict will ask for.

    Args:
        observations: In order.
        trace: Says who is still known.
    """
    older, newest = observations[:-_NEWEST], observations[-_NEWEST:]
    wanted = _wanted(trace)
    containers = {container.id for container in trace.scopes.containers}
    groups: dict[tuple[object, ...], list[ObservationEvent]] = {}
    for event in older:
        values = event.values
        if event.about is not None:
            if event.about in wanted:
                groups.setdefault((event.about, values.get("reading")), []).append(event)
        elif event.source == "cgroup":
            if values.get("container_id") in containers:
                where = (values.get("controller"), values.get("container_id"))
                groups.setdefault(("cgroup", *where), []).append(event)
        else:
            groups.setdefault((event.source, values.get("reading")), []).append(event)
    kept = {id(event) for where, group in groups.items() for event in _of_use(where[0], group)}
    return [*(event for event in older if id(event) in kept), *newest]


def instants_of(
    observations: Iterable[ObservationEvent], failures: ForkFailures
) -> tuple[int, ...]:
    """The instants for which the zombies that were there are counted.

    Those at which a limit of pids was nearest so far, and at which forks first failed.
    """
    fullest: dict[object, tuple[float, int]] = {}
    for event in observations:
        share = _share(event)
        whose = event.values.get("container_id")
        if share is not None and share > fullest.get(whose, (0.0, 0))[0]:
            fullest[whose] = share, event.boot_ns
    first = [failed.first.boot_ns for failed in failures][:_MOST_FAILURES]
    return (*(boot_ns for _, boot_ns in fullest.values()), *first)


def _wanted(trace: TraceState) -> set[ProcessKey | None]:
    wanted: set[ProcessKey | None] = set()
    for state in trace.table.each():
        wanted.add(state.key)
        wanted.add(state.original_parent)
        if state.fatal_signal is not None:
            wanted.add(state.fatal_signal.event.actor.key)
        if state.zombie is not None:
            wanted.add(state.zombie.holder)
    for scope in trace.scopes:
        for stop in scope.stops:
            for event in (stop.stop_signal, stop.kill):
                if event is not None:
                    wanted.add(event.actor.key)
    return wanted


def _of_use(what: object, group: list[ObservationEvent]) -> Iterator[ObservationEvent]:
    """Of readings of one thing, in order, those that say anything the others do not."""
    yield group[-1]
    if isinstance(what, ProcessKey):
        return
    if what not in ("cgroup", "proc"):
        # What an engine said: each is a fact of its own.
        yield from group[-FULL // 2 :]
        return
    yield group[0]
    by_paths: dict[tuple[str, ...], list[ObservationEvent]] = {}
    for event in group:
        paths = tuple(str(level.get("path")) for level in event.values.get("levels", ()))
        by_paths.setdefault(paths, []).append(event)
    for same in list(by_paths.values())[-_MOST_BEFORE:]:
        yield same[0]
        yield same[-1]
    fullest = max(group, key=lambda event: _share(event) or 0.0)
    yield fullest
    since_ns = fullest.boot_ns - _BEFORE_FULLEST_NS
    before = [event for event in group if since_ns <= event.boot_ns <= fullest.boot_ns]
    # The first and the last of them show how fast it grew.
    yield from before[:1]
    yield from before[-_MOST_BEFORE:]


def _share(event: ObservationEvent) -> float | None:
    """How full a limit of pids was; None for a reading of something else."""
    values = event.values
    if values.get("controller") == "pids":
        return max(
            (level["current"] / level["limit"] for level in values["levels"] if level.get("limit")),
            default=None,
        )
    if values.get("reading") == "host" and values.get("limit"):
        return float(values["tasks"] / values["limit"])
    return None
