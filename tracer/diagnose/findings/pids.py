"""ZT301, ZT302: a pids limit that is nearly or quite reached, and who fills it."""

from __future__ import annotations

import errno
from collections import Counter
from collections.abc import Iterator, Sequence

from tracer.correlate.correlator import Correlator
from tracer.correlate.process import ProcessState
from tracer.correlate.zombies import duty_holder_at, release_of, was_zombie_by
from tracer.diagnose.evidence import PidsReading, pids_readings
from tracer.diagnose.findings.make import is_complete, make_finding
from tracer.model.identity import ProcessKey
from tracer.model.report import Finding
from tracer.wording import names as wording

NEAR = 0.8
"""From this share of its limit on a cgroup counts as nearly full."""

_RATE_OVER_NS = 60_000_000_000
_MEANING = {
    errno.EAGAIN: "a task limit was reached (pids.max, pid_max, threads-max or RLIMIT_NPROC)",
    errno.ENOMEM: "memory ran out, or the namespace's init has exited",
}


def find_pid_shortage(correlator: Correlator) -> Iterator[Finding]:
    """Limits nearly reached; then forks that failed, by caller or by count."""
    for container_id, readings in pids_readings(correlator).items():
        fullest = max(
            (level for reading in readings for level in reading if level.limit is not None),
            key=lambda level: level.share,
            default=None,
        )
        refused = _refused(readings)
        if fullest is not None and (fullest.share >= NEAR or refused):
            yield _near_limit(correlator, container_id, readings, fullest, refused)
        if refused and not correlator.fork_failures:
            yield _counted_failures(correlator, container_id, fullest, refused)
    yield from _failures_by_caller(correlator)


def _near_limit(
    correlator: Correlator,
    container_id: str,
    readings: Sequence[Sequence[PidsReading]],
    fullest: PidsReading,
    refused: int,
) -> Finding:
    zombies = _zombies_at(correlator, container_id, fullest.boot_ns)
    label = _label(correlator, container_id)
    limit = fullest.limit or 0
    whose = "its own cgroup" if fullest.depth == 0 else "a cgroup above its own"
    title = f"{label} had {fullest.current} of its {limit} pids in use"
    most = ""
    if refused and fullest.current < limit:
        # It was full between two readings.
        is_only = len({one.path for reading in readings for one in reading if one.limit}) == 1
        title = f"{label} reached {f'its limit of {limit}' if is_only else 'a limit of its'} pids"
        most = "no more than " * (len(readings) > 1)
    detail = (
        f"pids.current was {most}{fullest.current} of pids.max {limit} ({fullest.share:.0%}) in"
        f" {whose}, {fullest.path}{', when it was read' * bool(most)}. {_zombies_share(correlator, zombies, fullest)}"
        f"{_exhaustion(readings, fullest, refused)}"
    )
    advice = (
        f"Have {_makers(correlator, zombies, fullest.boot_ns)[0]} wait for its children: zombies"
        " occupy their pids until they are reaped. A higher limit only delays the problem."
        if zombies
        else "Find out what creates so many tasks (threads count too), or raise the limit: `docker run"
        " --pids-limit`, podPidsLimit of the kubelet, TasksMax of systemd."
    )
    return make_finding(
        "ZT301",
        title=title,
        detail=detail,
        advice=advice,
        states=zombies,
        complete=is_complete(correlator, zombies, correlator.begin_ns or 0, fullest.boot_ns),
    )


def _zombies_share(correlator: Correlator, zombies: list[ProcessState], level: PidsReading) -> str:
    if not zombies:
        return "None of them were zombies."
    makers = ", ".join(_makers(correlator, zombies, level.boot_ns)[:2])
    return (
        f"{wording.count(wording.number(zombies), 'zombie')} made up"
        f" {wording.number(zombies) / max(level.current, 1):.0%} of them, children of {makers}."
    )


def _makers(correlator: Correlator, zombies: list[ProcessState], boot_ns: int) -> list[str]:
    parents: Counter[ProcessKey | None] = Counter()
    for zombie in zombies:
        parents[duty_holder_at(zombie, boot_ns)] += zombie.stands_for
    names = []
    for key, _ in parents.most_common():
        state = correlator.table.get(key)
        comm = correlator.table.comm_of(key)
        if state is not None:
            names.append(wording.named(state))
        elif key is not None:
            names.append(f"{comm or 'a process'} (host pid {key.host_pid})")
    return names or ["their parent"]


