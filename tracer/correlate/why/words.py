"""How the story of a death calls things."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from tracer.model.events import SignalEvent
from tracer.model.report import ProcessReport
from tracer.model.verdicts import Cause, End

_MOST_NAMES = 4
CAUSES = {
    Cause.PIDNS_TEARDOWN: "the kernel killed it, as it kills all that is left when PID 1 is gone",
    Cause.STOP_SIGNAL: "it was the stop signal",
    Cause.GRACE_EXPIRED: "the grace had run out",
    Cause.RUNTIME_KILL: "the runtime killed it, without a stop signal before",
    Cause.OOM: "the kernel's OOM killer chose it, to free memory",
    Cause.CGROUP_KILL: "somebody wrote to its cgroup's cgroup.kill",
    Cause.KILL: "that process sent it on purpose",
    Cause.SELF: "it sent it to itself",
    Cause.PARENT_DEATH: "it had asked for it (PDEATHSIG) for when its parent dies",
    Cause.TRACER_EXIT: "its tracer had ended, and had asked for that (PTRACE_O_EXITKILL)",
    Cause.RLIMIT_CPU: "it had used up its CPU time (RLIMIT_CPU)",
    Cause.FAULT: "it was a fault of its own",
    Cause.SECCOMP: "seccomp does not allow it the system call it made",
    Cause.TERMINAL: "it came from its terminal",
    Cause.UNKNOWN: "why, the kernel did not tell",
}
"""What a cause adds behind "died of SIGKILL:"."""


def fate(process: ProcessReport) -> str:
    """How a process ended: ``died of SIGKILL``, ``exited with code 0``."""
    if process.term_signal is not None:
        return f"died of {process.term_signal}" + (" and dumped core" * process.core_dumped)
    if process.exit_code is not None:
        return f"exited with code {process.exit_code}"
    return "ended; how, is not known" if process.end is not End.RUNNING else "runs on"


def by_fate(
    processes: Iterable[ProcessReport],
) -> list[tuple[str, list[ProcessReport]]]:
    """Group processes that ended alike, each group in order of time."""
    groups: dict[str, list[ProcessReport]] = {}
    for each in processes:
        groups.setdefault(fate(each), []).append(each)
    for group in groups.values():
        group.sort(key=lambda each: each.end_boot_ns or 0)
    return list(groups.items())


def sender_words(event: SignalEvent) -> str:
    """Who sent a signal: name, pid, ancestors."""
    actor = event.actor
    return f"{actor.comm} (host pid {actor.host_pid}{_chain_inside(actor.chain)})"


def call_words(event: SignalEvent) -> str:
    """By which system call a signal was sent: `` by kill()``."""
    return f" by {event.actor.syscall}()" if event.actor.syscall else ""


def _chain_inside(chain: Sequence[str]) -> str:
    return f", started by {' <- '.join(chain)}" if chain else ""


def chain_words(chain: Sequence[str]) -> str:
    """Ancestors in brackets: `` (started by containerd-shim <- systemd)``."""
    return f" (started by {' <- '.join(chain)})" if chain else ""


def named(process: ProcessReport) -> str:
    """A process by name and pids: ``sh (pid 7, host 4711)``."""
    if process.ns_pid is None or process.ns_pid == process.host_pid:
        return f"{process.comm} (pid {process.host_pid})"
    return f"{process.comm} (pid {process.ns_pid}, host {process.host_pid})"


def name_counts(processes: Sequence[ProcessReport]) -> str:
    """Names with their numbers, most first: ``997 x worker and sh``."""
    if len(processes) == 1:
        return named(processes[0])
    ranked = Counter(each.comm for each in processes).most_common()
    parts = [name if count == 1 else f"{count} x {name}" for name, count in ranked[:_MOST_NAMES]]
    rest = sum(count for _, count in ranked[_MOST_NAMES:])
    if rest:
        parts.append(f"{rest} more")
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def others(count: int) -> str:
    """So many besides init, as a noun."""
    return "one other process" if count == 1 else f"{count} others"


def seconds(duration_ns: int) -> str:
    """A duration in words: ``10.0 s``, ``12 ms``, ``340 us``."""
    if duration_ns >= 1_000_000_000:
        return f"{duration_ns / 1e9:.1f} s"
    if duration_ns >= 1_000_000:
        return f"{duration_ns / 1e6:.0f} ms"
    return f"{duration_ns / 1e3:.0f} us"
