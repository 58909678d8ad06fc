"""Names and causes as ``zomtrace why`` writes them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from tracer.model.events import SignalEvent
from tracer.model.report import ProcessReport
from tracer.model.verdicts import End
from tracer.wording.names import seconds

_MOST_NAMES = 4
_ONE_MOMENT_NS = 1_000_000_000


def fate(process: ProcessReport) -> str:
    """How a process ended: ``died of SIGKILL``, ``exited with code 0``."""
    if process.term_signal is not None:
        return f"died of {process.term_signal}" + (" and dumped core" * process.core_dumped)
    if process.exit_code is not None:
        return f"exited with code {process.exit_code}"
    return "exited; its status is unknown" if process.end is not End.RUNNING else "is still running"


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


def within(processes: Sequence[ProcessReport]) -> str:
    """Over what time several ended: `` within 2.0 s``; nothing where that was one moment."""
    ends_ns = [each.end_boot_ns for each in processes if each.end_boot_ns is not None]
    apart_ns = max(ends_ns, default=0) - min(ends_ns, default=0)
    return f" within {seconds(apart_ns)}" if apart_ns > _ONE_MOMENT_NS else ""


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
    return "one other process" if count == 1 else f"{count} other processes"


def some_of(names: str, count: int, all_there: int) -> str:
    """Those of these names, and how many they are of those besides init.

    >>> some_of("sh", 1, 1), some_of("2 x sh", 2, 3)
    ('sh, the one other process', '2 x sh, 2 of the 3 other processes')
    """
    few = {1: "the one other process", 2: "both other processes"}
    which = few.get(all_there, f"all {others(all_there)}")
    if count < all_there:
        which = f"{count} of the {others(all_there)}"
    return f"{names}, {which}"
