"""A stop as stretches of time: the grace, the death of PID 1, the teardown, the rest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from tracer.model.report import Report, StopReport


class PhaseKind(StrEnum):
    """Which part of a stop."""

    GRACE = "grace"
    KILL = "kill"
    TEARDOWN = "teardown"
    RELEASE = "release"


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of a stop, from when to when (CLOCK_BOOTTIME, ns)."""

    kind: PhaseKind
    begin_ns: int
    end_ns: int


@dataclass(frozen=True, slots=True)
class Moment:
    """A turning point of a stop, in a few words."""

    boot_ns: int
    text: str
    is_kill: bool = False


PHASE_MEANING: dict[PhaseKind, str] = {
    PhaseKind.GRACE: "grace period: from the stop signal until SIGKILL or PID 1's exit",
    PhaseKind.KILL: "killed: from SIGKILL to PID 1's exit",
    PhaseKind.TEARDOWN: "teardown: PID 1 has exited, the kernel kills and reaps the others",
    PhaseKind.RELEASE: "until the last process is reaped",
}
"""What each part is, in a sentence."""


def read_phases(stop: StopReport, report: Report) -> tuple[Phase, ...]:
    """Cut a stop into its parts; one that was not over goes on to the trace's end.

    Units:
        ns of CLOCK_BOOTTIME.
    """
    return tuple(phase for phase in _phases(stop, report) if phase.end_ns > phase.begin_ns)


def _phases(stop: StopReport, report: Report) -> Iterator[Phase]:
    open_end_ns = stop.end_boot_ns if stop.end_boot_ns is not None else report.end_boot_ns
    dead_ns = stop.init_exit_boot_ns if stop.init_exit_boot_ns is not None else open_end_ns
    kill_ns = stop.kill_boot_ns
    if stop.stop_signal is not None:
        until_ns = dead_ns if kill_ns is None else min(kill_ns, dead_ns)
        yield Phase(PhaseKind.GRACE, stop.begin_boot_ns, until_ns)
    elif kill_ns is None:
        kill_ns = stop.begin_boot_ns
    if kill_ns is not None:
        yield Phase(PhaseKind.KILL, kill_ns, dead_ns)
    if stop.init_exit_boot_ns is None:
        return
    torn_ns = stop.init_exit_boot_ns + (stop.teardown_ns or 0)
    yield Phase(PhaseKind.TEARDOWN, stop.init_exit_boot_ns, torn_ns)
    yield Phase(PhaseKind.RELEASE, torn_ns, open_end_ns)


def read_moments(stop: StopReport) -> tuple[Moment, ...]:
    """Give a stop's turning points in order of time."""
    moments = []
    if stop.stop_signal is not None:
        moments.append(Moment(stop.begin_boot_ns, stop.stop_signal))
    if stop.kill_boot_ns is not None:
        moments.append(Moment(stop.kill_boot_ns, "SIGKILL", is_kill=True))
    if stop.init_exit_boot_ns is not None:
        moments.append(Moment(stop.init_exit_boot_ns, "PID 1 exited"))
    if stop.end_boot_ns is not None:
        moments.append(Moment(stop.end_boot_ns, "all reaped"))
    return tuple(sorted(moments, key=lambda moment: moment.boot_ns))
