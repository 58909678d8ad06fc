"""Sentences about processes: numbers, names and lists, always the same way.

Names come from processes and may hold anything; they are quoted here as they
are, and made safe for a terminal where they are shown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from tracer.correlate.state import ProcessState
from tracer.model.identity import Actor


def seconds(duration_ns: int) -> str:
    """A duration in words: ``10.0 s``, ``12 ms``, ``340 us``.

    >>> seconds(10_012_000_000), seconds(12_400_000), seconds(340_000)
    ('10.0 s', '12 ms', '340 us')
    """
    if duration_ns >= 1_000_000_000:
        return f"{duration_ns / 1e9:.1f} s"
    if duration_ns >= 1_000_000:
        return f"{duration_ns / 1e6:.0f} ms"
    return f"{duration_ns / 1e3:.0f} us"


def count(number: int, singular: str, plural: str | None = None) -> str:
    """A number with its noun: ``1 process``, ``7 processes``."""
    return f"{number} {singular if number == 1 else plural or singular + 's'}"


def processes(number: int) -> str:
    """``1 process``, ``7 processes``."""
    return count(number, "process", "processes")


def was_or_were(number: int) -> str:
    """The verb that fits a number."""
    return "was" if number == 1 else "were"


def named(state: ProcessState) -> str:
    """A process by name and pids: ``sh (pid 7, host 4711)``."""
    snapshot = state.snapshot
    if snapshot.ns_pid is None or snapshot.ns_pid == snapshot.host_pid:
        return f"{snapshot.comm} (pid {snapshot.host_pid})"
    return f"{snapshot.comm} (pid {snapshot.ns_pid}, host {snapshot.host_pid})"


def sender(actor: Actor) -> str:
    """A sender with its ancestors: ``runc <- containerd-shim <- systemd``."""
    return " <- ".join((actor.comm, *actor.chain))


def actor_named(actor: Actor) -> str:
    """A sender by name, pid and system call: ``kill (host pid 12) by kill()``."""
    call = f" by {actor.syscall}()" if actor.syscall else ""
    return f"{actor.comm} (host pid {actor.host_pid}){call}"


def name_counts(states: Iterable[ProcessState], most: int = 3) -> str:
    """Names with their numbers, most first: ``997 x worker, sh, and 2 others``."""
    counts = Counter(state.comm for state in states)
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    parts = [name if number == 1 else f"{number} x {name}" for name, number in ranked[:most]]
    rest = sum(number for _, number in ranked[most:])
    if rest:
        parts.append(count(rest, "other"))
    return enumerate_all(parts)


def enumerate_all(parts: Sequence[str]) -> str:
    """Join a list as a sentence does: ``a, b and c``."""
    if len(parts) <= 1:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} and {parts[-1]}"
