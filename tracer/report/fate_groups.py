"""Processes of one fate, put together: what a row of the process list stands for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from tracer.model.report import FoldedProcesses, ProcessReport, Report, StopReport
from tracer.model.signals import SignalResult
from tracer.model.verdicts import End, StopSignalDisposition
from tracer.wording.verdicts import explain_stop_signal

NO_PID = 0
"""The pid of a process that stands for some that are only counted."""
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Fate:
    """What equal processes have in common.

    ``members`` keep the order of the report. Pids are not part of a fate:
    997 workers killed alike are one row. ``folded`` is how many more there were that
    the report only counts; ``name`` is what the members are called, ``#`` standing for
    numbers where those are all that tells their names apart.
    """

    members: tuple[ProcessReport, ...]
    name: str
    folded: int = 0

    @property
    def one(self) -> ProcessReport:
        """Any of them."""
        return self.members[0]

    @property
    def count(self) -> int:
        """How many there were."""
        return len(self.members) + self.folded

    def common_pid(self, read: Callable[[ProcessReport], int | None]) -> int | None:
        """A pid, where it is the same for all."""
        pids = {read(member) for member in self.members}
        return pids.pop() if len(pids) == 1 else None


def group_fates(
    processes: Iterable[ProcessReport],
    stops: Iterable[StopReport] = (),
    *,
    by_name: Callable[[str], str] = str,
    by_namespace: bool = True,
) -> list[Fate]:
    """Put processes of one fate together; PID 1 first, then by how bad it is.

    Args:
        processes: Those the report lists.
        stops: Those it lists.
        by_name: What to make of a name before it is compared.
        by_namespace: Those of two PID namespaces are two fates.
    """
    listed = tuple(stops)
    groups: dict[tuple[object, ...], list[ProcessReport]] = {}
    for process in processes:
        where = process.pidns_inum if by_namespace else None
        key = (by_name(process.comm), where, *_fate_key(process), about_stop(process, listed))
        groups.setdefault(key, []).append(process)
    fates = [Fate(tuple(members), str(key[0])) for key, members in groups.items()]
    return sorted(fates, key=_order)


def fates_of(report: Report, *, is_short: bool) -> tuple[list[Fate], int]:
    """Put all processes of a report together, and count those of various names.

    Args:
        report: What the trace concluded.
        is_short: Names that differ by numbers are one.
    """
    by_name = without_numbers if is_short else str
    fates = group_fates(report.processes, report.stops, by_name=by_name, by_namespace=not is_short)
    return _add_folded(fates, report, by_name)


def without_numbers(name: str) -> str:
    """A name with ``#`` for each number in it: ``worker-17`` is ``worker-#``."""
    return _NUMBER.sub("#", name)


def _order(fate: Fate) -> tuple[int, int]:
    return rank_of(fate.one), -fate.count


def _add_folded(
    fates: list[Fate], report: Report, by_name: Callable[[str], str]
) -> tuple[list[Fate], int]:
    """Add what is counted only to the fates it shares; or as fates of its own.

    Returns:
        The fates, and how many processes of various names are in none.
    """
    by_kind: dict[tuple[object, ...], int] = {}
    for at, fate in enumerate(fates):
        if fate.one.is_init:
            # Others are counted: a PID 1 has its place with its stop.
            continue
        by_kind.setdefault(_kind(fate.one, by_name), at)
    more: dict[int, int] = {}
    new: dict[tuple[object, ...], tuple[ProcessReport, int]] = {}
    rest = 0
    for row in report.folded.processes:
        if row.comm is None:
            rest += row.count
            continue
        one = _stand_in(row, row.comm)
        kind = _kind(one, by_name)
        at = by_kind.get(kind, -1)
        if at >= 0:
            more[at] = more.get(at, 0) + row.count
        else:
            first, count = new.get(kind, (one, 0))
            new[kind] = first, count + row.count
    grown = [replace(fate, folded=more.get(at, 0)) for at, fate in enumerate(fates)]
    # One of those counted stands for them all: none is listed.
    grown += [Fate((one,), by_name(one.comm), count - 1) for one, count in new.values()]
    return sorted(grown, key=_order), rest


def _kind(process: ProcessReport, by_name: Callable[[str], str]) -> tuple[object, ...]:
    return (
        process.container_id,
        by_name(process.comm),
        process.end,
        process.exit_code,
        process.term_signal,
        process.cause,
        process.sender_comm,
    )


def _stand_in(row: FoldedProcesses, comm: str) -> ProcessReport:
    """A process that is like those of a row, as far as is known of them."""
    return ProcessReport(
        host_pid=NO_PID, ns_pid=None, comm=comm, end=row.end, exit_code=row.exit_code,
        term_signal=row.term_signal, cause=row.cause, sender_host_pid=None,
        sender_comm=row.sender_comm, stop_signal_seen=False,
        stop_signal_disposition=StopSignalDisposition.UNKNOWN, zombie_ns=None, reap_kind=None,
        reaper_host_pid=None, reaper_comm=None, start_boot_ns=row.first_boot_ns, pidns_inum=None,
        container_id=row.container_id, parent_host_pid=None, end_boot_ns=row.last_boot_ns,
        core_dumped=False, sender_chain=(), sender_syscall=None, trigger_host_pid=None,
        trigger_comm=None, signal_boot_ns=None, is_init=False, complete=row.complete,
    )  # fmt: skip


def _fate_key(process: ProcessReport) -> tuple[object, ...]:
    return (
        process.container_id,
        process.is_init,
        process.end,
        may_live(process),
        process.exit_code,
        process.term_signal,
        process.core_dumped,
        process.cause,
        process.sender_comm,
        process.sender_chain,
        process.sender_syscall,
        process.trigger_comm,
        process.exit_code_origin,
        process.stop_signal_seen,
        process.stop_signal_disposition,
    )


def may_live(process: ProcessReport) -> bool:
    """Whether a process may run still: the record of its end may be lost."""
    # Only where the record of an end may be lost is there no end at all.
    return process.end is None and process.end_boot_ns is None and process.reap_kind is None


def rank_of(process: ProcessReport) -> int:
    """How early a process is listed: PID 1 first, then by how bad its end was."""
    if process.is_init:
        return 0
    if process.end is End.SIGNAL:
        return 1
    if process.end is None:
        return 2
    if process.end is End.EXIT:
        return 2 if process.exit_code else 3
    return 4


def about_stop(process: ProcessReport, stops: Sequence[StopReport]) -> str | None:
    """Say what a process did about the signal of its stop; None where it had none."""
    stop = stops[process.stop] if process.stop is not None else None
    if stop is None:
        return None
    return explain_stop_of(process, stop)


def explain_stop_of(process: ProcessReport, stop: StopReport) -> str | None:
    """Say whether a process was sent its stop's signal, and what it did with it."""
    if stop.stop_signal is None:
        return None
    if process.end_boot_ns is not None and process.end_boot_ns < stop.begin_boot_ns:
        # It had ended before there was anything to stop.
        return None
    dropped = process.is_init and stop.stop_signal_result is SignalResult.IGNORED
    return explain_stop_signal(
        process.stop_signal_disposition,
        stop.stop_signal,
        seen=process.stop_signal_seen,
        dropped=dropped,
    )