def _exhaustion(
    readings: Sequence[Sequence[PidsReading]], fullest: PidsReading, refused: int
) -> str:
    limit = fullest.limit or 0
    if fullest.current >= limit or refused:
        count = f": {wording.count(refused, 'fork')} refused" if refused else ""
        return f" The limit was reached{count}."
    track = [
        level
        for reading in readings
        for level in reading
        if level.path == fullest.path and level.boot_ns <= fullest.boot_ns
    ]
    recent = [one for one in track if one.boot_ns >= fullest.boot_ns - _RATE_OVER_NS]
    first, last = recent[0], recent[-1]
    grown, over_ns = last.current - first.current, last.boot_ns - first.boot_ns
    if grown <= 0 or over_ns <= 0:
        return ""
    left_ns = (limit - last.current) * over_ns // grown
    rate = grown * 1e9 / over_ns
    return (
        f" It grew by {rate:.1f} a second over {wording.seconds(over_ns)}: at that rate the limit is"
        f" reached after another {wording.seconds(left_ns)}."
    )


def _refused(readings: Sequence[Sequence[PidsReading]]) -> int:
    # Newer kernels count a refusal at every level up to the limited one, older
    # ones where the fork was tried: the largest growth is the number either way.
    growth: dict[str, tuple[int, int]] = {}
    for reading in readings:
        for level in reading:
            if level.refused is not None:
                first, _ = growth.get(level.path, (level.refused, 0))
                growth[level.path] = (first, level.refused)
    return max((last - first for first, last in growth.values()), default=0)


def _counted_failures(
    correlator: Correlator, container_id: str, fullest: PidsReading | None, refused: int
) -> Finding:
    label = _label(correlator, container_id)
    where, zombies = "", []
    if fullest is not None:
        zombies = _zombies_at(correlator, container_id, fullest.boot_ns)
        at_most = "At its peak"
        if fullest.current < (fullest.limit or 0):
            at_most = "At the most that was read,"
        where = (
            f" {at_most} {fullest.path} held {fullest.current} of {fullest.limit} tasks."
            f" {_zombies_share(correlator, zombies, fullest)}"
        )
    return make_finding(
        "ZT302",
        title=f"{wording.count(refused, 'fork')} of {label} {wording.was_or_were(refused)} refused",
        detail=(
            f"pids.events counted {wording.count(refused, 'fork')} refused with EAGAIN by the"
            f" pids limit.{where} This kernel has no kprobes, so the callers are unknown."
        ),
        advice=_advice(zombies),
        states=zombies,
        complete=is_complete(correlator, zombies, correlator.begin_ns or 0),
    )


def _failures_by_caller(correlator: Correlator) -> Iterator[Finding]:
    for failed in correlator.fork_failures:
        event = failed.first
        host_pid, number = event.process.host_pid, event.errno
        caller = correlator.table.get(event.process.key)
        container = correlator.scopes.container_of(event.process)
        zombies = (
            _zombies_at(correlator, container.id, event.boot_ns) if container is not None else []
        )
        name = errno.errorcode.get(number, str(number))
        share = (
            f" At the first failure, {wording.count(wording.number(zombies), 'zombie')} occupied pids, children"
            f" of {_makers(correlator, zombies, event.boot_ns)[0]}."
            if zombies
            else ""
        )
        yield make_finding(
            "ZT302",
            title=f"{event.process.comm} could not fork: {name}",
            detail=(
                f"{wording.count(failed.count, 'fork')} of {event.process.comm} (host pid"
                f" {host_pid}) failed with {name}: {_MEANING.get(number, 'see clone(2)')}.{share}"
            ),
            advice=_advice(zombies),
            states=[caller, *zombies] if caller is not None else zombies,
            complete=is_complete(correlator, [], correlator.begin_ns or 0),
        )


def _advice(zombies: list[ProcessState]) -> str:
    if zombies:
        return "Zombies count against pids.max: have their parent wait for them."
    return "Raise the pids limit, or find out what creates so many tasks (threads count too)."


def _zombies_at(correlator: Correlator, container_id: str, boot_ns: int) -> list[ProcessState]:
    found = []
    for state in correlator.table:
        if not was_zombie_by(state, boot_ns):
            continue
        release = release_of(state)
        if release is not None and release.boot_ns <= boot_ns:
            continue
        container = correlator.scopes.container_of(state.snapshot)
        if container is not None and container.id == container_id:
            found.append(state)
    return sorted(found, key=lambda state: state.key)


def _label(correlator: Correlator, container_id: str) -> str:
    for container in correlator.scopes.containers:
        if container.id == container_id:
            return container.label
    return container_id[:12]
