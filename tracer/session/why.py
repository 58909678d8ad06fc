"""``zomtrace why``: which death is meant, and its story."""

from __future__ import annotations

from collections.abc import Sequence

from tracer.correlate.why.evidence import Evidence, pick_witnesses
from tracer.correlate.why.process import explain_process
from tracer.correlate.why.stop import explain_stop, stop_label
from tracer.errors import TargetNotFoundError, UsageError
from tracer.model.report import ProcessReport, Report
from tracer.model.why import Why
from tracer.session.replay import Replay

_LISTED = 5


def explain(replay: Replay, *, pid: int | None = None, name: str | None = None) -> Why:
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
        return explain_process(evidence, _find_process(report, pid))
    if report.stops:
        labels = list(dict.fromkeys(stop_label(stop) for stop in report.stops))
        if len(labels) > 1:
            raise UsageError(
                f"{len(report.stops)} stops are in this capture: say which",
                hint=f"-c or --pidns, of {_enumerate(labels)}",
            )
        return explain_stop(evidence, report.stops[-1])
    killed = [process for process in report.processes if process.term_signal is not None]
    if len(killed) == 1:
        return explain_process(evidence, killed[0])
    where = f"in {name}" if name else "in this capture"
    if killed:
        pids = [f"{process.host_pid} ({process.comm})" for process in killed]
        raise UsageError(
            f"nothing was stopped {where}, but {len(killed)} processes died by a signal: say which",
            hint=f"--pid, of {_enumerate(pids)}",
        )
    raise TargetNotFoundError(
        f"nothing was stopped {where}, and no process died by a signal",
        hint="--pid tells of a process that ended by itself",
    )


def _find_process(report: Report, pid: int) -> ProcessReport:
    by_host = [process for process in report.processes if process.host_pid == pid]
    if by_host:
        # A pid that was used again: the one that died last.
        return max(by_host, key=lambda process: (process.end_boot_ns or 0, process.start_boot_ns))
    inside = [process for process in report.processes if process.ns_pid == pid]
    if len({process.pidns_inum for process in inside}) > 1:
        pids = [f"{process.host_pid} ({process.comm})" for process in inside]
        raise UsageError(
            f"several namespaces have a pid {pid}: say which container with -c",
            hint=f"or give the pid on the host, of {_enumerate(pids)}",
        )
    if not inside:
        raise TargetNotFoundError(
            f"the report tells of no process with pid {pid}",
            hint="zomtrace export --format csv lists them all",
        )
    return max(inside, key=lambda process: (process.end_boot_ns or 0, process.start_boot_ns))


def _enumerate(names: Sequence[str]) -> str:
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {more} more" if more > 0 else "")
