"""Sentences about processes: numbers, names and lists, always the same way.

Names come from processes and may hold anything; they are quoted here as they
are, and made safe for a terminal where they are shown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from tracer.correlate.process import ProcessState
from tracer.correlate.scope import Scope
from tracer.model.identity import Actor
from tracer.model.wait_status import WaitStatus
from tracer.wording.times import format_duration


def seconds(duration_ns: int) -> str:
    """A duration in a sentence: as :func:`format_duration`, without tenths below a second.

    >>> seconds(125_000_000_000), seconds(10_012_000_000), seconds(12_400_000)
    ('2 min 05 s', '10.0 s', '12 ms')
    """
    for unit_ns, unit in ((1_000, "us"), (1_000_000, "ms")):
        if round(duration_ns / unit_ns) < 1000:
            return f"{round(duration_ns / unit_ns)} {unit}"
    return format_duration(duration_ns)


def count(how_many: int, singular: str, plural: str | None = None) -> str:
    """A number with its noun: ``1 process``, ``7 processes``."""
    return f"{how_many} {singular if how_many == 1 else plural or singular + 's'}"


def number(states: Iterable[ProcessState]) -> int:
    """How many processes these are, and those of their fate that are forgotten."""
    return sum(state.stands_for for state in states)


def processes(how_many: int) -> str:
    """``1 process``, ``7 processes``."""
    return count(how_many, "process", "processes")


def was_or_were(how_many: int) -> str:
    """The verb that fits a number."""
    return "was" if how_many == 1 else "were"


def named(state: ProcessState) -> str:
    """A process by name and pids: ``sh (pid 7, host 4711)``."""
    snapshot = state.snapshot
    if snapshot.ns_pid is None or snapshot.ns_pid == snapshot.host_pid:
        return f"{state.comm} (pid {snapshot.host_pid})"
    return f"{state.comm} (pid {snapshot.ns_pid}, host {snapshot.host_pid})"


def init_word(scope: Scope) -> str:
    """What to call a scope's init: only of a namespace of its own it is PID 1."""
    return "its main process" if scope.is_shared else "PID 1"


def ended(status: WaitStatus | None) -> str:
    """How a process ended, as a verb: ``exited with code 0``, ``died of SIGTERM``."""
    if status is None:
        return "exited (status unknown)"
    if status.signal_name is None:
        return f"exited with code {status.exit_code}"
    return f"died of {status.signal_name}{', core dumped' if status.core_dumped else ''}"


def sender(actor: Actor) -> str:
    """A sender with its ancestors: ``runc <- containerd-shim <- systemd``."""
    return " <- ".join((actor.comm, *actor.chain))


def actor_named(actor: Actor, where: str = "") -> str:
    """A sender by name, pid, place and system call: ``bash (host pid 12, by kill())``."""
    call = f", by {actor.syscall}()" if actor.syscall else ""
    return f"{actor.comm}{where} (host pid {actor.host_pid}{call})"


def name_counts(states: Iterable[ProcessState], most: int = 3) -> str:
    """Names with their numbers, most first: ``997 x worker, sh and 2 others``."""
    counts: Counter[str] = Counter()
    for state in states:
        counts[state.comm] += state.stands_for
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    parts = [name if times == 1 else f"{times} x {name}" for name, times in ranked[:most]]
    rest = sum(times for _, times in ranked[most:])
    if rest:
        parts.append(count(rest, "other"))
    return enumerate_all(parts)


def name_some(states: Sequence[ProcessState], most: int = 3) -> str:
    """The first few by name and pids, the rest by number."""
    more = number(states) - min(len(states), most)
    if more:
        return f"{', '.join(named(s) for s in states[:most])} and {more} more"
    return enumerate_all([named(state) for state in states])


def enumerate_all(parts: Sequence[str]) -> str:
    """Join a list as a sentence does: ``a, b and c``."""
    if len(parts) <= 1:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} and {parts[-1]}"
