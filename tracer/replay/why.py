"""``zomtrace why``: which death is meant, and its story."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from tracer.diagnose.why.evidence import Evidence, pick_witnesses
from tracer.diagnose.why.process import explain_process
from tracer.diagnose.why.stop import explain_stop
from tracer.errors import TargetNotFoundError, UsageError
from tracer.model.annotated import Annotated
from tracer.model.report import ProcessReport, Report, StopReport
from tracer.model.why import Why
from tracer.wording.times import format_clock

_LISTED = 5


class Replayed(Protocol):
    """A trace that is replayed: a :class:`tracer.replay.replay.Replay`."""

    def annotated(self) -> Iterable[Annotated]:
        """The events, each with what was concluded of it."""

    def conclude(self) -> Report:
        """The report, once all events were read."""


def explain(replay: Replayed, *, pid: int | None = None, name: str | None = None) -> Why:
    """Explain one death in a capture.

    Args:
        replay: The capture, narrowed to a container where one was named.
        pid: A process, by its pid on the host or in its own namespace; None
            means the stop there was, else the death there was.
        name: What the container was called, for the errors.

    Raises:
        TargetNotFoundError: Nothing of the kind is in the capture.
        UsageError: It must be said which of several is meant.
        CaptureError: The capture is corrupt.
    """
    signals, observations = pick_witnesses(replay.annotated())
    report = replay.conclude()
    evidence = Evidence(report, signals, observations)
    if pid is not None:
        return explain_process(evidence, _find_process(report, pid, is_named=name is not None))
    stops = _stops_meant(report, is_named=name is not None)
    if len(stops) > 1:
        choices = [_describe_stop(report, stop, stops) for stop in stops]
        raise UsageError(
            f"{len(stops)} containers or PID namespaces were stopped"
            f" {f'in {name}' if name else 'in this capture'}: choose one",
            hint=f"{'instead of -c: ' if name else ''}{_enumerate(choices)}",
        )
    if stops:
        return explain_stop(evidence, stops[0])
    killed = [process for process in report.processes if process.term_signal is not None]
    if len(killed) == 1:
        return explain_process(evidence, killed[0])
    where = f"in {name}" if name else "in this capture"
    if killed:
        raise UsageError(
            f"nothing was stopped {where}, but {len(killed)} processes died of a signal:"
            " choose one",
            hint=_enumerate([_describe_process(report, process) for process in killed]),
        )
    raise TargetNotFoundError(
        f"nothing was stopped {where}, and no process died of a signal",
        hint="use --pid to explain a process that exited",
    )


def _stops_meant(report: Report, *, is_named: bool) -> list[StopReport]:
    """The stops that may be meant: of each container or namespace the last.

    What stopped as a part of another stop is explained with that one. A container that
    was asked for by name is meant before the namespaces nested in it.
    """
    last: dict[str, StopReport] = {}
    for stop in report.stops:
        if stop.outer_stop is None:
            last[stop.container_id or f"pidns {stop.pidns_inum}"] = stop
    of_containers = [stop for stop in last.values() if stop.container_id is not None]
    return of_containers if is_named and of_containers else list(last.values())


def _describe_stop(report: Report, stop: StopReport, stops: Sequence[StopReport]) -> str:
    option = f"--pidns {stop.pidns_inum}"
    if stop.container_id is not None:
        # Two containers may have had one name, one after the other.
        is_unique = [each.container_name for each in stops].count(stop.container_name) == 1
        name = stop.container_name if is_unique else None
        option = f"-c {name or stop.container_id[:12]}"
    began = _clock(report, stop.begin_boot_ns)
    return f"{option} (init {stop.init_comm}, host pid {stop.init_host_pid}, stopped at {began})"


def _describe_process(report: Report, process: ProcessReport) -> str:
    ended = ""
    if process.end_boot_ns is not None:
        ended = f", ended at {_clock(report, process.end_boot_ns)}"
    return f"--pid {process.host_pid} ({process.comm}{ended})"


def _clock(report: Report, boot_ns: int) -> str:
    utc_ns = boot_ns + report.utc_offset_ns
    return f"{format_clock(utc_ns, utc=True)} UTC"


def _find_process(report: Report, pid: int, *, is_named: bool) -> ProcessReport:
    by_host = [process for process in report.processes if process.host_pid == pid]
    if by_host:
        # A pid that was used again: the one that died last.
        return max(by_host, key=lambda process: (process.end_boot_ns or 0, process.start_boot_ns))
    inside = [process for process in report.processes if process.ns_pid == pid]
    if is_named:
        # Its own namespace is meant before those nested in it.
        own = {one.pidns_inum for one in report.containers if one.has_own_pidns}
        inside = [process for process in inside if process.pidns_inum in own] or inside
    if len({process.pidns_inum for process in inside}) > 1:
        raise UsageError(
            f"several namespaces have a process with pid {pid}: give the host pid",
            hint=_enumerate([_describe_process(report, process) for process in inside]),
        )
    if not inside:
        raise TargetNotFoundError(
            f"the report has no process with pid {pid}",
            hint="zomtrace export --format csv lists them all",
        )
    return max(inside, key=lambda process: (process.end_boot_ns or 0, process.start_boot_ns))


def _enumerate(names: Sequence[str]) -> str:
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {more} more" if more > 0 else "")
