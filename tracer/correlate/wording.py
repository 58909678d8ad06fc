"""Sentences about processes: numbers, names and lists, always the same way.

Names come from processes and may hold anything; they are quoted here as they
are, and made safe for a terminal where they are shown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from tracer.correlate.scopes import Scope
from tracer.correlate.state import ProcessState
from tracer.model.identity import Actor
from tracer.model.verdicts import Cause
from tracer.model.wait_status import WaitStatus

BY_CAUSE = {
    Cause.PIDNS_TEARDOWN: "by the kernel, as its PID namespace ended",
    Cause.STOP_SIGNAL: "of the stop signal",
    Cause.GRACE_EXPIRED: "by SIGKILL after the stop signal",
    Cause.RUNTIME_KILL: "by the container runtime",
    Cause.OOM: "by the OOM killer",
    Cause.CGROUP_KILL: "through cgroup.kill",
    Cause.KILL: "by another process",
    Cause.SELF: "by itself",
    Cause.PARENT_DEATH: "as its parent ended (PR_SET_PDEATHSIG)",
    Cause.TRACER_EXIT: "as its tracer ended (PTRACE_O_EXITKILL)",
    Cause.RLIMIT_CPU: "by its CPU time limit",
    Cause.FAULT: "by a fault of its own",
    Cause.SECCOMP: "by a seccomp filter",
    Cause.TERMINAL: "by its terminal",
    Cause.UNKNOWN: "why is not known",
}
"""What each cause adds to "killed" or "died of SIGTERM"."""


def seconds(duration_ns: int) -> str:
    """A duration in words: ``2 min 5 s``, ``10.0 s``, ``12 ms``, ``340 us``.

    >>> seconds(125_000_000_000), seconds(10_012_000_000), seconds(12_400_000)
    ('2 min 5 s', '10.0 s', '12 ms')
    """
    if duration_ns >= 120_000_000_000:
        minutes, rest = divmod(duration_ns // 1_000_000_000, 60)
        if minutes >= 120:
            return f"{minutes // 60} h {minutes % 60} min"
        return f"{minutes} min {rest} s"
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
        return f"{state.comm} (pid {snapshot.host_pid})"
    return f"{state.comm} (pid {snapshot.ns_pid}, host {snapshot.host_pid})"


def init_word(scope: Scope) -> str:
    """What to call a scope's init: only of a namespace of its own it is PID 1."""
    return "its main process" if scope.is_shared else "PID 1"


def ended(status: WaitStatus | None) -> str:
    """How a process ended, as a verb: ``exited with code 0``, ``died of SIGTERM``."""
    if status is None:
        return "ended (how was not seen)"
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
    counts = Counter(state.comm for state in states)
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    parts = [name if number == 1 else f"{number} x {name}" for name, number in ranked[:most]]
    rest = sum(number for _, number in ranked[most:])
    if rest:
        parts.append(count(rest, "other"))
    return enumerate_all(parts)


def name_some(states: Sequence[ProcessState], most: int = 3) -> str:
    """The first few by name and pids, the rest by number."""
    if len(states) > most:
        return f"{', '.join(named(s) for s in states[:most])} and {len(states) - most} more"
    return enumerate_all([named(state) for state in states])


def enumerate_all(parts: Sequence[str]) -> str:
    """Join a list as a sentence does: ``a, b and c``."""
    if len(parts) <= 1:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} and {parts[-1]}"


def capital(sentence: str) -> str:
    """Begin a sentence with a capital letter."""
    return sentence[:1].upper() + sentence[1:]
